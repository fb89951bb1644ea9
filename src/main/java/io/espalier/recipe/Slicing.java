package io.espalier.recipe;

import java.util.List;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * How a calibration is cut into slices. It is decided once, by whoever opens a run first, and kept with the job: whoever measures a slice later, on
 * whatever machine, measures the same windows in the same micro-batches, and the merged statistics have the same bits.
 *
 * @param fingerprint of everything that the statistics depend on: model, tokens, what is counted, arithmetic, version of the procedure (64 hex digits)
 * @param sequencesPerBatch windows that share a micro-batch
 * @param sequenceLength tokens of a window
 * @param slices in the order in which they are merged; together they are the whole set, and none overlaps another; empty when the method sees no tokens
 */
@JsonNaming(SnakeCaseStrategy.class)
public record Slicing(String fingerprint, int sequencesPerBatch, int sequenceLength, List<Slice> slices) {

    public Slicing {
        slices = List.copyOf(slices);
    }
}
