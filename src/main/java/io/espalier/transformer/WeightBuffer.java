package io.espalier.transformer;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

import io.espalier.checkpoint.DType;

/**
 * Memory for weights, taken once and filled anew for each layer: fresh pages for every layer cost more than the conversion itself. Converts stored numbers
 * (F32, F16, BF16, little-endian) to the type computed in and refuses NaN and infinity on the way.
 */
final class WeightBuffer implements AutoCloseable {

    private static final long ALIGNMENT = 64;
    private static final ValueLayout.OfShort STORED_16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
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
     * @param stored the tensor's bytes
     * @param type to convert to
     * @param rows row indices to take, or {@code null} for all
     * @param columns column indices to take, or {@code null} for all
     * @param name for the message when a number is not finite
     * @return row-major, valid until {@link #reset}
     */
    MemorySegment convert(MemorySegment stored, DType dtype, NativeTensor.Type type, int storedRows, int storedColumns, int[] rows,
            int[] columns,
            String name) {
        int rowCount = rows == null ? storedRows : rows.length;
        int columnCount = columns == null ? storedColumns : columns.length;
        MemorySegment target = take((long) rowCount * columnCount * type.bytes());
        boolean finite = true;
        if (rows == null && columns == null) {
            finite = range(stored, dtype, 0, target, type, 0, (long) storedRows * storedColumns);
        } else if (columns == null) {
            for (int r = 0; r < rowCount; r++) {
                finite &= range(stored, dtype, (long) rows[r] * storedColumns, target, type, (long) r * columnCount, storedColumns);
            }
        } else {
            for (int r = 0; r < rowCount; r++) {
                long from = (long) (rows == null ? r : rows[r]) * storedColumns;
                for (int c = 0; c < columnCount; c++) {
                    finite &= range(stored, dtype, from + columns[c], target, type, (long) r * columnCount + c, 1);
                }
            }
        }
        if (!finite) {
            throw notFinite(name);
        }
        return target;
    }

    /** Refuses a bfloat16 tensor that holds NaN or infinity. */
    static void requireFinite(MemorySegment bfloats, String name) {
        long count = bfloats.byteSize() / Short.BYTES;
        int bad = 0;
        for (long i = 0; i < count; i++) {
            bad |= ((bfloats.get(STORED_16, i << 1) & 0xffff) & 0x7f80) + 0x80;
        }
        if ((bad & 0x8000) != 0) {
            throw notFinite(name);
        }
    }

    private static NotFiniteException notFinite(String name) {
        return new NotFiniteException(name + ": holds NaN or infinity (expected: finite weights)");
    }

    private MemorySegment take(long bytes) {
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
        boolean finite = true;
        for (long i = 0; i < count; i++) {
            float value = switch (dtype) {
                case BF16 -> Float.intBitsToFloat(from.get(STORED_16, (first + i) << 1) << 16);
                case F16 -> Float.float16ToFloat(from.get(STORED_16, (first + i) << 1));
                case F32 -> Float.intBitsToFloat(from.get(STORED_32, (first + i) << 2));
                default -> throw new IllegalArgumentException("dtype: " + dtype + " (expected: F32, F16 or BF16)");
            };
            finite &= Float.isFinite(value);
            switch (type) {
                case FLOAT32 -> to.set(ValueLayout.JAVA_FLOAT, (at + i) << 2, value);
                case FLOAT64 -> to.set(ValueLayout.JAVA_DOUBLE, (at + i) << 3, value);
                case BFLOAT16 -> to.set(ValueLayout.JAVA_SHORT, (at + i) << 1, bfloat16(value));
            }
        }
        return finite;
    }

    /** Rounds to the nearest, ties to even. */
    private static short bfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
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
