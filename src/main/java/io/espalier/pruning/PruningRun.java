package io.espalier.pruning;

import java.nio.file.Path;

import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.ScoreSummary;

/** One run, whole: open, calibrate, score, plan, cut, check. The door between the office and the workshop. */
public final class PruningRun {

    /**
     * What a run starts from; every name is resolved, every path allowed.
     *
     * @param recipe the order as posted
     * @param model directory of the checkpoint
     * @param calibration path or text of the calibration corpus, or {@code null} when the method sees no tokens
     * @param evaluation path or text of the evaluation corpus, or {@code null} when none was ordered
     * @param workDirectory an empty directory of this run's own; the caller deletes it
     */
    public record Inputs(PruningRecipe recipe, Path model, CorpusRef calibration, CorpusRef evaluation, Path workDirectory) {}

    /**
     * What a run leaves in its work directory.
     *
     * @param result the figures
     * @param artifact directory with every file of the pruned model, finished and summed in {@code SHA256SUMS}
     * @param scores safetensors file of the scores and the statistics behind them
     * @param summary the scores by layer and expert
     */
    public record Outcome(PruningResult result, Path artifact, Path scores, ScoreSummary summary) {}

    private PruningRun() {}

    /**
     * Runs on the calling thread, which must own the device until this returns.
     *
     * @throws io.espalier.recipe.PruningException when the order cannot be carried out, with a stable code
     * @throws Progress.StoppedException when progress answers not to go on
     */
    public static Outcome execute(Inputs inputs, ComputeDevice device, Progress progress) {
        throw new IllegalStateException("written next");
    }
}
