package io.espalier.method;

import java.util.EnumSet;
import java.util.Set;

import io.espalier.calibration.ExpertStatistics;
import io.espalier.calibration.Moment;
import io.espalier.recipe.MethodChoice;
import io.espalier.transformer.AtomNorms;

/**
 * Mean energy an atom adds to the expert's output, gradients aside: {@code s_k = E[a_k^2] * |w_k|^2}, with a_k the k-th input of the down projection, w_k
 * its k-th column, E the mean over the tokens routed to the expert; ranked as {@code s_k * f^gamma}, f the share of tokens that reach the expert. Needs a
 * forward sweep only.
 *
 * @param unrouted what becomes of experts that no token reached
 * @param tokenCountExponent gamma
 */
record Activation(MethodChoice.Unrouted unrouted, double tokenCountExponent) implements Criterion {

    @Override
    public Set<Moment> moments() {
        return EnumSet.of(Moment.ACTIVATION_SQUARED);
    }

    @Override
    public Scores score(Evidence evidence) {
        ExpertStatistics statistics = evidence.statistics();
        double[][] values = new double[statistics.experts()][];
        for (int e = 0; e < values.length; e++) {
            double[] aa = statistics.mean(Moment.ACTIVATION_SQUARED, e);
            double[] w = AtomNorms.of(evidence.checkpoint(), evidence.experts().get(e)).down();
            double f = (double) statistics.routedTokens(e) / statistics.tokens();
            values[e] = new double[aa.length];
            for (int k = 0; k < aa.length && f > 0; k++) {
                values[e][k] = aa[k] * w[k] * w[k] * Math.pow(f, tokenCountExponent);
            }
        }
        Unrouted.apply(unrouted, values, evidence);
        return new Scores(values, null, Scores.RANK_ONLY);
    }
}
