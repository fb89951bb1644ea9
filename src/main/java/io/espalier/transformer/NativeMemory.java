package io.espalier.transformer;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * The C library's memory, where Java's is not enough: pages that cost nothing until they are written (an arena writes zeros into all of them), and an
 * allocator that keeps what it is given back.
 */
final class NativeMemory implements AutoCloseable {

    private static final int READ_WRITE = 3;
    private static final int PRIVATE_ANONYMOUS = 0x22;
    private static final int HUGE_PAGES = 14;
    private static final int TRIM_THRESHOLD = -1;
    private static final int MMAP_THRESHOLD = -3;
    private static final int ARENA_MAX = -8;

    private final MemorySegment memory;

    private NativeMemory(MemorySegment memory) {
        this.memory = memory;
    }

    /**
     * Address space for so many bytes, page-aligned; pages become real when they are written, huge ones where the system allows.
     *
     * @throws OutOfMemoryError when the system refuses
     */
    static NativeMemory reserve(long bytes) {
        try {
            MethodHandle mmap = function("mmap", FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG)).orElse(null);
            if (mmap == null) {
                return new NativeMemory(Arena.ofAuto().allocate(bytes, 64));
            }
            MemorySegment mapped = (MemorySegment) mmap.invokeExact(MemorySegment.NULL, bytes, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0L);
            if (mapped.address() == -1) {
                throw new OutOfMemoryError("weights: " + bytes + " bytes refused by the system");
            }
            MemorySegment memory = mapped.reinterpret(bytes);
            Optional<MethodHandle> madvise = function("madvise",
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT));
            if (madvise.isPresent()) {
                int advised = (int) madvise.get().invokeExact(memory, bytes, HUGE_PAGES);
                // why: huge pages are a wish; without them it is only slower
                assert advised <= 0;
            }
            return new NativeMemory(memory);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    MemorySegment memory() {
        return memory;
    }

    @Override
    public void close() {
        try {
            Optional<MethodHandle> munmap = function("munmap",
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG));
            if (munmap.isPresent()) {
                int failed = (int) munmap.get().invokeExact(memory, memory.byteSize());
                assert failed == 0;
            }
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * Makes glibc's allocator fit for tensors: one arena for all threads, no fresh mapping for each large array, freed memory kept up to a limit. With its
     * defaults a third of a sweep's time goes into the kernel's page faults. Must run before the engine is loaded; elsewhere than on glibc it does nothing.
     */
    static void tuneAllocator() {
        try {
            Optional<MethodHandle> mallopt = function("mallopt",
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
            if (mallopt.isPresent()) {
                int accepted = (int) mallopt.get().invokeExact(ARENA_MAX, 1);
                accepted &= (int) mallopt.get().invokeExact(MMAP_THRESHOLD, 1 << 30);
                accepted &= (int) mallopt.get().invokeExact(TRIM_THRESHOLD, 512 << 20);
                assert accepted <= 1;
            }
            Optional<MethodHandle> setenv = function("setenv",
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
            if (setenv.isPresent()) {
                try (Arena arena = Arena.ofConfined()) {
                    int failed = (int) setenv.get().invokeExact(arena.allocateFrom("THP_MEM_ALLOC_ENABLE"), arena.allocateFrom("1"), 0);
                    assert failed == 0;
                }
            }
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static Optional<MethodHandle> function(String name, FunctionDescriptor signature) {
        Linker linker = Linker.nativeLinker();
        return linker.defaultLookup().find(name).map(symbol -> linker.downcallHandle(symbol, signature));
    }
}
