package io.espalier.transformer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;

/**
 * The residual stream between the layers of a streamed model, one block a (slot, micro-batch): in memory, or in a spill file when there is too much of
 * it. A slot is a place between two layers; writing a block again replaces it. Blocks may be used by several lanes at once, each block by one.
 */
public final class HiddenStates implements AutoCloseable {

    private final DataType compute;
    private final Arena arena = Arena.ofShared();
    private final Map<Long, MemorySegment> blocks = new ConcurrentHashMap<>();
    private final Map<Long, Long> offsets = new ConcurrentHashMap<>();
    private final FileChannel spill;
    private final AtomicLong spilled = new AtomicLong();

    private HiddenStates(DataType compute, FileChannel spill) {
        this.compute = compute;
        this.spill = spill;
    }

    /**
     * @param slots places between layers
     * @param tokens over all micro-batches
     * @param hiddenSize width of the stream
     * @param toFile whether the blocks go to a file
     * @param directory of that file, which is written to its full length now, so that a full disk is known before the work; it is deleted on close
     */
    public static HiddenStates create(int slots, long tokens, int hiddenSize, DataType compute, boolean toFile,
            Path directory) {
        long bytes = slots * tokens * hiddenSize * (compute == DataType.FLOAT64 ? Double.BYTES : Float.BYTES);
        if (!toFile) {
            return new HiddenStates(compute, null);
        }
        try {
            FileChannel spill = FileChannel.open(directory.resolve("hidden-states.spill"), StandardOpenOption.CREATE,
                    StandardOpenOption.READ,
                    StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.DELETE_ON_CLOSE);
            try {
                preallocate(spill, bytes);
            } catch (IOException | RuntimeException e) {
                spill.close();
                throw e;
            }
            return new HiddenStates(compute, spill);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void preallocate(FileChannel spill, long bytes) throws IOException {
        ByteBuffer zeros = ByteBuffer.allocateDirect((int) Math.min(bytes, 8 << 20));
        for (long at = 0; at < bytes;) {
            zeros.clear().limit((int) Math.min(zeros.capacity(), bytes - at));
            at += spill.write(zeros, at);
        }
    }

    /** Stores x [rows, hidden]. */
    public void put(int slot, int microBatch, NDArray x) {
        put(slot, microBatch, x.toByteBuffer(true));
    }

    /** Stores what {@link #bytes} gave, here or elsewhere. */
    public void put(int slot, int microBatch, MemorySegment block) {
        put(slot, microBatch, block.asByteBuffer());
    }

    private void put(int slot, int microBatch, ByteBuffer bytes) {
        long key = key(slot, microBatch);
        if (spill == null) {
            MemorySegment source = MemorySegment.ofBuffer(bytes);
            blocks.computeIfAbsent(key, _ -> arena.allocate(source.byteSize(), 64)).copyFrom(source);
            return;
        }
        long at = offsets.computeIfAbsent(key, _ -> spilled.getAndAdd(bytes.remaining()));
        try {
            while (bytes.hasRemaining()) {
                at += spill.write(bytes, at);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Reads a block. In memory the array lies on the stored block itself: it must be closed before the block is written again.
     *
     * @return [rows, hidden] on the manager's device
     */
    public NDArray get(int slot, int microBatch, int rows, int hiddenSize, NDManager manager) {
        Shape shape = new Shape(rows, hiddenSize);
        long key = key(slot, microBatch);
        if (spill == null) {
            return manager.create(blocks.get(key).asByteBuffer().order(ByteOrder.nativeOrder()), shape, compute);
        }
        try (Arena transfers = Arena.ofConfined(); Scratch scratch = new Scratch()) {
            ByteBuffer transfer = bytes(slot, microBatch, rows, hiddenSize, transfers).asByteBuffer().order(ByteOrder.nativeOrder());
            return scratch.keep(manager.create(transfer, shape, compute).duplicate());
        }
    }

    /**
     * The bytes of a block as they were stored, row by row.
     *
     * @param reading where they are read into when they lie in a file; in memory it is the stored block itself
     */
    public MemorySegment bytes(int slot, int microBatch, int rows, int hiddenSize, Arena reading) {
        long key = key(slot, microBatch);
        if (spill == null) {
            return blocks.get(key).asReadOnly();
        }
        MemorySegment block = reading.allocate(blockBytes(rows, hiddenSize), 64);
        ByteBuffer transfer = block.asByteBuffer();
        long at = offsets.get(key);
        try {
            while (transfer.hasRemaining()) {
                int read = spill.read(transfer, at + transfer.position());
                if (read < 0) {
                    throw new IOException("spill file: ends at " + (at + transfer.position()) + " (expected: " + (at + transfer.capacity())
                            + " bytes)");
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return block;
    }

    /** Bytes of a block of so many rows. */
    public long blockBytes(int rows, int hiddenSize) {
        return (long) rows * hiddenSize * (compute == DataType.FLOAT64 ? Double.BYTES : Float.BYTES);
    }

    private static long key(int slot, int microBatch) {
        return (long) slot << 32 | microBatch;
    }

    @Override
    public void close() {
        arena.close();
        if (spill != null) {
            try {
                spill.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
