package io.espalier.method;

import java.util.List;

import io.espalier.checkpoint.ExpertTensors;
import io.espalier.recipe.MethodChoice;

/** What becomes of experts that no calibration token reached: their means are 0/0, so somebody has to decide. */
final class Unrouted {

    private Unrouted() {}

    /** Fills the rows of unrouted experts by the policy; a layer without any measured expert keeps all of its atoms. */
    static void apply(MethodChoice.Unrouted policy, double[][] values, Evidence evidence) {
        List<ExpertTensors> experts = evidence.experts();
        for (int e = 0; e < values.length; e++) {
            if (evidence.statistics().routedTokens(e) == 0) {
                java.util.Arrays.fill(values[e], switch (policy) {
                    case KEEP -> Double.POSITIVE_INFINITY;
                    case PRUNE -> Double.NEGATIVE_INFINITY;
                    case LAYER_MEAN -> layerMean(experts.get(e).layer(), values, evidence);
                });
            }
        }
    }

    private static double layerMean(int layer, double[][] values, Evidence evidence) {
        double sum = 0;
        long atoms = 0;
        for (int e = 0; e < values.length; e++) {
            if (evidence.experts().get(e).layer() == layer && evidence.statistics().routedTokens(e) > 0) {
                for (double value : values[e]) {
                    sum += value;
                    atoms++;
                }
            }
        }
        return atoms == 0 ? Double.POSITIVE_INFINITY : sum / atoms;
    }
}
