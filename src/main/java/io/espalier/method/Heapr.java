package io.espalier.method;

import java.util.EnumSet;
import java.util.Set;

import io.espalier.calibration.ExpertStatistics;
import io.espalier.calibration.Moment;
import io.espalier.recipe.MethodChoice;

/**
 * HEAPr, Hessian-based efficient atomic-expert pruning in output space (arXiv 2509.22299, ICLR 2026).
 *
 * <pre>
 *   s_k = 1/2 * E[e_k' G e_k]            the paper: e_k = w_k a_k, G = E[g g'], g = dL/dE(x)
 *       = 1/2 * E[a_k^2] * (w_k' G w_k)
 *       = 1/2 * E[a_k^2] * E[da_k^2]     because da_k = dL/da_k = w_k' g
 * </pre>
 *
 * <ul>
 * <li>a_k(t): k-th input of the expert's down projection, float32</li>
 * <li>da_k(t): gradient of the sum-reduced loss with respect to it, router weight included, float32</li>
 * <li>E: mean over the tokens t routed to the expert; sums in float64</li>
 * <li>w_k: column k of the down projection; it does not appear in the computation</li>
 * </ul>
 *
 * <p>
 * State: two vectors of the expert's width, where the paper's form needs a hidden x hidden matrix; one forward and one activation-only backward, where it
 * needs a second forward. The score ranks as {@code s_k * f^gamma}, f the share of calibration tokens that reach the expert: gamma 0 is the paper's, gamma
 * 1 weighs by expected harm a token. {@code s_k * f} is the predicted change of the mean negative log-likelihood (nats a token).
 *
 * @param unrouted what becomes of experts that no token reached
 * @param tokenCountExponent gamma
 */
record Heapr(MethodChoice.Unrouted unrouted, double tokenCountExponent) implements Criterion {

    @Override
    public Set<Moment> moments() {
        return EnumSet.of(Moment.ACTIVATION_SQUARED, Moment.GRADIENT_SQUARED);
    }

    @Override
    public Scores score(Evidence evidence) {
        ExpertStatistics statistics = evidence.statistics();
        double[][] values = new double[statistics.experts()][];
        double[] lossWeight = new double[statistics.experts()];
        for (int e = 0; e < values.length; e++) {
            double[] aa = statistics.mean(Moment.ACTIVATION_SQUARED, e);
            double[] dd = statistics.mean(Moment.GRADIENT_SQUARED, e);
            double f = (double) statistics.routedTokens(e) / statistics.tokens();
            values[e] = new double[aa.length];
            // s * f, of what s * f^gamma is known
            lossWeight[e] = f > 0 ? Math.pow(f, 1 - tokenCountExponent) : 0;
            for (int k = 0; k < aa.length && f > 0; k++) {
                values[e][k] = 0.5 * aa[k] * dd[k] * Math.pow(f, tokenCountExponent);
            }
        }
        Unrouted.apply(unrouted, values, evidence);
        return new Scores(values, lossWeight, tokenCountExponent == 0
                ? "nats per routed token"
                : "nats per routed token, times routed share to the power " + tokenCountExponent);
    }
}
