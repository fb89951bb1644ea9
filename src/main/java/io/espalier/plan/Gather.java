package io.espalier.plan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;

import io.espalier.checkpoint.StoredMatrix;

/**
 * Some rows or some columns of a matrix, as bytes.
 *
 * @param matrix [rows, columns], row-major
 * @param axis 0 takes rows, 1 takes columns
 * @param kept indices along that axis, ascending
 */
record Gather(StoredMatrix matrix, int axis, int[] kept) {

    /** Bytes handed on at once, and what the buffer holds unless one row is longer. */
    private static final int BUFFER = 1 << 20;

    /** Rows of what is gathered. */
    long rows() {
        return axis == 0 ? kept.length : matrix.rows();
    }

    /** Columns of what is gathered. */
    long columns() {
        return axis == 0 ? matrix.columns() : kept.length;
    }

    /** Bytes of what is gathered. */
    long length() {
        return rows() * columns() * matrix.dtype().bytes();
    }

    /** Hands the gathered bytes on, in order, in pieces that are valid during the call. */
    void into(Consumer<MemorySegment> to) {
        long narrow = columns() * matrix.dtype().bytes();
        MemorySegment buffer = buffer(narrow, rows());
        long filled = 0;
        for (int r = 0; r < rows(); r++) {
            if (axis == 0) {
                MemorySegment.copy(matrix.bytes(), kept[r] * narrow, buffer, filled, narrow);
            } else {
                row(matrix.bytes(), r * matrix.rowBytes(), buffer, filled, matrix.dtype().bytes());
            }
            filled += narrow;
            if (filled + narrow > buffer.byteSize()) {
                to.accept(buffer.asSlice(0, filled));
                filled = 0;
            }
        }
        to.accept(buffer.asSlice(0, filled));
    }

    /** Room for whole rows: as many as fit a megabyte, at least one, at most all. */
    private static MemorySegment buffer(long row, long rows) {
        long atOnce = Math.clamp(BUFFER / Math.max(1, row), 1, Math.max(1, rows));
        return MemorySegment.ofArray(new byte[Math.toIntExact(atOnce * row)]);
    }

    private void row(MemorySegment from, long fromRow, MemorySegment to, long toRow, int element) {
        // why: one element at a time through copy() costs ten times a load and a store
        switch (element) {
            case 1 -> {
                for (int i = 0; i < kept.length; i++) {
                    to.set(ValueLayout.JAVA_BYTE, toRow + i, from.get(ValueLayout.JAVA_BYTE, fromRow + kept[i]));
                }
            }
            case 2 -> {
                for (int i = 0; i < kept.length; i++) {
                    to.set(ValueLayout.JAVA_SHORT_UNALIGNED, toRow + 2L * i,
                            from.get(ValueLayout.JAVA_SHORT_UNALIGNED, fromRow + 2L * kept[i]));
                }
            }
            case 4 -> {
                for (int i = 0; i < kept.length; i++) {
                    to.set(ValueLayout.JAVA_INT_UNALIGNED, toRow + 4L * i,
                            from.get(ValueLayout.JAVA_INT_UNALIGNED, fromRow + 4L * kept[i]));
                }
            }
            default -> {
                for (int i = 0; i < kept.length; i++) {
                    MemorySegment.copy(from, fromRow + (long) element * kept[i], to, toRow + (long) element * i, element);
                }
            }
        }
    }
}
