package io.espalier.transformer;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.Scales;
import io.espalier.checkpoint.StoredMatrix;

/**
 * Memory for weights, taken once and filled anew for each layer: fresh pages for every layer cost more than the conversion itself. Converts stored numbers
 * (F32, F16, BF16, little-endian, and F8_E4M3 with its scales) to the type computed in and refuses NaN and infinity on the way.
 */
final class WeightBuffer implements AutoCloseable {

    private static final long ALIGNMENT = 64;
    private static final ValueLayout.OfShort STORED_16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong STORED_4_OF_16 = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    /** Two numbers of 32 bits or four of 16, on the little-endian machines that the engine comes for. */
    private static final ValueLayout.OfLong WRITTEN = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final ValueLayout.OfInt STORED_32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private NativeMemory memory;
    private long used;

    /** Bytes rounded up to where the next tensor may begin. */
    static long aligned(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /** Forgets everything and makes room for so many bytes; the arrays made on it must be closed before. */
    void reset(long bytes) {
        used = 0;
        if (bytes > 0 && (memory == null || bytes > memory.memory().byteSize())) {
            close();
            memory = NativeMemory.reserve(bytes);
        }
    }

    /**
     * Converts a matrix, or the named rows and columns of it.
     *
     * @param type to convert to
     * @param rows row indices to take, or {@code null} for all
     * @param columns column indices to take, or {@code null} for all
     * @return row-major, valid until {@link #reset}
     * @throws NotFiniteException naming the matrix, when a number taken is NaN or infinite
     */
    MemorySegment convert(StoredMatrix matrix, NativeTensor.Type type, int[] rows, int[] columns) {
        int rowCount = rows == null ? matrix.rows() : rows.length;
        int columnCount = columns == null ? matrix.columns() : columns.length;
        MemorySegment stored = matrix.bytes();
        DType dtype = matrix.dtype();
        MemorySegment target = take((long) rowCount * columnCount * type.bytes());
        boolean finite = true;
        if (dtype == DType.F8_E4M3) {
            for (int r = 0; r < rowCount; r++) {
                finite &= fp8(matrix, rows == null ? r : rows[r], columns, target, type, (long) r * columnCount, columnCount);
            }
        } else if (rows == null && columns == null) {
            finite = range(stored, dtype, 0, target, type, 0, (long) rowCount * columnCount);
        } else if (columns == null) {
            for (int r = 0; r < rowCount; r++) {
                finite &= range(stored, dtype, (long) rows[r] * columnCount, target, type, (long) r * columnCount, columnCount);
            }
        } else {
            for (int r = 0; r < rowCount; r++) {
                long from = (long) (rows == null ? r : rows[r]) * matrix.columns();
                for (int c = 0; c < columnCount; c++) {
                    finite &= range(stored, dtype, from + columns[c], target, type, (long) r * columnCount + c, 1);
                }
            }
        }
        if (!finite) {
            throw notFinite(matrix.name());
        }
        return target;
    }

    /** One row of an FP8 matrix, a run of columns that share a scale at a time. The product is a float32 number whatever it becomes. */
    private static boolean fp8(StoredMatrix matrix, int row, int[] columns, MemorySegment to, NativeTensor.Type type, long at, int count) {
        Scales scales = matrix.scales();
        MemorySegment codes = matrix.bytes().asSlice(row * matrix.rowBytes(), matrix.rowBytes());
        int each = scales.columnsEach();
        boolean finite = true;
        int end;
        for (int from = 0; from < count; from = end) {
            int block = (columns == null ? from : columns[from]) / each;
            end = from + 1;
            float scale = scales.inGrid(row / scales.rowsEach(), block);
            if (columns == null) {
                end = (int) Math.min(count, (block + 1L) * each);
            } else {
                while (end < count && columns[end] / each == block) {
                    end++;
                }
            }
            finite &= type == NativeTensor.Type.FLOAT32 && columns == null
                    ? fp8ToFloat(codes, from, end, scale, to, at)
                    : fp8(codes, columns, from, end, scale, to, type, at);
        }
        return finite;
    }

    private static boolean fp8(MemorySegment codes, int[] columns, int from, int end, float scale, MemorySegment to, NativeTensor.Type type,
            long at) {
        boolean finite = true;
        for (int c = from; c < end; c++) {
            float value = E4m3.value(codes.get(ValueLayout.JAVA_BYTE, columns == null ? c : columns[c])) * scale;
            finite &= Float.isFinite(value);
            put(value, to, type, at + c);
        }
        return finite;
    }

    private static boolean fp8ToFloat(MemorySegment codes, int from, int end, float scale, MemorySegment to, long at) {
        int bad = 0;
        for (int c = from; c < end; c++) {
            int bits = Float.floatToRawIntBits(E4m3.value(codes.get(ValueLayout.JAVA_BYTE, c)) * scale);
            bad |= (bits & 0x7f800000) + 0x00800000;
            to.set(ValueLayout.JAVA_INT, (at + c) << 2, bits);
        }
        return bad >= 0;
    }

    private static NotFiniteException notFinite(String name) {
        return new NotFiniteException(name + ": holds NaN or infinity (expected: finite weights)");
    }

    /** Lanes convert side by side. */
    private synchronized MemorySegment take(long bytes) {
        MemorySegment slice = memory.memory().asSlice(used, bytes);
        used += aligned(bytes);
        return slice;
    }

    private static boolean range(MemorySegment from, DType dtype, long first, MemorySegment to, NativeTensor.Type type, long at,
            long count) {
        if (dtype == DType.BF16 && type == NativeTensor.Type.FLOAT32) {
            return bf16ToFloat(from, first, to, at, count);
        }
        if (dtype == DType.F32 && type == NativeTensor.Type.FLOAT32) {
            return f32ToFloat(from, first, to, at, count);
        }
        if (dtype == DType.BF16 && type == NativeTensor.Type.BFLOAT16) {
            return bf16Copied(from, first, to, at, count);
        }
        boolean finite = true;
        for (long i = 0; i < count; i++) {
            float value = switch (dtype) {
                case BF16 -> Float.intBitsToFloat(from.get(STORED_16, (first + i) << 1) << 16);
                case F16 -> Float.float16ToFloat(from.get(STORED_16, (first + i) << 1));
                case F32 -> Float.intBitsToFloat(from.get(STORED_32, (first + i) << 2));
                default -> throw new IllegalArgumentException("dtype: " + dtype + " (expected: F32, F16, BF16 or F8_E4M3)");
            };
            finite &= Float.isFinite(value);
            put(value, to, type, at + i);
        }
        return finite;
    }

    private static void put(float value, MemorySegment to, NativeTensor.Type type, long index) {
        switch (type) {
            case FLOAT32 -> to.set(ValueLayout.JAVA_FLOAT, index << 2, value);
            case FLOAT64 -> to.set(ValueLayout.JAVA_DOUBLE, index << 3, value);
            case BFLOAT16 -> to.set(ValueLayout.JAVA_SHORT, index << 1, bfloat16(value));
        }
    }

    /** Rounds to the nearest, ties to even. */
    private static short bfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
    }

    // An exponent of all ones is NaN or infinity; adding one to it carries into the sign position, which the masks isolate. Four bfloat16 numbers
    // are read at once: nothing of that carries from one into the next.

    private static final long EXPONENTS = 0x7f80_7f80_7f80_7f80L;
    private static final long ONES = 0x0080_0080_0080_0080L;
    private static final long CARRIES = 0x8000_8000_8000_8000L;

    private static boolean bf16ToFloat(MemorySegment from, long first, MemorySegment to, long at, long count) {
        long bad = 0;
        long fours = count >> 2;
        for (long i = 0; i < fours; i++) {
            long bits = from.get(STORED_4_OF_16, (first << 1) + (i << 3));
            bad |= (bits & EXPONENTS) + ONES;
            to.set(WRITTEN, (at << 2) + (i << 4), (bits & 0xffffL) << 16 | (bits & 0xffff_0000L) << 32);
            to.set(WRITTEN, (at << 2) + (i << 4) + 8, bits >>> 16 & 0xffff_0000L | bits & 0xffff_0000_0000_0000L);
        }
        for (long i = fours << 2; i < count; i++) {
            int bits = from.get(STORED_16, (first + i) << 1) & 0xffff;
            bad |= (bits & 0x7f80) + 0x80;
            to.set(ValueLayout.JAVA_INT, (at + i) << 2, bits << 16);
        }
        return (bad & CARRIES) == 0;
    }

    private static boolean bf16Copied(MemorySegment from, long first, MemorySegment to, long at, long count) {
        long bad = 0;
        long fours = count >> 2;
        for (long i = 0; i < fours; i++) {
            long bits = from.get(STORED_4_OF_16, (first << 1) + (i << 3));
            bad |= (bits & EXPONENTS) + ONES;
            to.set(WRITTEN, (at << 1) + (i << 3), bits);
        }
        for (long i = fours << 2; i < count; i++) {
            short bits = from.get(STORED_16, (first + i) << 1);
            bad |= (bits & 0x7f80) + 0x80;
            to.set(ValueLayout.JAVA_SHORT, (at + i) << 1, bits);
        }
        return (bad & CARRIES) == 0;
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

    @Override
    public void close() {
        if (memory != null) {
            memory.close();
            memory = null;
        }
    }
}
