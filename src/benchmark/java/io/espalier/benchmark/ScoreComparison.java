package io.espalier.benchmark;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

import io.espalier.calibration.ExpertStatistics;
import io.espalier.transformer.Compute;

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
        double[] x = IntStream.of(same).boxed().flatMapToDouble(e -> Arrays.stream(given[e])).toArray();
        double[] y = IntStream.of(same).boxed().flatMapToDouble(e -> Arrays.stream(expected[e])).toArray();
        double largest = 0;
        for (int i = 0; i < x.length; i++) {
            largest = Math.max(largest, Math.abs(x[i] - y[i]) / Math.abs(y[i]));
        }
        int differing = (int) IntStream.range(0, given.length).filter(e -> givenTokens[e] != expectedTokens[e]).count();
        return new ScoreComparison(largest, correlation(ranks(x), ranks(y)), differing);
    }

    /** Our scores against the published procedure's, both on the sum-reduced loss: a mean over n predictions has gradients n times smaller. */
    static ScoreComparison of(ExpertStatistics ours, PublishedProcedure.Result published, long predictions) {
        double scale = (double) predictions * predictions;
        double[][] expected = new double[published.scores().length][];
        for (int e = 0; e < expected.length; e++) {
            expected[e] = Arrays.stream(published.scores()[e]).map(score -> score * scale).toArray();
        }
        long[] tokens = IntStream.range(0, ours.experts()).mapToLong(ours::routedTokens).toArray();
        return of(EspalierSweep.scores(ours), tokens, expected, published.routedTokens());
    }

    /** Before any speed is shown: the same sweep on a model so small that the published procedure takes no time. */
    static void onTinyModel(Report report, Options options) {
        for (ModelShape shape : List.of(ModelShape.TINY_QWEN2, ModelShape.TINY_QWEN3)) {
            Path checkpoint = RandomCheckpoint.in(options.cache(), shape, 1);
            int[][] ids = RandomCheckpoint.tokens(4, 32, shape.vocabulary(), 2);
            try (PublishedProcedure procedure = new PublishedProcedure(checkpoint)) {
                of(EspalierSweep.run(checkpoint, ids, options.compute()), procedure.run(ids, 4, false), 4 * 31)
                        .show(report, "tiny " + shape.architecture() + ": ", options);
            }
        }
    }

    /** The correctness line. */
    void show(Report report, String where, Options options) {
        report.fact(where + "experts_with_other_token_counts", expertsDiffering);
        report.fact(where + "rank_correlation", rankCorrelation);
        if (options.precision() == Compute.Precision.FLOAT32) {
            report.bar(where + "largest relative difference of scores", largestRelativeDifference, "<=", 1e-3);
        } else {
            report.fact(where + "largest_relative_difference_of_scores", largestRelativeDifference);
        }
    }

    private static double[] ranks(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        double[] ranks = new double[values.length];
        for (int i = 0; i < ranks.length; i++) {
            ranks[i] = Arrays.binarySearch(sorted, values[i]);
        }
        return ranks;
    }

    private static double correlation(double[] x, double[] y) {
        double meanX = Arrays.stream(x).average().orElse(0);
        double meanY = Arrays.stream(y).average().orElse(0);
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
