package io.espalier.method;

import io.espalier.transformer.AtomNorms;

/**
 * Weights alone: {@code s_k = |row k of gate| * |row k of up| * |column k of down|}, Euclidean norms. No token is looked at.
 */
record Magnitude() implements Criterion {

    @Override
    public Scores score(Evidence evidence) {
        double[][] values = new double[evidence.experts().size()][];
        for (int e = 0; e < values.length; e++) {
            AtomNorms norms = AtomNorms.of(evidence.checkpoint(), evidence.experts().get(e));
            values[e] = new double[norms.down().length];
            for (int k = 0; k < values[e].length; k++) {
                values[e][k] = norms.gate()[k] * norms.up()[k] * norms.down()[k];
            }
        }
        return new Scores(values, null, Scores.RANK_ONLY);
    }
}
