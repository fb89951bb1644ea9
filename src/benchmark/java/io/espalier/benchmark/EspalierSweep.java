package io.espalier.benchmark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.calibration.ExpertStatistics;
import io.espalier.calibration.Moment;
import io.espalier.calibration.Sweep;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.corpus.TokenWindows;
import io.espalier.recipe.PhaseProgress;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.MemoryPlan;

/** Our side of every comparison: the product's own sweep for HEAPr, opened as a pruning run opens it. */
final class EspalierSweep {

    private EspalierSweep() {}

    /** From opening the checkpoint to finished statistics, fitted by the product's own plan into a budget without end. */
    static ExpertStatistics run(Path checkpoint, int[][] ids, Compute compute) {
        try {
            Path spill = Files.createTempDirectory("espalier-benchmark-");
            try (Checkpoint opened = Checkpoint.open(checkpoint)) {
                DecoderSpec spec = Architecture.specOf(opened);
                MemoryPlan plan = MemoryPlan.of(spec, new MemoryPlan.Work(ids.length, ids[0].length, true), compute.device(),
                        compute.precision(),
                        compute.lanes(), Long.MAX_VALUE);
                return sweep(opened, spec, ids, plan, spill);
            } finally {
                RandomCheckpoint.delete(spill);
            }
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    private static ExpertStatistics sweep(Checkpoint opened, DecoderSpec spec, int[][] ids, MemoryPlan plan, Path spill) {
        try (Decoder decoder = Decoder.open(opened, spec, KeptAtoms.ALL, plan.compute())) {
            return new Sweep(decoder, TokenWindows.of(ids), EnumSet.allOf(Moment.class), "benchmark", plan, spill)
                    .run(PhaseProgress.IGNORED);
        }
    }

    /** {@code E[a^2] E[da^2]}, for every expert: twice the paper's score, on the sum-reduced loss; NaN where no token came. */
    static double[][] scores(ExpertStatistics statistics) {
        double[][] scores = new double[statistics.experts()][];
        for (int e = 0; e < scores.length; e++) {
            double[] aa = statistics.mean(Moment.ACTIVATION_SQUARED, e);
            double[] dd = statistics.mean(Moment.GRADIENT_SQUARED, e);
            scores[e] = new double[aa.length];
            for (int k = 0; k < aa.length; k++) {
                scores[e][k] = aa[k] * dd[k];
            }
        }
        return scores;
    }
}
