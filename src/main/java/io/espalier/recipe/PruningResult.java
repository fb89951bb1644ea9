package io.espalier.recipe;

import java.math.BigDecimal;
import java.util.List;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What came out of a run, as measured.
 *
 * @param before the model that was given
 * @param after the model that was written, opened again by our own reader
 * @param achieved what was removed, against what was ordered
 * @param coverage how well the calibration tokens covered the experts; {@code null} for methods that see no tokens
 * @param perplexity {@code null} when no evaluation was ordered
 * @param predictedLossChange mean negative log-likelihood a token that the scores say the removed atoms were worth (nats); {@code null} where the
 *     criterion is not in units of loss
 * @param digests what the result is a function of
 * @param compatibility which engines open the written model, one entry an engine; derived from sources and documentation, no engine was run
 * @param continuations what both models say behind the same prompts; {@code null} when none were ordered
 * @param further what came of the further outputs, in the order's order
 */
@JsonNaming(SnakeCaseStrategy.class)
public record PruningResult(Size before, Size after, Achieved achieved, Coverage coverage, Perplexity perplexity,
        Double predictedLossChange,
        Digests digests, List<Loadability> compatibility, Continuations continuations, List<Further> further) {

    public PruningResult {
        compatibility = compatibility == null ? List.of() : List.copyOf(compatibility);
        further = further == null ? List.of() : List.copyOf(further);
    }

    /**
     * What came of a further output; what is not here is the same as for the first.
     *
     * @param output as ordered
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Further(Output output, Size after, Achieved achieved, Perplexity perplexity, Double predictedLossChange, Digests digests,
            List<Loadability> compatibility, Continuations continuations) {}

    /** The first output's figures, with those of the others. */
    public PruningResult with(List<Further> others) {
        return new PruningResult(before, after, achieved, coverage, perplexity, predictedLossChange, digests, compatibility, continuations,
                others);
    }

    /** The figures that a further output has of its own. */
    public Further as(Output output) {
        return new Further(output, after, achieved, perplexity, predictedLossChange, digests, compatibility, continuations);
    }

    /** The same figures and what the models say. */
    public PruningResult with(Continuations said) {
        return new PruningResult(before, after, achieved, coverage, perplexity, predictedLossChange, digests, compatibility, said, further);
    }

    /**
     * How big a model is.
     *
     * @param totalParameters all of them
     * @param activeParameters those that work for one token: all but the experts that are not selected; mean expert width where widths differ
     * @param routedAtoms atomic experts of all routed experts
     * @param bytes of all tensors
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Size(long totalParameters, long activeParameters, long routedAtoms, long bytes) {}

    /**
     * @param requestedRatio as ordered; {@code null} where a target was ordered
     * @param ratioOf of what; {@code null} where a target was ordered
     * @param atomsRemoved routed atoms that are gone
     * @param routedAtomRatio their share of the routed atoms
     * @param totalParameterRatio share of all parameters that is gone
     * @param byteRatio share of all tensor bytes that is gone
     * @param minWidth narrowest kept expert (atoms)
     * @param maxWidth widest kept expert (atoms)
     * @param emptyExperts experts left without an atom, which the router still knows
     * @param removedExperts experts that are gone, router rows and all; 0 in results from before there was such a layout
     * @param alignment what every kept width was made a multiple of (atoms); 1 in results from before it was said
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Achieved(BigDecimal requestedRatio, Budget.RatioOf ratioOf, long atomsRemoved, double routedAtomRatio,
            double totalParameterRatio,
            double byteRatio, int minWidth, int maxWidth, int emptyExperts, Integer removedExperts, Integer alignment) {

        public Achieved {
            removedExperts = removedExperts == null ? 0 : removedExperts;
            alignment = alignment == null ? 1 : alignment;
        }
    }

    /**
     * @param tokens calibration tokens that went through the model
     * @param minRoutedTokens of the least visited expert
     * @param medianRoutedTokens over all experts
     * @param unroutedExperts experts that no token reached, as {@code layer:expert}
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Coverage(long tokens, long minRoutedTokens, double medianRoutedTokens, List<String> unroutedExperts) {}

    /**
     * {@code exp(sum of negative log-likelihoods / predicted tokens)} over the evaluation windows.
     *
     * @param before of the given model
     * @param after of the written model
     * @param randomControl of the same budget and layout with atoms drawn at random; {@code null} when not ordered
     * @param predictedTokens that each is a mean over
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Perplexity(double before, double after, Double randomControl, long predictedTokens) {}

    /**
     * SHA-256 digests, hexadecimal.
     *
     * @param model of the given checkpoint's content
     * @param tokenizer of its tokenizer; {@code null} when it has none
     * @param calibration of the calibration token ids; {@code null} for methods that see none
     * @param scores of the scores file
     * @param plan of the keep-plan
     * @param artifact of the list of all written files and their digests
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Digests(String model, String tokenizer, String calibration, String scores, String plan, String artifact) {}

    /** The same with the digest of the written files, which is known last: the manifest inside them cannot hold it. */
    public PruningResult summed(String artifact) {
        return new PruningResult(before, after, achieved, coverage, perplexity, predictedLossChange,
                new Digests(digests.model, digests.tokenizer, digests.calibration, digests.scores, digests.plan, artifact), compatibility,
                continuations, further);
    }
}
