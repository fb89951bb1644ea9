package io.espalier.worker;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

import io.espalier.artifact.Artifacts;
import io.espalier.job.Lease;
import io.espalier.job.LeaseLostException;
import io.espalier.job.Leases;
import io.espalier.job.Piece;
import io.espalier.job.PieceReports;
import io.espalier.job.SliceShelf;
import io.espalier.pruning.ComputeDevice;
import io.espalier.recipe.ScoreShelf;
import io.espalier.telemetry.LogLines;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;
import org.springframework.scheduling.annotation.Scheduled;
import org.springframework.transaction.support.TransactionOperations;

/** Carries out one piece of a job after the other: claims it, does it in a directory of its own, hands in what came out, all or nothing. */
class Worker {

    /**
     * What becomes of the queue's entry.
     *
     * @param fate what
     * @param due when it is to come up again; {@code null}: at once, and unless {@link Fate#WAITS}
     */
    record Ending(Fate fate, Instant due) {
        static final Ending DONE = new Ending(Fate.DONE, null);
        static final Ending LOST = new Ending(Fate.LOST, null);
        static final Ending WAITS = new Ending(Fate.WAITS, null);

        static Ending waits(Instant due) {
            return new Ending(Fate.WAITS, due);
        }
    }

    enum Fate {
        /** Nothing is left to do for it: it goes. */
        DONE,
        /** The piece waits again: so does the entry. */
        WAITS,
        /** Another worker holds the piece, and its entry with it: hands off. */
        LOST
    }

    private static final Logger log = LoggerFactory.getLogger(Worker.class);

    private final String name;
    private final Leases leases;
    private final Workplace workplace;
    private final Benches benches;
    private final Drain drain;
    private final Steps steps;
    private final EarlyEnd earlyEnd;
    private final Recording recording;

    /** One that nobody looks at but through its jobs. */
    Worker(String name, Path root, Products products, Leases leases, PieceReports reports, Workshop workshop, Manner manner) {
        this(name, root, products, leases, reports, workshop, manner, Recording.ignored());
    }

    /** @param root directory of all work directories, on the artifacts' file system */
    Worker(String name, Path root, Products products, Leases leases, PieceReports reports, Workshop workshop, Manner manner,
            Recording recording) {
        this.name = name;
        this.leases = leases;
        this.workplace = new Workplace(root, leases, products.artifacts());
        this.benches = new Benches(workshop);
        this.drain = new Drain(manner.drain());
        this.steps = new Steps(leases, reports, products, workplace, benches, manner, drain, recording.meters());
        this.earlyEnd = new EarlyEnd(leases, reports, drain);
        this.recording = recording;
    }

    /** Where what pieces bring forth goes; the products of a run together or not at all. */
    record Products(Artifacts artifacts, ScoreShelf shelf, SliceShelf slices, TransactionOperations transaction) {}

    /**
     * @param sliceTokens about how many tokens a slice has; 0: as suits the device
     * @param drain how long a piece may go on when the process is to stop
     * @param saveEvery how often a slice saves at most how far it is; zero: never, not even when the process is to stop
     */
    record Manner(long sliceTokens, Duration drain, Duration saveEvery) {}

    /**
     * From now on no piece begins. One at work may end if it does so in time, or saves how far it is; it is told to stop at its next tick after that, and
     * handed back.
     */
    void drain() {
        drain.begin();
    }

    /** Closes what is open. No piece is at work any more. */
    void close() {
        benches.close();
    }

    /**
     * Carries out a piece that the queue handed out, on the calling thread.
     *
     * @param entry the queue's instance id
     * @throws RuntimeException when the database could not be told how it ended; the piece has to be handed out again
     */
    Ending carryOut(String entry, ComputeDevice device) {
        MDC.put(LogLines.JOB, entry.substring(0, entry.indexOf('/')));
        try {
            if (drain.begun()) {
                return Ending.WAITS;
            }
            Optional<Lease> claimed = leases.claim(entry, name, device.name());
            if (claimed.isEmpty()) {
                log.info("nothing to do: the job has ended, was stopped, or another entry stands for this piece");
                sweep();
                return Ending.DONE;
            }
            Lease lease = claimed.get();
            try (PieceRecord record = recording.begin(lease, name, device.name())) {
                log.info("{} {}, attempt {}, starts on {}", lease.kind().json(), lease.piece(), lease.attempt(), device.name());
                Ending ending = work(lease, device, record);
                log.info("{} {}, attempt {}, ends: {}", lease.kind().json(), lease.piece(), lease.attempt(), ending.fate());
                lastWords(lease, record);
                return ending;
            }
        } finally {
            MDC.remove(LogLines.JOB);
        }
    }

    /** What was logged after the last progress, or without any. */
    private void lastWords(Lease lease, PieceRecord record) {
        try {
            recording.lastWords(lease, record);
        } catch (RuntimeException e) {
            log.warn("the last log lines of the piece were not stored: {}", e.toString());
        }
    }

    private Ending work(Lease lease, ComputeDevice device, PieceRecord record) {
        Path directory = workplace.directory(lease);
        boolean keepOpen = false;
        WorkerMeters.Outcome outcome = WorkerMeters.Outcome.LOST;
        try {
            Ending ending;
            try {
                sweep();
                Benches.requireThere(lease.inputs());
                Files.createDirectories(directory);
                steps.carryOut(lease, device, directory, record);
                keepOpen = lease.kind() != Piece.Kind.FINISH;
                ending = Ending.DONE;
                outcome = WorkerMeters.Outcome.DONE;
            } catch (Throwable thrown) {
                ending = earlyEnd.ended(lease, thrown);
                outcome = earlyEnd.isStop(thrown) ? WorkerMeters.Outcome.STOPPED : WorkerMeters.Outcome.FAILED;
            }
            if (ending.fate() == Fate.DONE) {
                workplace.deleteSaved(lease);
            }
            return ending;
        } catch (LeaseLostException e) {
            log.warn("{}", e.getMessage());
            earlyEnd.rejected(lease);
            return Ending.LOST;
        } finally {
            if (!keepOpen) {
                benches.clear(device);
            }
            Workplace.delete(directory);
            record.ended(outcome);
        }
    }

    /** Deletes what attempts and deleted jobs left behind. */
    @Scheduled(initialDelayString = "${espalier.jobs.housekeeping}", fixedDelayString = "${espalier.jobs.housekeeping}")
    void sweep() {
        workplace.sweep();
    }
}
