package io.espalier.worker;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.function.Supplier;
import java.util.stream.Stream;

import io.espalier.artifact.Artifact;
import io.espalier.artifact.Artifacts;
import io.espalier.job.Lease;
import io.espalier.job.PieceReports;
import io.espalier.pruning.PruningRun;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PhaseProgress;

/** How what a run brought forth becomes artifacts and scores: files first, then every row and the job's success in one transaction. */
final class Publication {

    private final PieceReports reports;
    private final Worker.Products products;
    private final Insistence insistence;

    Publication(PieceReports reports, Worker.Products products, Insistence insistence) {
        this.reports = reports;
        this.products = products;
        this.insistence = insistence;
    }

    /**
     * Moves every output of a run to where artifacts lie, and ends the job well with all of them, or, when that fails, with none.
     *
     * @param watched opens the progress that is told while files move
     */
    void publish(Lease lease, PruningRun.Outcome outcome, Supplier<WatchedProgress> watched) throws Exception {
        Artifacts artifacts = products.artifacts();
        List<Artifact> moved = new ArrayList<>();
        try {
            try (WatchedProgress progress = watched.get()) {
                move(lease, outcome, artifacts, moved, new PhaseProgress(progress, Phase.PUBLISH, 99, 100));
            }
            insistence.write(() -> products.transaction().executeWithoutResult(status -> {
                // why asked: a commit whose answer was lost may have happened
                if (!reports.done(lease)) {
                    moved.forEach(artifacts::record);
                    reports.succeed(lease, outcome.result(), moved.getFirst().id(), shelve(lease, outcome));
                }
            }));
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
}
