package io.espalier.api;

import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.stream.LongStream;

import io.espalier.catalog.ScoreSet;
import io.espalier.plan.Curve;
import io.espalier.plan.Forecast;
import io.espalier.recipe.Loadability;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.Precision;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult.Achieved;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreSummary;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/** A score set as the outside sees it; {@code summary} is {@code null} in a list. */
@JsonNaming(SnakeCaseStrategy.class)
record ScoreSetView(String id, Instant createdAt, String address, String fingerprint, String model, String modelSha256,
        String calibrationSha256, MethodChoice method, Precision precision, String unit, Long tokens, long bytes, String sha256,
        JobLink job, ScoreSummary summary, Links links) {

    record JobLink(String id, String href) {}

    /** {@code null} for what a set of an older version cannot answer. */
    record Links(String self, String coverage, String curve, String plans) {}

    static ScoreSetView of(ScoreSet set) {
        return of(set, set.summary());
    }

    static ScoreSetView listed(ScoreSet set) {
        return of(set, null);
    }

    private static ScoreSetView of(ScoreSet set, ScoreSummary summary) {
        ScoreOrigin origin = set.origin() == null
                ? new ScoreOrigin(null, null, null, null, null, MethodChoice.of(set.summary().method()), null)
                : set.origin();
        String self = ScoreSetController.PATH + "/" + set.id();
        boolean whole = set.origin() != null;
        return new ScoreSetView(set.id(), set.createdAt(), origin.address(), origin.fingerprint(), origin.model(), origin.modelSha256(),
                origin.calibrationSha256(), origin.method(), origin.precision(), set.summary().unit(), set.summary().tokens(), set.bytes(),
                set.sha256(), set.jobId() == null ? null : new JobLink(set.jobId(), JobView.href(set.jobId())), summary,
                new Links(self, self + "/coverage", whole ? self + "/curve" : null, whole ? self + "/plans" : null));
    }

    /** What an order would do, and the order, ready to be posted. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Plan(String scoreSet, PruningRecipe recipe, Forecast.Size before, Forecast.Size after, Achieved achieved,
            Double predictedLossChange, List<Forecast.Layer> layers, List<Loadability> compatibility) {

        static Plan of(ScoreSet set, PruningRecipe recipe, Forecast forecast) {
            return new Plan(set.id(), recipe, forecast.before(), forecast.after(), forecast.achieved(), forecast.predictedLossChange(),
                    forecast.layers(), forecast.compatibility());
        }
    }

    /** What every ratio would do, layout by layout. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Curves(String scoreSet, Forecast.Size before, List<Curve> layouts) {}

    /**
     * How well the calibration tokens reached the experts; without any for methods that see none.
     *
     * @param underFloor experts that fewer tokens reached than the floor, fewest first
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Coverage(String scoreSet, Long tokens, int floor, Long minRoutedTokens, Double medianRoutedTokens, Long maxRoutedTokens,
            List<Expert> underFloor, List<Layer> layers, ScoreSummary.Agreement agreement) {

        @JsonNaming(SnakeCaseStrategy.class)
        record Expert(int layer, int expert, long routedTokens) {}

        /** @param routedTokens expert by expert */
        @JsonNaming(SnakeCaseStrategy.class)
        record Layer(int layer, long[] routedTokens) {}

        static Coverage of(ScoreSet set, int floor) {
            ScoreSummary summary = set.summary();
            if (summary.tokens() == null) {
                return new Coverage(set.id(), null, floor, null, null, null, List.of(), List.of(), null);
            }
            List<Expert> experts = summary.layers().stream().flatMap(layer -> layer.experts().stream()
                    .map(expert -> new Expert(layer.layer(), expert.expert(), expert.routedTokens()))).toList();
            long[] routed = experts.stream().mapToLong(Expert::routedTokens).sorted().toArray();
            return new Coverage(set.id(), summary.tokens(), floor, routed.length == 0 ? null : Long.valueOf(routed[0]), median(routed),
                    routed.length == 0 ? null : Long.valueOf(routed[routed.length - 1]),
                    experts.stream().filter(expert -> expert.routedTokens() < floor)
                            .sorted(Comparator.comparingLong(Expert::routedTokens)).toList(),
                    summary.layers().stream().map(layer -> new Layer(layer.layer(),
                            layer.experts().stream().mapToLong(ScoreSummary.Expert::routedTokens).toArray())).toList(),
                    summary.agreement());
        }

        private static Double median(long[] sorted) {
            int half = sorted.length / 2;
            return sorted.length == 0
                    ? null
                    : Double.valueOf(LongStream.of(sorted[(sorted.length - 1) / 2], sorted[half]).average().orElseThrow());
        }
    }
}
