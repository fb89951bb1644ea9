package io.espalier.job;

import java.util.ArrayList;
import java.util.List;

/** Finds and puts right what no verb of a job leaves behind, but somebody's hand in the database may: nothing that waits or runs gets lost. */
final class Mending {

    private Mending() {}

    /**
     * @param lost pieces that should have an entry in the queue and have none
     * @return what was found, in words; empty when nothing contradicts anything
     */
    static List<String> mend(PruningJob job, Pieces pieces, List<Piece> lost) {
        List<String> found = new ArrayList<>();
        boolean goesOn = job.state() == JobState.QUEUED || job.state() == JobState.RUNNING;
        if (!lost.isEmpty()) {
            found.add("the queue had lost " + String.join(", ", lost.stream().map(piece -> piece.words(job.slices())).toList()));
            lost.forEach(goesOn ? Piece::ready : Piece::blocked);
        }
        if (goesOn && pieces.stuck()) {
            found.add("nothing of it waited or was at work, so it is opened anew");
            pieces.startAgain();
        }
        if (job.state() == JobState.QUEUED && !pieces.nobodyWorks()) {
            found.add("it was at work although its state said queued");
        }
        if (job.state() == JobState.CANCELLING && pieces.nobodyWorks()) {
            found.add("nobody was left to hear that it was cancelled");
        }
        if (!goesOn && job.state() != JobState.CANCELLING && !pieces.stuck()) {
            found.add("pieces of it waited or were at work although it is " + job.state().json());
            pieces.stop();
        }
        return found;
    }
}
