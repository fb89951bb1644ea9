package io.espalier.worker;

import java.nio.file.Path;
import java.util.List;

import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.pruning.Saving;
import io.espalier.recipe.Progress;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.Slicing;

/** What a worker does with a piece of a job once it has one: the steps of {@link PruningRun}, and in tests whatever a test needs. */
@FunctionalInterface
interface Workshop {

    Run open(PruningRun.Inputs inputs, ComputeDevice device, Progress progress);

    /** An opened run. */
    interface Run extends AutoCloseable {
        Slicing slicing(long tokensPerSlice, Progress progress);

        /** @param saving {@code null}: nothing is saved on the way */
        Path measure(Slicing slicing, int slice, Path workDirectory, Saving saving, Progress progress);

        ScoreOrigin origin(Slicing slicing);

        PruningRun.Outcome finish(Slicing slicing, List<Path> statistics, Path workDirectory, Progress progress);

        PruningRun.Outcome finish(Slicing slicing, Path scores, Path workDirectory, Progress progress);

        @Override
        void close();
    }

    /**
     * The real thing.
     *
     * @param digests directory in which the digests of models are remembered
     */
    static Workshop real(Path digests) {
        return (inputs, device, progress) -> opened(PruningRun.open(inputs, digests, device, progress));
    }

    private static Run opened(PruningRun run) {
        return new Run() {
            @Override
            public Slicing slicing(long tokensPerSlice, Progress progress) {
                return run.slicing(tokensPerSlice, progress);
            }

            @Override
            public Path measure(Slicing slicing, int slice, Path workDirectory, Saving saving, Progress progress) {
                return run.measure(slicing, slice, workDirectory, saving, progress);
            }

            @Override
            public PruningRun.Outcome finish(Slicing slicing, List<Path> statistics, Path workDirectory, Progress progress) {
                return run.finish(slicing, statistics, workDirectory, progress);
            }

            @Override
            public ScoreOrigin origin(Slicing slicing) {
                return run.origin(slicing);
            }

            @Override
            public PruningRun.Outcome finish(Slicing slicing, Path scores, Path workDirectory, Progress progress) {
                return run.finish(slicing, scores, workDirectory, progress);
            }

            @Override
            public void close() {
                run.close();
            }
        };
    }
}
