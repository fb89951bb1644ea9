package io.espalier.recipe;

import java.util.List;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * The tokens that the scores are measured on: the corpus is tokenised in one piece and cut into non-overlapping windows, of which a seeded sample is
 * taken.
 *
 * @param corpus which text
 * @param sequences how many windows; 128 when absent
 * @param sequenceLength tokens a window; 2048 when absent
 * @param seed of the sample; 0 when absent
 */
@JsonNaming(SnakeCaseStrategy.class)
public record Calibration(CorpusRef corpus, Integer sequences, Integer sequenceLength, Long seed) {

    /** For criteria that look at weights only. */
    public static final Calibration NONE = new Calibration(null, null, null, null);

    public Calibration {
        sequences = sequences == null ? 128 : sequences;
        sequenceLength = sequenceLength == null ? 2048 : sequenceLength;
        seed = seed == null ? 0L : seed;
    }

    void violations(String at, List<Violation> found) {
        if (corpus == null) {
            found.add(Violation.missing(at + ".corpus", "a registered corpus, a path or a text"));
        } else {
            corpus.violations(at + ".corpus", found);
        }
        if (sequences < 1) {
            found.add(new Violation(at + ".sequences", sequences.toString(), "at least 1"));
        }
        if (sequenceLength < 2) {
            found.add(new Violation(at + ".sequence_length", sequenceLength.toString(), "at least 2, one token predicts the next"));
        }
    }
}
