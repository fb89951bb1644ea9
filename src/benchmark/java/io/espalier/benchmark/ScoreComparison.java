package io.espalier.benchmark;

import java.util.stream.IntStream;

/**
 * How far two sets of scores agree, over the experts that got as many tokens on both sides: where two experts' router probabilities are equal to the
 * last bits, rounding sends a token either way, and such an expert's scores are of other tokens.
 *
 * @param largestRelativeDifference of one atom's score
 * @param rankCorrelation Spearman's, over all atoms together
 * @param expertsDiffering experts that got another number of tokens, left out
 */
record ScoreComparison(double largestRelativeDifference, double rankCorrelation, int expertsDiffering) {

    static ScoreComparison of(double[][] given, long[] givenTokens, double[][] expected, long[] expectedTokens) {
        int[] same = IntStream.range(0, given.length).filter(e -> givenTokens[e] == expectedTokens[e] && givenTokens[e] > 0).toArray();
        double[] x = IntStream.of(same).boxed().flatMapToDouble(e -> java.util.Arrays.stream(given[e])).toArray();
        double[] y = IntStream.of(same).boxed().flatMapToDouble(e -> java.util.Arrays.stream(expected[e])).toArray();
        double largest = 0;
        for (int i = 0; i < x.length; i++) {
            largest = Math.max(largest, Math.abs(x[i] - y[i]) / Math.abs(y[i]));
        }
        int differing = (int) IntStream.range(0, given.length).filter(e -> givenTokens[e] != expectedTokens[e]).count();
        return new ScoreComparison(largest, correlation(ranks(x), ranks(y)), differing);
    }

    private static double[] ranks(double[] values) {
        double[] sorted = values.clone();
        java.util.Arrays.sort(sorted);
        double[] ranks = new double[values.length];
        for (int i = 0; i < ranks.length; i++) {
            ranks[i] = java.util.Arrays.binarySearch(sorted, values[i]);
        }
        return ranks;
    }

    private static double correlation(double[] x, double[] y) {
        double meanX = java.util.Arrays.stream(x).average().orElse(0);
        double meanY = java.util.Arrays.stream(y).average().orElse(0);
        double xy = 0;
        double xx = 0;
        double yy = 0;
        for (int i = 0; i < x.length; i++) {
            xy += (x[i] - meanX) * (y[i] - meanY);
            xx += (x[i] - meanX) * (x[i] - meanX);
            yy += (y[i] - meanY) * (y[i] - meanY);
        }
        return xy / Math.sqrt(xx * yy);
    }
}
