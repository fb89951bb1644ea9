package io.espalier.worker;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;

import io.espalier.artifact.Artifact;
import io.espalier.artifact.Artifacts;
import io.espalier.job.JobError;
import io.espalier.job.JobStateException;
import io.espalier.job.Lease;
import io.espalier.job.LeaseLostException;
import io.espalier.job.PruningJobs;
import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.ScoreShelf;
import io.espalier.recipe.Violation;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;
import org.springframework.transaction.support.TransactionOperations;
import org.springframework.util.FileSystemUtils;

/** Carries out one job after the other: claims it, runs it in a directory of its own, publishes what came out, all or nothing. */
class Worker {

    /** What becomes of the queue's entry. */
    enum Ending {
        /** The job has ended, well or not: the entry goes. */
        DONE,
        /** The job waits again: so does the entry. */
        HANDED_BACK,
        /** Another worker holds the job, and its entry with it: hands off. */
        LOST
    }

    private static final Logger log = LoggerFactory.getLogger(Worker.class);

    private final String name;
    private final Path root;
    private final PruningJobs jobs;
    private final Artifacts artifacts;
    private final ScoreShelf shelf;
    private final TransactionOperations transaction;
    private final Workshop workshop;
    private volatile boolean shuttingDown;

    /** @param root directory of all work directories, on the artifacts' file system */
    Worker(String name, Path root, Products products, PruningJobs jobs, Workshop workshop) {
        this.name = name;
        this.root = root;
        this.jobs = jobs;
        this.artifacts = products.artifacts();
        this.shelf = products.shelf();
        this.transaction = products.transaction();
        this.workshop = workshop;
    }

    /** Where the products of a run go, together or not at all. */
    record Products(Artifacts artifacts, ScoreShelf shelf, TransactionOperations transaction) {}

    /** From now on every run is told to stop at its next tick, and its job is handed back. */
    void shutDown() {
        shuttingDown = true;
    }

    /**
     * Carries out a job that the queue handed out, on the calling thread.
     *
     * @throws RuntimeException when the database could not be told how the run ended; the job has to be handed out again
     */
    Ending carryOut(String jobId, ComputeDevice device) {
        MDC.put("job_id", jobId);
        try {
            if (shuttingDown) {
                return Ending.HANDED_BACK;
            }
            Optional<Lease> claimed = jobs.claim(jobId, name, device.name());
            if (claimed.isEmpty()) {
                log.info("nothing to do: the job has ended");
                return Ending.DONE;
            }
            log.info("attempt {} starts on {}", claimed.get().attempt(), device.name());
            Ending ending = work(claimed.get(), device);
            log.info("attempt {} ends: {}", claimed.get().attempt(), ending);
            return ending;
        } finally {
            MDC.remove("job_id");
        }
    }

    private Ending work(Lease lease, ComputeDevice device) {
        Path directory = root.resolve(lease.jobId() + "-" + lease.attempt());
        try {
            try {
                sweep();
                requireThere(lease.inputs());
                Files.createDirectories(directory);
                PruningRun.Outcome outcome = workshop.execute(
                        new PruningRun.Inputs(lease.recipe(), Path.of(lease.inputs().modelDirectory()),
                                lease.inputs().calibration(), lease.inputs().evaluation(), directory),
                        device,
                        new WatchedProgress(jobs, lease, () -> shuttingDown));
                publish(lease, outcome);
                return Ending.DONE;
            } catch (Throwable thrown) {
                return ended(lease, thrown);
            }
        } catch (LeaseLostException e) {
            log.warn("{}", e.getMessage());
            return Ending.LOST;
        } finally {
            delete(directory);
        }
    }

    /** What the names stood for when the order was taken may have been deleted since. */
    private static void requireThere(ResolvedInputs inputs) {
        List<Violation> gone = new ArrayList<>();
        if (!Files.isDirectory(Path.of(inputs.modelDirectory()))) {
            gone.add(new Violation("model", inputs.modelDirectory(), "the directory that was there when the job was ordered"));
        }
        requireThere("calibration.corpus", inputs.calibration(), gone);
        requireThere("evaluation.corpus", inputs.evaluation(), gone);
        if (!gone.isEmpty()) {
            throw new PruningException(ErrorCode.INVALID_RECIPE, gone);
        }
    }

    private static void requireThere(String field, CorpusRef corpus, List<Violation> gone) {
        if (corpus != null && corpus.path() != null && !Files.isRegularFile(Path.of(corpus.path()))) {
            gone.add(new Violation(field, corpus.path(), "the file that was there when the job was ordered"));
        }
    }

    private void publish(Lease lease, PruningRun.Outcome outcome) throws IOException {
        jobs.enter(lease, Phase.PUBLISH);
        Artifact artifact = artifacts.move(outcome.artifact(), lease.artifactId(), lease.jobId(), outcome.result().digests().artifact());
        try {
            transaction.executeWithoutResult(status -> {
                artifacts.record(artifact);
                shelf.keep(lease.scoreSetId(), lease.jobId(), outcome.scores(), outcome.summary());
                jobs.succeed(lease, outcome.result(), artifact.id(), lease.scoreSetId());
            });
        } catch (RuntimeException | Error e) {
            try {
                // why not simply delete: a commit whose answer was lost may have happened, and then a row refers to it
                artifacts.sweep(artifact.id()::equals);
            } catch (IOException | RuntimeException unswept) {
                e.addSuppressed(unswept);
            }
            throw e;
        }
    }

    /** Tells the job why its run ended early. A cancel that came in the meantime beats every other reason. */
    private Ending ended(Lease lease, Throwable thrown) {
        if (thrown instanceof LeaseLostException lost) {
            throw lost;
        }
        // why: a run that is interrupted while the process stops fails in many ways, and none of them is the order's fault
        if (shuttingDown && !(thrown instanceof PruningException)) {
            Thread.interrupted();
            return settle(lease, jobs::release, Ending.HANDED_BACK);
        }
        if (thrown instanceof Progress.StoppedException || thrown instanceof JobStateException) {
            return settle(lease, jobs::confirmCancelled, Ending.DONE);
        }
        if (Failure.ofDatabase(thrown)) {
            throw (RuntimeException) thrown;
        }
        JobError error = Failure.of(thrown);
        log.warn("the run failed with {}: {}", error.code(), error.message(), thrown instanceof PruningException ? null : thrown);
        return settle(lease, held -> jobs.fail(held, error), Ending.DONE);
    }

    private Ending settle(Lease lease, Consumer<Lease> verb, Ending ending) {
        try {
            verb.accept(lease);
            return ending;
        } catch (JobStateException cancelling) {
            jobs.confirmCancelled(lease);
            return Ending.DONE;
        }
    }

    /** Deletes what attempts left behind that are over: their work directories, and artifacts that were moved but not recorded. */
    void sweep() {
        try {
            Files.createDirectories(root);
            try (Stream<Path> directories = Files.list(root)) {
                for (Path directory : directories.toList()) {
                    String left = directory.getFileName().toString();
                    int dash = left.lastIndexOf('-');
                    if (dash > 0 && !jobs.holds(left.substring(0, dash), Integer.parseInt(left.substring(dash + 1)))) {
                        FileSystemUtils.deleteRecursively(directory);
                    }
                }
            }
            artifacts.sweep(id -> !jobs.mayPublish(id));
        } catch (IOException e) {
            log.warn("leftovers of earlier attempts were not deleted; the next job tries again: {}", e.toString());
        }
    }

    private static void delete(Path directory) {
        try {
            FileSystemUtils.deleteRecursively(directory);
        } catch (IOException e) {
            log.warn("{} was not deleted; the next job tries again: {}", directory, e.toString());
        }
    }
}
