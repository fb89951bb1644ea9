package io.espalier.recipe;

import java.util.List;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * Scores, summed up for a person: a line a layer, a line an expert.
 *
 * @param method the criterion
 * @param unit what a score is: {@code nats per routed token} for heapr, else {@code rank only}
 * @param tokens calibration tokens; {@code null} for methods that see none
 * @param layers MoE layers, in order
 */
@JsonNaming(SnakeCaseStrategy.class)
public record ScoreSummary(MethodName method, String unit, Long tokens, List<Layer> layers) {

    /**
     * @param layer index of the decoder layer
     * @param mean over the layer's atoms with a finite score; {@code null} when there is none
     * @param min likewise
     * @param max likewise
     * @param keptAtoms of this layer, by the job's plan
     * @param experts in order
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Layer(int layer, Double mean, Double min, Double max, long keptAtoms, List<Expert> experts) {}

    /**
     * @param expert index within the layer
     * @param routedTokens calibration tokens that reached it; {@code null} for methods that see none
     * @param mean over its atoms with a finite score; {@code null} when there is none
     * @param min likewise
     * @param max likewise
     * @param width atoms before
     * @param keptWidth atoms after, by the job's plan
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Expert(int expert, Long routedTokens, Double mean, Double min, Double max, int width, int keptWidth) {}
}
