package io.espalier.recipe;

import java.util.List;

import com.fasterxml.jackson.annotation.JsonInclude;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * How a calibration is cut into slices. It is decided once, by whoever opens a run first, and kept with the job: whoever measures a slice later, on
 * whatever machine, measures the same windows in the same micro-batches, and the merged statistics have the same bits.
 *
 * @param fingerprint of everything that the statistics depend on: model, tokens, what is counted, arithmetic, version of the procedure (64 hex digits)
 * @param sequencesPerBatch windows that share a micro-batch
 * @param sequenceLength tokens of a window
 * @param slices in the order in which they are merged; together they are the whole set, and none overlaps another; empty when nothing has to be measured,
 *     because the method sees no tokens or the scores are there already
 * @param scoreSet id of the scores that are there already, or {@code null}
 */
@JsonNaming(SnakeCaseStrategy.class)
public record Slicing(String fingerprint, int sequencesPerBatch, int sequenceLength, List<Slice> slices,
        @JsonInclude(JsonInclude.Include.NON_NULL) String scoreSet) {

    public Slicing {
        slices = List.copyOf(slices);
    }

    /** All has to be measured. */
    public Slicing(String fingerprint, int sequencesPerBatch, int sequenceLength, List<Slice> slices) {
        this(fingerprint, sequencesPerBatch, sequenceLength, slices, null);
    }

    /** The same calibration, of which nothing has to be measured any more. */
    public Slicing scoredBy(String scoreSetId) {
        return new Slicing(fingerprint, sequencesPerBatch, sequenceLength, List.of(), scoreSetId);
    }
}
