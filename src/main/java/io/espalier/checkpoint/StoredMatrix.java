package io.espalier.checkpoint;

import java.lang.foreign.MemorySegment;

/**
 * A matrix as it is stored: nothing is copied, the bytes are a piece of the mapped file.
 *
 * @param name for messages
 * @param dtype of the elements
 * @param bytes row-major, little-endian
 * @param scales of an FP8 matrix, else {@code null}
 */
public record StoredMatrix(String name, DType dtype, int rows, int columns, MemorySegment bytes, Scales scales) {

    /** Bytes of one row. */
    public long rowBytes() {
        return (long) columns * dtype.bytes();
    }
}
