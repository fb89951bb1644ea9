package io.espalier.plan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.Consumer;

import io.espalier.checkpoint.Tensor;

/**
 * Some rows or some columns of a matrix, as bytes.
 *
 * @param tensor a matrix [rows, columns], row-major
 * @param axis 0 takes rows, 1 takes columns
 * @param kept indices along that axis, ascending
 */
record Gather(Tensor tensor, int axis, int[] kept) {

    /** Bytes handed on at once, and what the buffer holds unless one row is longer. */
    private static final int BUFFER = 1 << 20;

    /** Shape of what is gathered. */
    List<Long> shape() {
        return axis == 0 ? List.of((long) kept.length, tensor.dim(1)) : List.of(tensor.dim(0), (long) kept.length);
    }

    /** Bytes of what is gathered. */
    long length() {
        return kept.length * tensor.dim(1 - axis) * tensor.dtype().bytes();
    }

    /** Hands the gathered bytes on, in order, in pieces that are valid during the call. */
    void from(MemorySegment matrix, Consumer<MemorySegment> to) {
        if (axis == 0) {
            rows(matrix, to);
        } else {
            columns(matrix, to);
        }
    }

    private void rows(MemorySegment matrix, Consumer<MemorySegment> to) {
        long row = tensor.dim(1) * tensor.dtype().bytes();
        MemorySegment buffer = buffer(row, kept.length);
        long filled = 0;
        for (int k : kept) {
            MemorySegment.copy(matrix, k * row, buffer, filled, row);
            filled += row;
            if (filled + row > buffer.byteSize()) {
                to.accept(buffer.asSlice(0, filled));
                filled = 0;
            }
        }
        to.accept(buffer.asSlice(0, filled));
    }

    private void columns(MemorySegment matrix, Consumer<MemorySegment> to) {
        int element = tensor.dtype().bytes();
        long wide = tensor.dim(1) * element;
        long narrow = (long) kept.length * element;
        MemorySegment buffer = buffer(narrow, tensor.dim(0));
        long filled = 0;
        for (long r = 0; r < tensor.dim(0); r++) {
            row(matrix, r * wide, buffer, filled, element);
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
