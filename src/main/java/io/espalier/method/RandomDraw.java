package io.espalier.method;

import java.util.SplittableRandom;

/**
 * The control: {@code s_k} uniform on [0, 1), drawn in (layer, expert, atom) order from a seeded generator. A criterion that does not beat it has found
 * nothing.
 *
 * @param seed of the generator
 */
record RandomDraw(long seed) implements Criterion {

    @Override
    public Scores score(Evidence evidence) {
        SplittableRandom random = new SplittableRandom(seed);
        double[][] values = new double[evidence.experts().size()][];
        for (int e = 0; e < values.length; e++) {
            values[e] = random.doubles(evidence.experts().get(e).width()).toArray();
        }
        return new Scores(values, null, Scores.RANK_ONLY);
    }
}
