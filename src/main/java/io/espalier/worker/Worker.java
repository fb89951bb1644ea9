package io.espalier.worker;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import io.espalier.artifact.Artifact;
import io.espalier.artifact.Artifacts;
import io.espalier.job.JobError;
import io.espalier.job.JobStateException;
import io.espalier.job.Lease;
import io.espalier.job.LeaseLostException;
import io.espalier.job.Piece;
import io.espalier.job.PruningJobs;
import io.espalier.job.SliceShelf;
import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.pruning.Saving;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreShelf;
import io.espalier.recipe.Slicing;
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
    private static final Duration LONGEST_REST = Duration.ofSeconds(5);

    private final String name;
    private final PruningJobs jobs;
    private final Products products;
    private final Workplace workplace;
    private final Benches benches;
    private final Manner manner;
    private final Recording recording;
    private volatile boolean draining;
    private volatile long hurryAtNanos;

    /** One that nobody looks at but through its jobs. */
    Worker(String name, Path root, Products products, PruningJobs jobs, Workshop workshop, Manner manner) {
        this(name, root, products, jobs, workshop, manner, Recording.ignored());
    }

    /** @param root directory of all work directories, on the artifacts' file system */
    Worker(String name, Path root, Products products, PruningJobs jobs, Workshop workshop, Manner manner, Recording recording) {
        this.name = name;
        this.jobs = jobs;
        this.products = products;
        this.workplace = new Workplace(root, jobs, products.artifacts());
        this.benches = new Benches(workshop);
        this.manner = manner;
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
        hurryAtNanos = System.nanoTime() + manner.drain().toNanos();
        draining = true;
    }

    private boolean hurry() {
        return draining && System.nanoTime() - hurryAtNanos >= 0;
    }

    private Progress.Answer wish() {
        return hurry() ? Progress.Answer.STOP : draining ? Progress.Answer.SAVE : Progress.Answer.GO_ON;
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
            if (draining) {
                return Ending.WAITS;
            }
            Optional<Lease> claimed = jobs.claim(entry, name, device.name());
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
                switch (lease.kind()) {
                    case OPEN -> open(lease, device, record);
                    case SLICE -> measure(lease, device, directory, record);
                    case FINISH -> finish(lease, device, directory, record);
                }
                keepOpen = lease.kind() != Piece.Kind.FINISH;
                ending = Ending.DONE;
                outcome = WorkerMeters.Outcome.DONE;
            } catch (Throwable thrown) {
                ending = ended(lease, thrown);
                outcome = isStop(thrown) ? WorkerMeters.Outcome.STOPPED : WorkerMeters.Outcome.FAILED;
            }
            if (ending.fate() == Fate.DONE) {
                workplace.deleteSaved(lease);
            }
            return ending;
        } catch (LeaseLostException e) {
            log.warn("{}", e.getMessage());
            rejected(lease);
            return Ending.LOST;
        } finally {
            if (!keepOpen) {
                benches.clear(device);
            }
            Workplace.delete(directory);
            record.ended(outcome);
        }
    }

    private boolean isStop(Throwable thrown) {
        return thrown instanceof Progress.StoppedException || thrown instanceof JobStateException
                || draining && !(thrown instanceof PruningException);
    }

    private void open(Lease lease, ComputeDevice device, PieceRecord record) throws Exception {
        Slicing slicing;
        ScoreOrigin origin;
        try (WatchedProgress progress = watched(lease, record)) {
            Workshop.Run run = benches.open(lease, device, progress);
            slicing = run.slicing(manner.sliceTokens(), progress);
            origin = slicing.scoreSet() == null ? run.origin(slicing) : null;
        }
        Slicing left = persist(() -> products.transaction().execute(status -> {
            // why in one transaction: scores that were found stay only until it ends, or for as long as the job refers to them
            Slicing found = origin == null
                    ? slicing
                    : products.shelf().findByAddress(lease.recipe().project(), origin.address()).map(slicing::scoredBy).orElse(slicing);
            if (!jobs.done(lease)) {
                jobs.opened(lease, found);
            }
            return found;
        }));
        benches.sliced(device, left);
        if (origin != null && left.scoreSet() != null) {
            recording.meters().scoresReused();
        }
    }

    private void measure(Lease lease, ComputeDevice device, Path directory, PieceRecord record) throws Exception {
        Path file;
        try (WatchedProgress progress = watched(lease, record)) {
            file = benches.of(lease, device, progress.silent()).measure(lease.slicing(), lease.slice(), directory, saving(lease), progress);
        }
        SliceShelf.Sum sum = persist(() -> products.slices().keep(lease, file));
        persist(() -> {
            jobs.measured(lease, sum.sha256(), sum.bytes());
            return null;
        });
    }

    private void finish(Lease lease, ComputeDevice device, Path directory, PieceRecord record) throws Exception {
        if (lease.slicing().scoreSet() != null) {
            finishScored(lease, device, directory, record);
            return;
        }
        List<Piece> slices = persist(() -> jobs.pieces(lease.jobId())).stream().filter(piece -> piece.kind() == Piece.Kind.SLICE).toList();
        List<Path> statistics = IntStream.range(0, slices.size()).mapToObj(i -> directory.resolve("slice-" + i + ".safetensors")).toList();
        for (int i = 0; i < slices.size(); i++) {
            Piece slice = slices.get(i);
            Path file = statistics.get(i);
            String wrong = persist(() -> products.slices().fetch(slice, file));
            if (wrong != null) {
                persist(() -> {
                    jobs.damaged(lease, slice.number(), wrong);
                    return null;
                });
                return;
            }
        }
        PruningRun.Outcome outcome;
        try (WatchedProgress progress = watched(lease, record)) {
            outcome = benches.of(lease, device, progress.silent()).finish(lease.slicing(), statistics, directory, progress);
        }
        publish(lease, outcome, record);
    }

    private void finishScored(Lease lease, ComputeDevice device, Path directory, PieceRecord record) throws Exception {
        Path scores = directory.resolve("scores.safetensors");
        persist(() -> {
            products.shelf().fetch(lease.slicing().scoreSet(), scores);
            return null;
        });
        PruningRun.Outcome outcome;
        try (WatchedProgress progress = watched(lease, record)) {
            outcome = benches.of(lease, device, progress.silent()).finish(lease.slicing(), scores, directory, progress);
        }
        publish(lease, outcome, record);
    }

    private WatchedProgress watched(Lease lease, PieceRecord record) {
        return new WatchedProgress(jobs, lease, record, this::wish);
    }

    private Saving saving(Lease lease) {
        return manner.saveEvery().isZero() ? null : new Saving(workplace.saved(lease), lease.attempt(), manner.saveEvery());
    }

    private void publish(Lease lease, PruningRun.Outcome outcome, PieceRecord record) throws Exception {
        Artifacts artifacts = products.artifacts();
        List<Artifact> moved = new ArrayList<>();
        try {
            try (WatchedProgress progress = watched(lease, record)) {
                move(lease, outcome, artifacts, moved, new PhaseProgress(progress, Phase.PUBLISH, 99, 100));
            }
            persist(() -> {
                products.transaction().executeWithoutResult(status -> {
                    // why asked: a commit whose answer was lost may have happened
                    if (!jobs.done(lease)) {
                        moved.forEach(artifacts::record);
                        jobs.succeed(lease, outcome.result(), moved.getFirst().id(), shelve(lease, outcome));
                    }
                });
                return null;
            });
        } catch (Exception | Error e) {
            try {
                // why not simply delete: see above, and then a row refers to it
                artifacts.withdraw(moved);
            } catch (RuntimeException left) {
                e.addSuppressed(left);
            }
            throw e;
        }
    }

    /** The first output under the attempt's own id, the further ones under ids that follow from it. */
    private static void move(Lease lease, PruningRun.Outcome outcome, Artifacts artifacts, List<Artifact> moved, PhaseProgress stretch)
            throws IOException {
        String id = lease.artifactId();
        int outputs = 1 + outcome.furtherArtifacts().size();
        stretch.at(0, null, null, null);
        moved.add(artifacts.move(outcome.artifact(), id, lease.jobId(), outcome.result().digests().artifact(),
                told(outcome.artifact(), stretch.part(0, 1.0 / outputs))));
        for (int i = 0; i < outcome.furtherArtifacts().size(); i++) {
            Path further = outcome.furtherArtifacts().get(i);
            moved.add(artifacts.move(further, Lease.furtherArtifactId(id, i + 1), lease.jobId(),
                    outcome.result().further().get(i).digests().artifact(),
                    told(further, stretch.part((i + 1.0) / outputs, (i + 2.0) / outputs))));
        }
    }

    /** Tells how much of a directory was uploaded, and ends that when the job or the process is to stop. */
    private static LongConsumer told(Path directory, PhaseProgress stretch) throws IOException {
        long all;
        try (Stream<Path> files = Files.walk(directory)) {
            all = Math.max(1, files.mapToLong(file -> file.toFile().length()).sum());
        }
        long[] there = new long[1];
        return bytes -> stretch.at(Math.min(1, (double) (there[0] += bytes) / all), null, null, null);
    }

    /** Keeps the scores, unless they are there; answers the id of the set that has them. */
    private String shelve(Lease lease, PruningRun.Outcome outcome) {
        if (lease.slicing().scoreSet() != null) {
            products.shelf().planned(lease.jobId(), lease.slicing().scoreSet(), outcome.summary());
            return lease.slicing().scoreSet();
        }
        return products.shelf().keep(lease.scoreSetId(), lease.jobId(), outcome.scores(), outcome.summary(), outcome.origin());
    }

    /** Writes what must not be lost: when the database does not answer, again and again until it does, or the process must stop. */
    private <T> T persist(Callable<T> write) throws Exception {
        Duration rest = Duration.ofMillis(200);
        while (true) {
            try {
                return write.call();
            } catch (RuntimeException e) {
                if (!Failure.ofDatabase(e) || hurry()) {
                    throw e;
                }
                log.warn("the database was not told, tried again in {} ms: {}", rest.toMillis(), e.toString());
                Thread.sleep(rest);
                rest = rest.multipliedBy(2).compareTo(LONGEST_REST) > 0 ? LONGEST_REST : rest.multipliedBy(2);
            }
        }
    }

    /** Tells the job why its piece ended early. A cancel that came in the meantime beats every other reason. */
    private Ending ended(Lease lease, Throwable thrown) {
        if (thrown instanceof LeaseLostException lost) {
            throw lost;
        }
        // why: a run that is interrupted while the process stops fails in many ways, and none of them is the order's fault
        if (draining && !(thrown instanceof PruningException)) {
            Thread.interrupted();
            return settle(lease, () -> {
                jobs.release(lease);
                return Ending.WAITS;
            });
        }
        if (thrown instanceof Progress.StoppedException || thrown instanceof JobStateException) {
            return settle(lease, () -> stopped(lease));
        }
        if (Failure.ofDatabase(thrown)) {
            throw (RuntimeException) thrown;
        }
        JobError error = Failure.of(thrown);
        log.warn("the piece failed with {}: {}", error.code(), error.message(), thrown instanceof PruningException ? null : thrown);
        return settle(lease, () -> {
            if (Failure.mayPass(error)) {
                return jobs.tryAgain(lease, error).map(Ending::waits).orElse(Ending.DONE);
            }
            jobs.fail(lease, error);
            return Ending.DONE;
        });
    }

    private Ending settle(Lease lease, Callable<Ending> verb) {
        try {
            try {
                return persist(verb);
            } catch (JobStateException otherwise) {
                return persist(() -> stopped(lease));
            }
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException("interrupted before the job could be told how its piece ended; it is handed out again", e);
        }
    }

    private Ending stopped(Lease lease) {
        return jobs.stopped(lease) ? Ending.DONE : Ending.WAITS;
    }

    private void rejected(Lease lease) {
        try {
            jobs.rejected(lease);
        } catch (RuntimeException e) {
            log.warn("a refused write was not counted: {}", e.toString());
        }
    }

    /** Deletes what attempts and deleted jobs left behind. */
    @Scheduled(initialDelayString = "${espalier.jobs.housekeeping}", fixedDelayString = "${espalier.jobs.housekeeping}")
    void sweep() {
        workplace.sweep();
    }
}
