package io.espalier.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.SequencedMap;

/**
 * One safetensors file, mapped: nothing is read before it is asked for, and any size works. No file handle stays open; the mapping ends with
 * {@link #close}, after which its segments throw {@link IllegalStateException}.
 */
public final class SafetensorsFile implements AutoCloseable {

    private static final ValueLayout.OfDouble F64 = ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort B16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt B32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong B64 = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path path;
    private final FileStamp stamp;
    private final Arena arena;
    private final MemorySegment mapped;
    private final SafetensorsHeader header;

    private SafetensorsFile(Path path) throws IOException {
        this.path = path;
        this.stamp = FileStamp.of(path);
        this.arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(path)) {
            this.mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            this.header = SafetensorsHeader.read(path, mapped);
        } catch (IOException | RuntimeException unusable) {
            arena.close();
            throw unusable;
        }
    }

    /**
     * Maps a file and checks its header.
     *
     * @throws MalformedCheckpointException when the file breaks the format
     * @throws UncheckedIOException when it cannot be read
     */
    public static SafetensorsFile open(Path file) {
        // why: opening a pipe would wait for ever
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw MalformedCheckpointException.of(MalformedCheckpointException.Fault.NOT_A_FILE, file, "type", "not a regular file",
                    "a safetensors file");
        }
        try {
            return new SafetensorsFile(file);
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    public Path path() {
        return path;
    }

    /** The free strings of {@code __metadata__}, in the file's order. */
    public SequencedMap<String, String> metadata() {
        return Collections.unmodifiableSequencedMap(header.metadata());
    }

    /** All tensors by name, in the order of their bytes. */
    public SequencedMap<String, Tensor> tensors() {
        return Collections.unmodifiableSequencedMap(header.tensors());
    }

    /** @throws MalformedCheckpointException when there is none of that name */
    public Tensor tensor(String name) {
        Tensor tensor = header.tensors().get(name);
        if (tensor == null) {
            throw MalformedCheckpointException.of(MalformedCheckpointException.Fault.MISSING_TENSOR, path, "tensor '" + name + "'",
                    "missing",
                    "one of the file's " + header.tensors().size());
        }
        return tensor;
    }

    /** The tensor's bytes, read-only, valid until {@link #close}. */
    public MemorySegment bytes(String name) {
        return bytes(tensor(name));
    }

    MemorySegment bytes(Tensor tensor) {
        return mapped.asSlice(tensor.offset(), tensor.length());
    }

    /** The whole file, header included. */
    MemorySegment content() {
        return mapped;
    }

    /** What it looked like before it was mapped. */
    FileStamp stamp() {
        return stamp;
    }

    /** Whether it ends with {@link SafetensorsWriter#SEAL}, and that is the sum of everything before it. Reads every byte. */
    public boolean isSealed() {
        Tensor seal = header.tensors().isEmpty() ? null : header.tensors().lastEntry().getValue();
        return seal != null && seal.name().equals(SafetensorsWriter.SEAL.name()) && seal.length() == SafetensorsWriter.SEAL.length()
                && Arrays.equals(bytes(seal).toArray(ValueLayout.JAVA_BYTE),
                        ContentDigest.of(mapped.asSlice(0, seal.offset()), _ -> {}));
    }

    /** The values of an F64, F32, BF16 or F16 tensor, widened exactly. */
    public double[] doubles(String name) {
        Tensor tensor = tensor(name);
        if (tensor.dtype() == DType.F64) {
            return bytes(tensor).toArray(F64);
        }
        float[] narrow = floats(name);
        double[] values = new double[narrow.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = narrow[i];
        }
        return values;
    }

    /** The values of an F32, BF16 or F16 tensor, widened exactly. */
    public float[] floats(String name) {
        Tensor tensor = tensor(name);
        MemorySegment bytes = bytes(tensor);
        return switch (tensor.dtype()) {
            case F32 -> bytes.toArray(F32);
            case BF16 -> {
                float[] values = new float[Math.toIntExact(tensor.elements())];
                for (int i = 0; i < values.length; i++) {
                    values[i] = Float.intBitsToFloat(bytes.getAtIndex(B16, i) << 16);
                }
                yield values;
            }
            case F16 -> {
                float[] values = new float[Math.toIntExact(tensor.elements())];
                for (int i = 0; i < values.length; i++) {
                    values[i] = Float.float16ToFloat(bytes.getAtIndex(B16, i));
                }
                yield values;
            }
            default -> throw otherDtype(tensor, "F32, BF16 or F16");
        };
    }

    /** The values of a tensor of any integer dtype; U64 values above 2^63 - 1 come out negative. */
    public long[] longs(String name) {
        Tensor tensor = tensor(name);
        MemorySegment bytes = bytes(tensor);
        long[] values = new long[Math.toIntExact(tensor.elements())];
        for (int i = 0; i < values.length; i++) {
            values[i] = switch (tensor.dtype()) {
                case I64, U64 -> bytes.getAtIndex(B64, i);
                case I32 -> bytes.getAtIndex(B32, i);
                case U32 -> Integer.toUnsignedLong(bytes.getAtIndex(B32, i));
                case I16 -> bytes.getAtIndex(B16, i);
                case U16 -> Short.toUnsignedLong(bytes.getAtIndex(B16, i));
                case I8 -> bytes.get(ValueLayout.JAVA_BYTE, i);
                case U8, BOOL -> Byte.toUnsignedLong(bytes.get(ValueLayout.JAVA_BYTE, i));
                default -> throw otherDtype(tensor, "an integer dtype");
            };
        }
        return values;
    }

    private IllegalArgumentException otherDtype(Tensor tensor, String expected) {
        return new IllegalArgumentException(
                path.getFileName() + ": tensor '" + tensor.name() + "': dtype " + tensor.dtype() + " (expected: " + expected + ")");
    }

    /** @throws MalformedCheckpointException when the file's size or modification time is not what it was when it was opened */
    public void verifyUnchanged() {
        stamp.verify();
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
