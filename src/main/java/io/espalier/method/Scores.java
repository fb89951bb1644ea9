package io.espalier.method;

import io.espalier.transformer.NotFiniteException;

/**
 * What a criterion says.
 *
 * @param values a score for every atom, [expert ordinal][atom], higher stays longer; plus or minus infinity where the policy for experts that no token
 *     reached puts them above or below all measured ones
 * @param lossWeight what a value is to be multiplied with to be what removing the atom is expected to add to the mean negative log-likelihood of a
 *     calibration token (nats), [expert ordinal]; 0 where no token reached the expert, whatever the values; {@code null} when the criterion is not in
 *     units of loss
 * @param unit what a value is, as a phrase
 */
public record Scores(double[][] values, double[] lossWeight, String unit) {

    static final String RANK_ONLY = "rank only";

    public Scores {
        for (int e = 0; e < values.length; e++) {
            for (int k = 0; k < values[e].length; k++) {
                if (Double.isNaN(values[e][k])) {
                    throw new NotFiniteException("score of expert ordinal " + e + ", atom " + k + ": NaN (expected: a number)");
                }
            }
        }
    }
}
