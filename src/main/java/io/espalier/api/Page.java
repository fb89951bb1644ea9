package io.espalier.api;

import java.util.List;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/** @param nextCursor {@code null} at the end */
@JsonNaming(SnakeCaseStrategy.class)
record Page<T>(List<T> items, String nextCursor) {

    /** A list that is short enough to be given whole. */
    record Whole<T>(List<T> items) {}

    /** @param nextAfter where to go on, whether or not there is more yet */
    @JsonNaming(SnakeCaseStrategy.class)
    record Growing<T>(List<T> items, long nextAfter) {}
}
