package io.espalier.recipe;

import java.util.List;

import com.fasterxml.jackson.annotation.JsonInclude;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * Held-out text on which perplexity is measured before and after, in non-overlapping windows spread evenly over the text.
 *
 * @param corpus which text; it should not be the calibration text
 * @param windows how many; 64 when absent
 * @param sequenceLength tokens a window; the calibration's when absent
 * @param randomControl whether the same budget is also pruned at random and measured; true when absent
 * @param continuations what both models are asked to continue; {@code null} for nothing
 */
@JsonNaming(SnakeCaseStrategy.class)
public record Evaluation(CorpusRef corpus, Integer windows, Integer sequenceLength, Boolean randomControl,
        @JsonInclude(JsonInclude.Include.NON_NULL) Prompting continuations) {

    public Evaluation {
        windows = windows == null ? 64 : windows;
        randomControl = randomControl == null || randomControl;
        continuations = continuations == null ? null : continuations.among(windows);
    }

    /** Perplexity alone. */
    public Evaluation(CorpusRef corpus, Integer windows, Integer sequenceLength, Boolean randomControl) {
        this(corpus, windows, sequenceLength, randomControl, null);
    }

    void violations(String at, List<Violation> found) {
        if (corpus == null) {
            found.add(Violation.missing(at + ".corpus", "a registered corpus, a path or a text"));
        } else {
            corpus.violations(at + ".corpus", found);
        }
        if (windows < 1) {
            found.add(new Violation(at + ".windows", windows.toString(), "at least 1"));
        }
        if (sequenceLength != null && sequenceLength < 2) {
            found.add(new Violation(at + ".sequence_length", sequenceLength.toString(), "at least 2, one token predicts the next"));
        }
        if (continuations != null) {
            continuations.violations(at + ".continuations", windows, found);
        }
    }
}
