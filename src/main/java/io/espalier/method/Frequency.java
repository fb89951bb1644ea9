package io.espalier.method;

/**
 * Whole experts by how often they are used: {@code s = number of calibration tokens routed to the expert}, the same for all of its atoms. The router is
 * left as it is. The oldest baseline for expert pruning.
 */
record Frequency() implements Criterion {

    @Override
    public boolean wholeExperts() {
        return true;
    }

    @Override
    public Scores score(Evidence evidence) {
        double[][] values = new double[evidence.experts().size()][];
        for (int e = 0; e < values.length; e++) {
            values[e] = new double[evidence.experts().get(e).width()];
            java.util.Arrays.fill(values[e], evidence.statistics().routedTokens(e));
        }
        return new Scores(values, null, "routed tokens of the whole expert");
    }
}
