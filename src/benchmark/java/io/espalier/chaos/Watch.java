package io.espalier.chaos;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.function.Predicate;
import java.util.stream.Stream;

/** Waits for moments in a job's life. Each answers the piece that is running then, or {@code null} when the job ends before. */
final class Watch {

    private static final Duration LOOK_EVERY = Duration.ofMillis(4);
    private static final Duration LONGEST = Duration.ofMinutes(3);

    private final Fleet fleet;
    private final String job;

    Watch(Fleet fleet, String job) {
        this.fleet = fleet;
        this.job = job;
    }

    /** Some time goes by. */
    void pass(Duration time) throws InterruptedException {
        Instant until = Instant.now().plus(time);
        while (Instant.now().isBefore(until) && !ended()) {
            Thread.sleep(20);
        }
    }

    /** The first piece that is running and fits; {@code null} also when there is none for long: whoever waits may hold what the job needs. */
    Fleet.Piece running(Predicate<Fleet.Piece> fits) throws InterruptedException {
        Instant end = Instant.now().plus(LONGEST);
        while (Instant.now().isBefore(end)) {
            for (Fleet.Piece piece : fleet.running()) {
                if (piece.jobId().equals(job) && fits.test(piece)) {
                    return piece;
                }
            }
            if (ended()) {
                return null;
            }
            Thread.sleep(LOOK_EVERY);
        }
        return null;
    }

    /** So many slices are finished, and another one is at work. */
    Fleet.Piece slicesDone(int done) throws InterruptedException {
        return running(piece -> piece.kind().equals("slice") && fleet.sql().queryForObject(
                "select slices_done >= ? from pruning_job where id = ?", Boolean.class, done, job));
    }

    Fleet.Piece claimed(int claims) throws InterruptedException {
        return running(piece -> piece.attempt() > claims);
    }

    Fleet.Piece slice(int claims) throws InterruptedException {
        return running(piece -> piece.kind().equals("slice") && piece.attempt() > claims);
    }

    Fleet.Piece finishing() throws InterruptedException {
        return running(piece -> piece.kind().equals("finish"));
    }

    Fleet.Piece inPhase(String phase) throws InterruptedException {
        return running(piece -> piece.kind().equals("finish") && phase.equals(fleet.sql().queryForObject(
                "select phase from pruning_job where id = ?", String.class, job)));
    }

    /** The perplexity of the given model is told; that of the written one is what comes next. */
    Fleet.Piece checkedOnce() throws InterruptedException {
        return running(piece -> piece.kind().equals("finish") && fleet.sql().queryForObject(
                "select exists (select 1 from job_point where job_id = ? and name = 'perplexity')", Boolean.class, job));
    }

    /**
     * A slice whose statistics are stored, and whose worker stands before the table of events, which somebody else holds: since after the first slice's
     * end, because the phase's beginning is an event, too.
     */
    Fleet.Piece storedAndWaiting() throws InterruptedException {
        return running(piece -> fleet.sql().queryForObject(
                "select exists (select 1 from slice_chunk where job_id = ? and piece = ? and attempt = ?)", Boolean.class, job,
                piece.number(), piece.attempt()) && waits("job_event"));
    }

    /**
     * The last slice's statistics are stored, and its worker stands before the table of events: what comes next finishes the job.
     *
     * @param events holds that table afterwards
     */
    Fleet.Piece lastSliceStored(Holder events) throws InterruptedException {
        running(piece -> fleet.sql().queryForObject("select coalesce(slices_done = slices - 1, false) from pruning_job where id = ?",
                Boolean.class, job));
        events.closes("job_event");
        return storedAndWaiting();
    }

    /** The artifact lies in its place, and its worker stands before a table that somebody else holds. */
    Fleet.Piece movedAndWaiting(String table) throws InterruptedException {
        return running(piece -> piece.kind().equals("finish") && moved() && waits(table));
    }

    /**
     * The worker stands in the middle of the transaction that publishes, with the job's row locked, before the table of events.
     *
     * @param events holds that table afterwards
     */
    Fleet.Piece amidCommit(Holder events) throws InterruptedException {
        finishing();
        try (Holder _ = fleet.holder().closes("artifact")) {
            if (movedAndWaiting("artifact") == null) {
                return null;
            }
            events.closes("job_event");
        }
        return movedAndWaiting("job_event");
    }

    /**
     * A worker stands in the middle of the transaction that claims the job's first piece, with the job's row locked, before the table of events.
     *
     * @param events holds that table afterwards
     */
    Fleet.Piece amidFirstClaim(Holder events) throws InterruptedException {
        events.closes("job_event");
        ServiceProcess claimer = fleet.waiter("job_event");
        while (claimer == null) {
            Thread.sleep(LOOK_EVERY);
            claimer = fleet.waiter("job_event");
        }
        return new Fleet.Piece(job, 0, "open", 0, "/" + claimer.pid());
    }

    private boolean moved() {
        try (Stream<Path> entries = Files.list(Files.createDirectories(fleet.data().resolve("artifacts")))) {
            return entries.anyMatch(entry -> entry.getFileName().toString().contains(job.substring("job_".length())));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Whether somebody waits for a table's lock. */
    boolean waits(String table) {
        return fleet.sql().queryForObject("select exists (select 1 from pg_locks where relation = ?::regclass and not granted)",
                Boolean.class, table);
    }

    /** The first event after an instant that fits; {@code null} when none comes in time. */
    Fleet.Event event(Instant after, Duration atMost, Predicate<Fleet.Event> fits) throws InterruptedException {
        Instant end = Instant.now().plus(atMost);
        while (Instant.now().isBefore(end)) {
            for (Fleet.Event event : fleet.events(job)) {
                if (event.at().isAfter(after) && fits.test(event)) {
                    return event;
                }
            }
            Thread.sleep(100);
        }
        return null;
    }

    boolean ended() {
        return fleet.sql().queryForObject("select finished_at is not null from pruning_job where id = ?", Boolean.class, job);
    }
}
