package io.espalier.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.List;
import java.util.Map;

import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes one safetensors file as a stream: names, dtypes and shapes are declared first, then the bytes of every tensor follow in that order, so
 * memory holds no more than the caller's buffer.
 *
 * <pre>{@code
 * try (var file = SafetensorsWriter.create(path, List.of(new Declared("scores", DType.F64, List.of(2L, 3L))), Map.of())) {
 *     file.begin("scores").doubles(values);
 *     file.finish();
 * }
 * }</pre>
 *
 * A file that is closed before {@link #finish} is incomplete, and no reader opens it. I/O errors leave as {@link UncheckedIOException}.
 */
public final class SafetensorsWriter implements AutoCloseable {

    /**
     * A tensor to come.
     *
     * @param name as readers will see it
     * @param dtype of its elements
     * @param shape one extent a dimension; an extent may be 0
     */
    public record Declared(String name, DType dtype, List<Long> shape) {

        public Declared {
            shape = List.copyOf(shape);
        }

        /** Bytes of all elements. */
        public long length() {
            return shape.stream().reduce((long) dtype.bytes(), Math::multiplyExact);
        }
    }

    /** Declared as the last tensor, it makes the file one whose every byte can be checked: {@link #finish} writes SHA-256 of all before it. */
    public static final Declared SEAL = new Declared("sha256", DType.U8, List.of(32L));

    private static final int CHUNK = 1 << 16;
    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final Path file;
    private final List<Declared> declared;
    private final FileChannel channel;
    private final ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.LITTLE_ENDIAN);
    private final MessageDigest sum;
    private int current = -1;
    private long missing;

    private SafetensorsWriter(Path file, List<Declared> declared, FileChannel channel) {
        this.file = file;
        this.declared = List.copyOf(declared);
        this.channel = channel;
        this.sum = !declared.isEmpty() && declared.getLast().equals(SEAL) ? ContentDigest.sha256() : null;
    }

    /**
     * Creates the file, which must not exist, and writes its header.
     *
     * @param declared every tensor, in the order in which its bytes will come
     * @param metadata free strings, written as {@code __metadata__}; none when empty
     */
    public static SafetensorsWriter create(Path file, List<Declared> declared, Map<String, String> metadata) {
        byte[] header = header(declared, metadata);
        try {
            SafetensorsWriter writer = new SafetensorsWriter(file, declared,
                    FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE));
            try {
                writer.drain(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(header.length).flip());
                writer.drain(ByteBuffer.wrap(header));
                return writer;
            } catch (IOException failed) {
                writer.close();
                throw failed;
            }
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    /** Bytes that a file with these tensors takes, header included. */
    public static long fileLength(List<Declared> declared, Map<String, String> metadata) {
        return 8 + header(declared, metadata).length + declared.stream().mapToLong(Declared::length).sum();
    }

    private static byte[] header(List<Declared> declared, Map<String, String> metadata) {
        ObjectNode root = JSON.createObjectNode();
        if (!metadata.isEmpty()) {
            ObjectNode strings = root.putObject(SafetensorsHeader.METADATA);
            metadata.forEach(strings::put);
        }
        long offset = 0;
        for (Declared tensor : declared) {
            if (root.has(tensor.name())) {
                throw new IllegalArgumentException("tensor '" + tensor.name() + "': declared twice (expected: once)");
            }
            ObjectNode entry = root.putObject(tensor.name()).put("dtype", tensor.dtype().name());
            ArrayNode shape = entry.putArray("shape");
            tensor.shape().forEach(shape::add);
            entry.putArray("data_offsets").add(offset).add(offset += tensor.length());
        }
        // why: like the reference implementation, so that the first tensor begins on a multiple of 8
        String json = JSON.writeValueAsString(root);
        int bytes = json.getBytes(StandardCharsets.UTF_8).length;
        return (json + " ".repeat(-bytes & 7)).getBytes(StandardCharsets.UTF_8);
    }

    /** Goes on to the next declared tensor. */
    public SafetensorsWriter begin(String name) {
        requireComplete();
        current++;
        if (current >= declared.size() || !declared.get(current).name().equals(name)) {
            throw new IllegalStateException(file.getFileName() + ": tensor '" + name + "' begun (expected: "
                    + (current < declared.size() ? "'" + declared.get(current).name() + "', the next declared" : "none, all are written")
                    + ")");
        }
        missing = declared.get(current).length();
        return this;
    }

    /** Writes some bytes of the tensor that was begun. */
    public SafetensorsWriter write(MemorySegment bytes) {
        take(bytes.byteSize());
        try {
            for (long at = 0; at < bytes.byteSize(); at += CHUNK) {
                int length = (int) Math.min(CHUNK, bytes.byteSize() - at);
                MemorySegment.copy(bytes, at, MemorySegment.ofBuffer(chunk.clear()), 0, length);
                drain(chunk.limit(length));
            }
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
        return this;
    }

    /** Writes {@code count} bytes of another file, from {@code position} on, without passing them through the heap. */
    public SafetensorsWriter transfer(FileChannel source, long position, long count) {
        if (sum != null) {
            throw new IllegalStateException(file.getFileName() + ": bytes of another file (expected: none in a sealed file)");
        }
        take(count);
        try {
            long end = position + count;
            for (long at = position; at < end;) {
                long moved = source.transferTo(at, end - at, channel);
                if (moved <= 0) {
                    throw new IOException(file.getFileName() + ": source ends at byte " + at + " (expected: " + end + ")");
                }
                at += moved;
            }
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
        return this;
    }

    /** Writes values of the F64 tensor that was begun. */
    public SafetensorsWriter doubles(double... values) {
        require(DType.F64);
        return write(values.length, (buffer, i) -> buffer.putDouble(values[i]), Double.BYTES);
    }

    /** Writes values of the F32 tensor that was begun. */
    public SafetensorsWriter floats(float... values) {
        require(DType.F32);
        return write(values.length, (buffer, i) -> buffer.putFloat(values[i]), Float.BYTES);
    }

    /** Writes values of the I64 tensor that was begun. */
    public SafetensorsWriter longs(long... values) {
        require(DType.I64);
        return write(values.length, (buffer, i) -> buffer.putLong(values[i]), Long.BYTES);
    }

    /** Writes values of the I32 tensor that was begun. */
    public SafetensorsWriter ints(int... values) {
        require(DType.I32);
        return write(values.length, (buffer, i) -> buffer.putInt(values[i]), Integer.BYTES);
    }

    private interface Put {
        void at(ByteBuffer buffer, int index);
    }

    private SafetensorsWriter write(int count, Put put, int width) {
        take((long) count * width);
        try {
            chunk.clear();
            for (int i = 0; i < count; i++) {
                put.at(chunk, i);
                if (chunk.remaining() < width || i == count - 1) {
                    drain(chunk.flip());
                    chunk.clear();
                }
            }
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
        return this;
    }

    private void require(DType given) {
        if (current < 0 || declared.get(current).dtype() != given) {
            throw new IllegalStateException(file.getFileName() + ": " + given + " values (expected: "
                    + (current < 0 ? "a tensor begun first" : declared.get(current).dtype() + " for '" + declared.get(current).name() + "'")
                    + ")");
        }
    }

    private void take(long bytes) {
        if (bytes > missing) {
            throw new IllegalStateException(file.getFileName() + ": " + bytes + " bytes more (expected: at most " + missing + ", tensor "
                    + (current < 0 ? "not begun" : "'" + declared.get(current).name() + "' is then complete") + ")");
        }
        missing -= bytes;
    }

    private void requireComplete() {
        if (missing > 0) {
            throw new IllegalStateException(
                    file.getFileName() + ": tensor '" + declared.get(current).name() + "' lacks " + missing + " bytes (expected: "
                            + declared.get(current).length() + " in all)");
        }
    }

    private void drain(ByteBuffer bytes) throws IOException {
        if (sum != null) {
            sum.update(bytes.duplicate());
        }
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    /** Declares the file complete and waits until it is on the disk. */
    public void finish() {
        if (sum != null) {
            begin(SEAL.name()).write(MemorySegment.ofArray(sum.digest()));
        }
        requireComplete();
        if (current < declared.size() - 1) {
            throw new IllegalStateException(
                    file.getFileName() + ": finished after " + (current + 1) + " tensors (expected: " + declared.size() + ")");
        }
        try {
            channel.force(true);
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }
}
