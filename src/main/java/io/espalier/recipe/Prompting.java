package io.espalier.recipe;

import java.util.List;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What the models are asked to continue. Prompt i is the beginning of evaluation window {@code floor(i * windows / prompts)}; what the window goes on with
 * is the reference.
 *
 * @param prompts how many; 4 when absent, or one a window where there are fewer
 * @param promptTokens tokens a prompt; 32 when absent
 * @param tokens that follow at most; 32 when absent
 */
@JsonNaming(SnakeCaseStrategy.class)
public record Prompting(Integer prompts, Integer promptTokens, Integer tokens) {

    /** More than anybody reads. */
    public static final int MAX_PROMPTS = 16;

    /** Longest prompt, in tokens. */
    public static final int MAX_PROMPT_TOKENS = 512;

    /** Longest continuation, in tokens. */
    public static final int MAX_TOKENS = 128;

    private static final int PROMPTS = 4;
    private static final int TOKENS = 32;

    /** With all that was filled in. */
    Prompting among(int windows) {
        return new Prompting(prompts == null ? Math.clamp(windows, 1, PROMPTS) : prompts, promptTokens == null ? TOKENS : promptTokens,
                tokens == null ? TOKENS : tokens);
    }

    /** Tokens of a window that are looked at: the prompt and what follows it. */
    public int length() {
        return promptTokens + tokens;
    }

    /** Index of the evaluation window that a prompt begins. */
    public int window(int prompt, int windows) {
        return (int) ((long) prompt * windows / prompts);
    }

    void violations(String at, int windows, List<Violation> found) {
        within(at + ".prompts", prompts, MAX_PROMPTS, found);
        within(at + ".prompt_tokens", promptTokens, MAX_PROMPT_TOKENS, found);
        within(at + ".tokens", tokens, MAX_TOKENS, found);
        if (prompts <= MAX_PROMPTS && prompts > windows && windows > 0) {
            found.add(new Violation(at + ".prompts", prompts.toString(),
                    "at most evaluation.windows, " + windows + ", because every prompt begins another window"));
        }
    }

    private static void within(String field, int given, int most, List<Violation> found) {
        if (given < 1 || given > most) {
            found.add(new Violation(field, String.valueOf(given), "an integer from 1 to " + most));
        }
    }

    /** Adds what is wrong where windows are shorter than a prompt and what follows it. */
    public void fits(String at, int sequenceLength, List<Violation> found) {
        if (inRange() && length() > sequenceLength) {
            found.add(new Violation(at + ".tokens", promptTokens + " of the prompt and " + tokens + " behind it",
                    "together at most " + sequenceLength + ", the length of an evaluation window"));
        }
    }

    private boolean inRange() {
        return promptTokens >= 1 && promptTokens <= MAX_PROMPT_TOKENS && tokens >= 1 && tokens <= MAX_TOKENS;
    }
}
