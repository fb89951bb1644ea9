package io.espalier.recipe;

import java.util.List;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What two models say behind the same prompts, side by side.
 *
 * @param prompts in the order of their windows
 * @param tokensAgreeing summed over the prompts
 * @param agreeingShare of the tokens that the given model said
 * @param seconds that decoding took: both models here, the written one alone for a further output
 */
@JsonNaming(SnakeCaseStrategy.class)
public record Continuations(List<Continued> prompts, long tokensAgreeing, double agreeingShare, double seconds) {

    public Continuations {
        prompts = List.copyOf(prompts);
    }

    /** Sums up. */
    public static Continuations of(List<Continued> prompts, double seconds) {
        long agreeing = prompts.stream().mapToLong(Continued::tokensAgreeing).sum();
        return new Continuations(prompts, agreeing, (double) agreeing / prompts.stream().mapToLong(each -> each.before.ids.size()).sum(),
                seconds);
    }

    /** Tokens that were found behind prompts. */
    public long found(boolean given) {
        return prompts.stream().mapToLong(each -> each.after.ids.size() + (given ? each.before.ids.size() : 0)).sum();
    }

    /**
     * One prompt and what follows it.
     *
     * @param window index of the evaluation window that it begins
     * @param prompt the tokens given
     * @param reference what the corpus goes on with
     * @param before what the given model says
     * @param after what the written model says
     * @param tokensAgreeing length of the common beginning of both
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Continued(int window, Passage prompt, Passage reference, Passage before, Passage after, int tokensAgreeing) {}

    /**
     * @param text of the tokens; {@code null} where the model has no tokenizer
     * @param ids of the tokens
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Passage(String text, List<Integer> ids) {}
}
