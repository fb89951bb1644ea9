package io.espalier.worker;

import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.recipe.Progress;

/** What a worker does with a job once it has one: {@link PruningRun#execute}, and in tests whatever a test needs. */
@FunctionalInterface
interface Workshop {
    PruningRun.Outcome execute(PruningRun.Inputs inputs, ComputeDevice device, Progress progress);
}
