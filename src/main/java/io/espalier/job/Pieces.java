package io.espalier.job;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** All pieces of one job, in order; the job's row is locked by whoever changes them. */
final class Pieces {

    private final List<Piece> all;

    Pieces(List<Piece> all) {
        this.all = all;
    }

    /** @return {@code null} when there is none with this number */
    Piece at(int number) {
        return number >= 0 && number < all.size() ? all.get(number) : null;
    }

    /** Whether there is not even the one that opens. */
    boolean none() {
        return all.isEmpty();
    }

    /** Whether an attempt is at one of them. */
    boolean heldBy(int attempt) {
        return all.stream().anyMatch(piece -> piece.is(Piece.State.RUNNING) && piece.attempt() == attempt);
    }

    /** Those after the one that opens. */
    List<Piece> afterOpening() {
        return all.subList(1, all.size());
    }

    boolean nobodyWorks() {
        return none(piece -> piece.is(Piece.State.RUNNING));
    }

    /** The last one, once the job was opened; {@code null} before. */
    Piece finishing() {
        return all.getLast().kind() == Piece.Kind.FINISH ? all.getLast() : null;
    }

    /** The opening piece, with others after it: so many slices and the one that finishes. */
    Pieces sliced(int slices) {
        List<Piece> anew = new ArrayList<>(List.of(all.getFirst()));
        for (int number = 1; number <= slices; number++) {
            anew.add(new Piece(all.getFirst().jobId(), number, Piece.Kind.SLICE));
        }
        anew.add(new Piece(all.getFirst().jobId(), slices + 1, Piece.Kind.FINISH));
        return new Pieces(anew);
    }

    List<Piece> slices() {
        return all.stream().filter(piece -> piece.kind() == Piece.Kind.SLICE).toList();
    }

    /** Slices that are not measured can be. */
    void readyToMeasure() {
        slices().stream().filter(piece -> !piece.is(Piece.State.DONE)).forEach(Piece::ready);
    }

    /** Whether nothing will happen by itself. */
    boolean stuck() {
        return none(piece -> piece.is(Piece.State.READY) || piece.is(Piece.State.QUEUED) || piece.is(Piece.State.RUNNING));
    }

    private boolean none(Predicate<Piece> what) {
        return all.stream().noneMatch(what);
    }

    /** Slices that are measured. */
    int measured() {
        return (int) slices().stream().filter(piece -> piece.is(Piece.State.DONE)).count();
    }

    /** What waits does not begin any more; what is at work goes on until its worker hears of it. */
    void holdBack() {
        all.stream().filter(piece -> piece.is(Piece.State.QUEUED) || piece.is(Piece.State.READY)).forEach(Piece::blocked);
    }

    /** Finished slices are kept, nothing else is: the job is opened anew before it goes on. */
    void stop() {
        all.stream().filter(piece -> piece.kind() != Piece.Kind.SLICE || !piece.is(Piece.State.DONE)).forEach(Piece::blocked);
    }

    /** From the beginning, with the finished slices; what went wrong before no longer counts. */
    void startAgain() {
        stop();
        all.forEach(Piece::forgiven);
        all.getFirst().ready();
    }
}
