package io.espalier.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongConsumer;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import io.espalier.checkpoint.MalformedCheckpointException.Fault;
import tools.jackson.databind.node.ObjectNode;

/**
 * A Hugging Face checkpoint on disk: {@code config.json} and named tensors in {@code model.safetensors}, or in the shards that
 * {@code model.safetensors.index.json} names; the index wins when both are there. Opening reads headers only; weights are mapped.
 * Safe for use by several threads until it is closed.
 */
public final class Checkpoint implements AutoCloseable {

    public static final String CONFIG = "config.json";
    public static final String SINGLE = "model.safetensors";
    public static final String INDEX = "model.safetensors.index.json";

    private static final Pattern NO_COMPANION = Pattern
            .compile("\\..*|config\\.json|README\\.md|SHA256SUMS|.*\\.index\\.json|.*\\.(safetensors|bin|pt|pth|gguf|h5|msgpack|onnx)");
    private static final Pattern OTHER_WEIGHTS = Pattern.compile(".*\\.(bin|pt|pth|gguf|h5|msgpack|onnx)");

    private final LongAdder read = new LongAdder();
    private final Path directory;
    private final ObjectNode config;
    private final ObjectNode index;
    private final List<FileStamp> stamps;
    private final SequencedMap<Path, SafetensorsFile> shards;
    private final SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
    private String digest;

    private Checkpoint(Path directory, ObjectNode config, ObjectNode index, List<FileStamp> stamps,
            SequencedMap<Path, SafetensorsFile> shards) {
        this.directory = directory;
        this.config = config;
        this.index = index;
        this.stamps = stamps;
        this.shards = shards;
        for (SafetensorsFile shard : shards.values()) {
            shard.tensors().forEach((name, tensor) -> {
                Tensor other = tensors.putIfAbsent(name, tensor);
                if (other != null) {
                    throw MalformedCheckpointException.of(Fault.TENSOR_IN_TWO_SHARDS, shard.path(), "tensor '" + name + "'",
                            "also in " + other.shard().getFileName(), "in one shard");
                }
            });
        }
    }

    /**
     * Opens the checkpoint in a directory, wherever its files lead.
     *
     * @throws MalformedCheckpointException when it breaks its format, with the first fault found
     * @throws UncheckedIOException when a file cannot be read
     */
    public static Checkpoint open(Path directory) {
        return open(directory, path -> true);
    }

    /**
     * Opens the checkpoint in a directory whose files, symbolic links followed, all lie where the caller allows.
     *
     * @param allowed asked about the real path of the directory and of every file before it is read
     */
    public static Checkpoint open(Path directory, Predicate<Path> allowed) {
        SequencedMap<Path, SafetensorsFile> shards = new LinkedHashMap<>();
        try {
            return open(directory, allowed, shards);
        } catch (IOException cause) {
            shards.values().forEach(SafetensorsFile::close);
            throw new UncheckedIOException(cause);
        } catch (RuntimeException unusable) {
            shards.values().forEach(SafetensorsFile::close);
            throw unusable;
        }
    }

    private static Checkpoint open(Path directory, Predicate<Path> allowed, SequencedMap<Path, SafetensorsFile> shards)
            throws IOException {
        if (!Files.isDirectory(directory)) {
            throw MalformedCheckpointException.of(Fault.NOT_A_DIRECTORY, directory, "type", "not a directory",
                    "a directory that holds a checkpoint");
        }
        requireAllowed(directory, allowed);
        Path configFile = directory.resolve(CONFIG);
        if (!Files.isRegularFile(configFile)) {
            throw MalformedCheckpointException.of(Fault.CONFIG_MISSING, directory, CONFIG, "missing", "a file");
        }
        requireAllowed(configFile, allowed);
        List<FileStamp> stamps = new ArrayList<>(List.of(FileStamp.of(configFile)));
        ObjectNode config = JsonFile.read(configFile, Fault.CONFIG_NOT_AN_OBJECT, JsonFile.MAX_CONFIG_BYTES);
        for (Path companion : companions(directory)) {
            requireAllowed(companion, allowed);
        }
        Path indexFile = directory.resolve(INDEX);
        if (Files.exists(indexFile)) {
            requireAllowed(indexFile, allowed);
            stamps.add(FileStamp.of(indexFile));
            WeightIndex index = WeightIndex.read(indexFile);
            for (String name : index.shards()) {
                openShard(index.shard(directory, name), allowed, shards);
            }
            Checkpoint checkpoint = new Checkpoint(directory, config, index.json(), stamps, shards);
            index.verify(checkpoint.tensors);
            return checkpoint;
        }
        openShard(singleFile(directory), allowed, shards);
        return new Checkpoint(directory, config, null, stamps, shards);
    }

    /**
     * The file names of the shards that an index names, in name order; the shards need not be there.
     *
     * @throws MalformedCheckpointException when the index breaks its format, or names anything but plain file names
     * @throws UncheckedIOException when it cannot be read
     */
    public static List<String> shardsOf(Path index) {
        return List.copyOf(WeightIndex.read(index).shards());
    }

    private static void openShard(Path file, Predicate<Path> allowed, SequencedMap<Path, SafetensorsFile> shards) throws IOException {
        requireAllowed(file, allowed);
        shards.put(file, SafetensorsFile.open(file));
    }

    private static void requireAllowed(Path path, Predicate<Path> allowed) throws IOException {
        if (!allowed.test(path.toRealPath())) {
            throw MalformedCheckpointException.of(Fault.PATH_NOT_ALLOWED, path, "leads to", path.toRealPath(),
                    "a path under an allowed root");
        }
    }

    private static Path singleFile(Path directory) throws IOException {
        Path single = directory.resolve(SINGLE);
        if (Files.exists(single)) {
            return single;
        }
        String expected = SINGLE + " or " + INDEX;
        try (Stream<Path> files = Files.list(directory)) {
            List<String> others = files.map(file -> file.getFileName().toString())
                    .filter(OTHER_WEIGHTS.asMatchPredicate()).sorted().toList();
            if (!others.isEmpty()) {
                throw MalformedCheckpointException.of(Fault.WEIGHTS_NOT_SAFETENSORS, directory, "weights", others, expected);
            }
        }
        throw MalformedCheckpointException.of(Fault.NO_WEIGHTS, directory, "weights", "none", expected);
    }

    public Path directory() {
        return directory;
    }

    /** A copy of {@code config.json}, keys in the file's order. */
    public ObjectNode config() {
        return config.deepCopy();
    }

    /** All tensors by name, ordered by shard name, then by their place in the shard. */
    public SequencedMap<String, Tensor> tensors() {
        return Collections.unmodifiableSequencedMap(tensors);
    }

    /** @throws MalformedCheckpointException when no shard holds a tensor of that name */
    public Tensor tensor(String name) {
        Tensor tensor = tensors.get(name);
        if (tensor == null) {
            throw MalformedCheckpointException.of(Fault.MISSING_TENSOR, directory, "tensor '" + name + "'", "missing",
                    "one of the checkpoint's " + tensors.size());
        }
        return tensor;
    }

    /** The tensor's bytes, read-only, row-major, little-endian; valid until {@link #close}. */
    public MemorySegment bytes(Tensor tensor) {
        return shards.get(tensor.shard()).bytes(tensor);
    }

    /**
     * A tensor as a matrix, with its scales where it is FP8; a tensor of one dimension is one row.
     *
     * @throws MalformedCheckpointException when no shard holds it, or an FP8 one has no scales
     */
    public StoredMatrix matrix(String name) {
        Tensor tensor = tensor(name);
        long columns = tensor.rank() == 0 ? 1 : tensor.dim(tensor.rank() - 1);
        long rows = 1;
        for (int i = 0; i + 1 < tensor.rank(); i++) {
            rows *= tensor.dim(i);
        }
        Scales scales = tensor.dtype() == DType.F8_E4M3 ? Scales.of(this, tensor, Scales.block(config)) : null;
        return new StoredMatrix(name, tensor.dtype(), Math.toIntExact(rows), Math.toIntExact(columns), bytes(tensor), scales);
    }

    /** A slab of a tensor; of one that holds nothing else, the same as {@link #matrix(String)}. */
    public StoredMatrix matrix(Slab slab) {
        if (slab.isWhole()) {
            return matrix(slab.tensor());
        }
        Tensor tensor = tensor(slab.tensor());
        long row = slab.columns() * (long) tensor.dtype().bytes();
        return new StoredMatrix(slab.tensor() + ", " + slab.alone(), tensor.dtype(), slab.rows(), slab.columns(),
                bytes(tensor).asSlice(slab.first() * row, slab.rows() * row), null);
    }

    /** Somebody has read so many bytes of tensors. */
    public void wasRead(long bytes) {
        read.add(bytes);
    }

    /** Bytes of tensors that were read, once for each time. */
    public long bytesRead() {
        return read.sum();
    }

    /** The weight files, in name order. */
    public List<SafetensorsFile> shards() {
        return List.copyOf(shards.values());
    }

    /**
     * The files beside config and weights that belong to the model, in name order: tokenizer, generation settings, chat template, modelling code,
     * licence. Weights of any format, indices, the model card, checksums, hidden files and subdirectories are not among them.
     */
    public List<Path> companions() {
        try {
            return companions(directory);
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    private static List<Path> companions(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(Files::isRegularFile).filter(file -> !NO_COMPANION.matcher(file.getFileName().toString()).matches())
                    .sorted()
                    .toList();
        }
    }

    /** The raw {@code model.safetensors.index.json}, or {@code null} when the checkpoint has none. */
    public ObjectNode index() {
        return index == null ? null : index.deepCopy();
    }

    /** Bytes of all tensors. */
    public long tensorBytes() {
        return tensors.values().stream().mapToLong(Tensor::length).sum();
    }

    /** Values of all tensors but the scales of FP8 ones, which count as bytes and not as parameters. */
    public long parameters() {
        Set<String> scales = tensors.values().stream().filter(tensor -> tensor.dtype() == DType.F8_E4M3)
                .flatMap(tensor -> Scales.names(tensor.name()).stream()).collect(Collectors.toSet());
        return tensors.values().stream().filter(tensor -> !scales.contains(tensor.name())).mapToLong(Tensor::elements).sum();
    }

    /** As {@link #digest(KnownDigests, LongConsumer)}, reading every byte the first time it is asked for. */
    public String digest() {
        return digest(KnownDigests.NONE, _ -> {});
    }

    /**
     * SHA-256, hexadecimal, over config, index and shards in that order, shards by name: for each file its name, a zero byte, its length (u64,
     * little-endian) and SHA-256 of its content (32 bytes).
     *
     * @param known shards that it knows are not read
     * @param read hears of bytes of shards that were read; what it throws ends the reading
     * @throws MalformedCheckpointException when a shard is cut short meanwhile
     */
    public synchronized String digest(KnownDigests known, LongConsumer read) {
        if (digest == null) {
            ContentDigest content = new ContentDigest();
            try {
                for (FileStamp small : stamps) {
                    byte[] bytes = Files.readAllBytes(small.path());
                    content.add(small.path(), bytes.length, ContentDigest.of(MemorySegment.ofArray(bytes), _ -> {}));
                }
            } catch (IOException cause) {
                throw new UncheckedIOException(cause);
            }
            for (SafetensorsFile shard : shards.values()) {
                content.add(shard.path(), shard.content().byteSize(), known.of(shard.stamp(), () -> contentOf(shard, read)));
            }
            digest = content.hex();
        }
        return digest;
    }

    private byte[] contentOf(SafetensorsFile shard, LongConsumer hears) {
        try {
            return ContentDigest.of(shard.content(), bytes -> {
                wasRead(bytes);
                hears.accept(bytes);
            });
        } catch (InternalError cutShort) {
            // why: the mapping of a file that was cut short ends in this
            shard.verifyUnchanged();
            throw cutShort;
        }
    }

    /** @throws MalformedCheckpointException when a file's size or modification time is not what it was at opening */
    public void verifyUnchanged() {
        stamps.forEach(FileStamp::verify);
        shards.values().forEach(SafetensorsFile::verifyUnchanged);
    }

    @Override
    public void close() {
        shards.values().forEach(SafetensorsFile::close);
    }
}
