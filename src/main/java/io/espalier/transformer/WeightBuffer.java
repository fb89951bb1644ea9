package io.espalier.transformer;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

import io.espalier.checkpoint.DType;

/**
 * Memory for one layer's weights, taken once and filled anew for each layer: fresh pages for every layer cost more than the conversion itself.
 * Converts stored numbers (F32, F16, BF16, little-endian) to the compute type and refuses NaN and infinity on the way.
 */
final class WeightBuffer implements AutoCloseable {

    private static final long ALIGNMENT = 64;
    private static final ValueLayout.OfShort STORED_16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt STORED_32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory;
    private final boolean wide;
    private long used;

    /** @param bytes as {@link #bytesFor} counts them, over everything that is held at once */
    WeightBuffer(long bytes, boolean wide) {
        this.memory = arena.allocate(Math.max(ALIGNMENT, bytes), ALIGNMENT);
        this.wide = wide;
    }

    /** Bytes that a tensor of so many elements takes here. */
    static long bytesFor(long elements, boolean wide) {
        long bytes = elements * (wide ? Double.BYTES : Float.BYTES);
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /** Forgets everything; the arrays made on it must be closed before. */
    void reset() {
        used = 0;
    }

    /**
     * Converts a matrix, or the named rows and columns of it.
     *
     * @param stored the tensor's bytes
     * @param rows row indices to take, or {@code null} for all
     * @param columns column indices to take, or {@code null} for all
     * @param name for the message when a number is not finite
     * @return float32, or float64 when wide, row-major, valid until {@link #reset}
     */
    MemorySegment convert(MemorySegment stored, DType dtype, int storedRows, int storedColumns, int[] rows, int[] columns, String name) {
        int rowCount = rows == null ? storedRows : rows.length;
        int columnCount = columns == null ? storedColumns : columns.length;
        MemorySegment target = take((long) rowCount * columnCount);
        boolean finite = true;
        if (rows == null && columns == null) {
            finite = range(stored, dtype, 0, target, 0, (long) storedRows * storedColumns);
        } else if (columns == null) {
            for (int r = 0; r < rowCount; r++) {
                finite &= range(stored, dtype, (long) rows[r] * storedColumns, target, (long) r * columnCount, storedColumns);
            }
        } else {
            for (int r = 0; r < rowCount; r++) {
                long from = (long) (rows == null ? r : rows[r]) * storedColumns;
                for (int c = 0; c < columnCount; c++) {
                    finite &= range(stored, dtype, from + columns[c], target, (long) r * columnCount + c, 1);
                }
            }
        }
        if (!finite) {
            throw new NotFiniteException(name + ": holds NaN or infinity (expected: finite weights)");
        }
        return target;
    }

    private MemorySegment take(long elements) {
        long bytes = bytesFor(elements, wide);
        MemorySegment slice = memory.asSlice(used, elements * (wide ? Double.BYTES : Float.BYTES));
        used += bytes;
        return slice;
    }

    private boolean range(MemorySegment from, DType dtype, long first, MemorySegment to, long at, long count) {
        return switch (dtype) {
            case BF16 -> wide ? bf16ToDouble(from, first, to, at, count) : bf16ToFloat(from, first, to, at, count);
            case F16 -> f16(from, first, to, at, count);
            case F32 -> wide ? f32ToDouble(from, first, to, at, count) : f32ToFloat(from, first, to, at, count);
            default -> throw new IllegalArgumentException("dtype: " + dtype + " (expected: F32, F16 or BF16)");
        };
    }

    // An exponent of all ones is NaN or infinity; adding one to it carries into the sign position, which the masks isolate.

    private static boolean bf16ToFloat(MemorySegment from, long first, MemorySegment to, long at, long count) {
        int bad = 0;
        for (long i = 0; i < count; i++) {
            int bits = from.get(STORED_16, (first + i) << 1) & 0xffff;
            bad |= (bits & 0x7f80) + 0x80;
            to.set(ValueLayout.JAVA_INT, (at + i) << 2, bits << 16);
        }
        return (bad & 0x8000) == 0;
    }

    private static boolean bf16ToDouble(MemorySegment from, long first, MemorySegment to, long at, long count) {
        boolean finite = true;
        for (long i = 0; i < count; i++) {
            float value = Float.intBitsToFloat(from.get(STORED_16, (first + i) << 1) << 16);
            finite &= Float.isFinite(value);
            to.set(ValueLayout.JAVA_DOUBLE, (at + i) << 3, value);
        }
        return finite;
    }

    private boolean f16(MemorySegment from, long first, MemorySegment to, long at, long count) {
        boolean finite = true;
        for (long i = 0; i < count; i++) {
            float value = Float.float16ToFloat(from.get(STORED_16, (first + i) << 1));
            finite &= Float.isFinite(value);
            if (wide) {
                to.set(ValueLayout.JAVA_DOUBLE, (at + i) << 3, value);
            } else {
                to.set(ValueLayout.JAVA_FLOAT, (at + i) << 2, value);
            }
        }
        return finite;
    }

    private static boolean f32ToFloat(MemorySegment from, long first, MemorySegment to, long at, long count) {
        int bad = 0;
        for (long i = 0; i < count; i++) {
            int bits = from.get(STORED_32, (first + i) << 2);
            bad |= (bits & 0x7f800000) + 0x00800000;
            to.set(ValueLayout.JAVA_INT, (at + i) << 2, bits);
        }
        return bad >= 0;
    }

    private static boolean f32ToDouble(MemorySegment from, long first, MemorySegment to, long at, long count) {
        boolean finite = true;
        for (long i = 0; i < count; i++) {
            float value = Float.intBitsToFloat(from.get(STORED_32, (first + i) << 2));
            finite &= Float.isFinite(value);
            to.set(ValueLayout.JAVA_DOUBLE, (at + i) << 3, value);
        }
        return finite;
    }

    @Override
    public void close() {
        arena.close();
    }
}
