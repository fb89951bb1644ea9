package io.espalier.transformer;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.Scales;
import io.espalier.checkpoint.StoredMatrix;

/**
 * Memory for one layer's weights, taken once and filled anew for each layer: fresh pages for every layer cost more than the conversion itself.
 * Converts stored numbers (F32, F16, BF16, little-endian, and F8_E4M3 with its scales) to the compute type and refuses NaN and infinity on the way.
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
     * @param rows row indices to take, or {@code null} for all
     * @param columns column indices to take, or {@code null} for all
     * @return float32, or float64 when wide, row-major, valid until {@link #reset}
     * @throws NotFiniteException naming the matrix, when a number taken is NaN or infinite
     */
    MemorySegment convert(StoredMatrix matrix, int[] rows, int[] columns) {
        int rowCount = rows == null ? matrix.rows() : rows.length;
        int columnCount = columns == null ? matrix.columns() : columns.length;
        MemorySegment stored = matrix.bytes();
        DType dtype = matrix.dtype();
        MemorySegment target = take((long) rowCount * columnCount);
        boolean finite = true;
        if (dtype == DType.F8_E4M3) {
            for (int r = 0; r < rowCount; r++) {
                finite &= fp8(matrix, rows == null ? r : rows[r], columns, target, (long) r * columnCount, columnCount);
            }
        } else if (rows == null && columns == null) {
            finite = range(stored, dtype, 0, target, 0, (long) rowCount * columnCount);
        } else if (columns == null) {
            for (int r = 0; r < rowCount; r++) {
                finite &= range(stored, dtype, (long) rows[r] * columnCount, target, (long) r * columnCount, columnCount);
            }
        } else {
            for (int r = 0; r < rowCount; r++) {
                long from = (long) (rows == null ? r : rows[r]) * matrix.columns();
                for (int c = 0; c < columnCount; c++) {
                    finite &= range(stored, dtype, from + columns[c], target, (long) r * columnCount + c, 1);
                }
            }
        }
        if (!finite) {
            throw new NotFiniteException(matrix.name() + ": holds NaN or infinity (expected: finite weights)");
        }
        return target;
    }

    /** One row of an FP8 matrix, a run of columns that share a scale at a time. The product is a float32 number whatever the compute type. */
    private boolean fp8(StoredMatrix matrix, int row, int[] columns, MemorySegment to, long at, int count) {
        Scales scales = matrix.scales();
        long from = (long) row * matrix.columns();
        boolean finite = true;
        for (int c = 0; c < count;) {
            int block = (columns == null ? c : columns[c]) / scales.columnsEach();
            float scale = scales.inGrid(row / scales.rowsEach(), block);
            for (; c < count && (columns == null ? c : columns[c]) / scales.columnsEach() == block; c++) {
                float value = E4m3.value(matrix.bytes().get(ValueLayout.JAVA_BYTE, from + (columns == null ? c : columns[c]))) * scale;
                finite &= Float.isFinite(value);
                if (wide) {
                    to.set(ValueLayout.JAVA_DOUBLE, (at + c) << 3, value);
                } else {
                    to.set(ValueLayout.JAVA_FLOAT, (at + c) << 2, value);
                }
            }
        }
        return finite;
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
            default -> throw new IllegalArgumentException("dtype: " + dtype + " (expected: F32, F16, BF16 or F8_E4M3)");
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
