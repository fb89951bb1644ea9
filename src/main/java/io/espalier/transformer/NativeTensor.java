package io.espalier.transformer;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;

/**
 * An array of the engine on memory that we own, of any size and of types that DJL has no name for, through the engine's own C interface. Nothing is
 * copied; the memory must outlive the array, or the process dies.
 */
final class NativeTensor {

    /** Element types by the engine's codes. */
    enum Type {
        FLOAT32(6, 4), FLOAT64(7, 8), BFLOAT16(15, 2);

        private final int code;
        private final int bytes;

        Type(int code, int bytes) {
            this.code = code;
            this.bytes = bytes;
        }

        int bytes() {
            return bytes;
        }
    }

    private static final MethodHandle FROM_BLOB = handle();

    private NativeTensor() {}

    /**
     * @param memory row-major numbers, aligned to the element size at least
     * @param shape one or two sizes
     * @return an array on the CPU
     */
    static NDArray on(MemorySegment memory, Type type, NDManager manager, long... shape) {
        long elements = 1;
        for (long size : shape) {
            elements *= size;
        }
        if (memory.byteSize() < elements * type.bytes) {
            throw new IllegalArgumentException("memory: " + memory.byteSize() + " bytes (expected: " + elements * type.bytes + ")");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment sizes = arena.allocateFrom(ValueLayout.JAVA_LONG, shape);
            MemorySegment strides = arena.allocateFrom(ValueLayout.JAVA_LONG, strides(shape));
            MemorySegment handle = arena.allocate(ValueLayout.ADDRESS);
            int error = (int) FROM_BLOB.invokeExact(memory, (long) shape.length, sizes, strides, 0L, type.code, 0, -1, handle);
            if (error != 0) {
                throw new IllegalStateException("aoti_torch_create_tensor_from_blob: error " + error + " (expected: 0)");
            }
            return new PtNDArray((PtNDManager) manager, handle.get(ValueLayout.ADDRESS, 0).address());
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static long[] strides(long[] shape) {
        long[] strides = new long[shape.length];
        long stride = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            strides[i] = stride;
            stride *= shape[i];
        }
        return strides;
    }

    private static MethodHandle handle() {
        Torch.start();
        MemorySegment symbol = SymbolLookup.loaderLookup().find("aoti_torch_create_tensor_from_blob")
                .orElseThrow(() -> new IllegalStateException(
                        "aoti_torch_create_tensor_from_blob: not in the native library (expected: libtorch 2.x)"));
        return Linker.nativeLinker().downcallHandle(symbol,
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS,
                        ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.ADDRESS));
    }
}
