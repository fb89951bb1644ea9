package io.espalier.recipe;

import java.util.List;

import com.fasterxml.jackson.annotation.JsonInclude;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * Scores, summed up for a person: a line a layer, a line an expert.
 *
 * @param method the criterion
 * @param unit what a score is: {@code nats per routed token} for heapr, else {@code rank only}
 * @param tokens calibration tokens; {@code null} for methods that see none
 * @param layers MoE layers, in order
 * @param agreement of the two halves of the calibration; {@code null} when it was not measured in halves
 */
@JsonNaming(SnakeCaseStrategy.class)
public record ScoreSummary(MethodName method, String unit, Long tokens, List<Layer> layers, Agreement agreement) {

    public ScoreSummary {
        layers = layers == null ? List.of() : List.copyOf(layers);
    }

    /** Scores whose halves were not compared. */
    public ScoreSummary(MethodName method, String unit, Long tokens, List<Layer> layers) {
        this(method, unit, tokens, layers, null);
    }

    /**
     * How much two disjoint halves of the calibration, each scored by itself, say the same: over the atoms of experts that both halves reached.
     *
     * @param tokens of the first half and of the second
     * @param atoms that were compared
     * @param spearman rank correlation of their scores, -1 to 1; {@code null} where all scores of a half are equal
     * @param jaccard for some ratios, how much alike the atoms are that each half would remove
     */
    public record Agreement(List<Long> tokens, long atoms, Double spearman, List<Overlap> jaccard) {}

    /**
     * @param ratio share of the atoms that each half removes
     * @param jaccard those that both remove, as a share of those that either does
     */
    public record Overlap(double ratio, double jaccard) {}

    /** The same without what depends on one job's plan. */
    public ScoreSummary withoutPlan() {
        return new ScoreSummary(method, unit, tokens, layers.stream().map(layer -> new Layer(layer.layer, layer.mean, layer.min, layer.max,
                null, layer.experts.stream().map(expert -> new Expert(expert.expert, expert.routedTokens, expert.mean, expert.min,
                        expert.max, expert.width, null)).toList()))
                .toList(), agreement);
    }

    /**
     * @param layer index of the decoder layer
     * @param mean over the layer's atoms with a finite score; {@code null} when there is none
     * @param min likewise
     * @param max likewise
     * @param keptAtoms of this layer, by the job's plan; {@code null} where there is no plan
     * @param experts in order
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Layer(int layer, Double mean, Double min, Double max,
            @JsonInclude(JsonInclude.Include.NON_NULL) Long keptAtoms, List<Expert> experts) {}

    /**
     * @param expert index within the layer
     * @param routedTokens calibration tokens that reached it; {@code null} for methods that see none
     * @param mean over its atoms with a finite score; {@code null} when there is none
     * @param min likewise
     * @param max likewise
     * @param width atoms before
     * @param keptWidth atoms after, by the job's plan; {@code null} where there is no plan
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Expert(int expert, Long routedTokens, Double mean, Double min, Double max, int width,
            @JsonInclude(JsonInclude.Include.NON_NULL) Integer keptWidth) {}
}
