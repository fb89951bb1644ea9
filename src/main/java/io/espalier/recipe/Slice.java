package io.espalier.recipe;

/**
 * A stretch of a calibration set, measured in one go.
 *
 * @param from the first window
 * @param to the window after the last
 */
public record Slice(int from, int to) {

    public Slice {
        if (from < 0 || to < from) {
            throw new IllegalArgumentException("slice: " + from + " to " + to + " (expected: 0 <= from <= to)");
        }
    }
}
