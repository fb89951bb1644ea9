package io.espalier.benchmark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SequencedMap;
import java.util.SplittableRandom;
import java.util.stream.Stream;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.JsonFile;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A checkpoint of made-up numbers, written as a stream at about the disk's speed and kept for the next run. A matrix has standard deviation
 * {@code 1 / sqrt(columns)}, so that activations keep their size through any number of layers; a norm lies around 1, a bias around 0.
 */
final class RandomCheckpoint {

    /** As the common libraries shard. */
    private static final long SHARD_BYTES = 5_000_000_000L;

    private static final int CHUNK = 1 << 18;

    /** Draws from the normal distribution, so many that 16 random bits choose one: drawing them anew would cost more than the disk. */
    private static final float[] NORMAL = normal();

    private final ModelShape shape;
    private final long seed;
    private final Map<List<Double>, short[]> bf16Tables = new LinkedHashMap<>();

    private RandomCheckpoint(ModelShape shape, long seed) {
        this.shape = shape;
        this.seed = seed;
    }

    /** The checkpoint of a shape, made now or by an earlier run; the same seed gives the same bytes. */
    static Path in(Path cache, ModelShape shape, long seed) {
        Path directory = cache.resolve(shape.slug() + "-" + seed);
        if (Files.isDirectory(directory)) {
            return directory;
        }
        try {
            Files.createDirectories(cache);
            long free = cache.toFile().getUsableSpace();
            if (free < shape.bytes() + (1L << 30)) {
                throw new IllegalStateException(
                        cache + ": " + free + " bytes free (expected: " + (shape.bytes() + (1L << 30)) + " for " + shape + ")");
            }
            Path partial = Files.createTempDirectory(cache, "partial-");
            long began = System.nanoTime();
            new RandomCheckpoint(shape, seed).write(partial);
            Files.move(partial, directory, StandardCopyOption.ATOMIC_MOVE);
            System.out.printf("made %s: %.2f GiB in %.1f s%n", directory.getFileName(), shape.bytes() / Report.GIB,
                    (System.nanoTime() - began) * 1e-9);
            return directory;
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    static void delete(Path directory) {
        try (Stream<Path> files = Files.walk(directory)) {
            files.sorted(java.util.Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    /** Random token ids, [windows][length]. */
    static int[][] tokens(int windows, int length, int vocabulary, long seed) {
        int[][] ids = new int[windows][];
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < windows; i++) {
            ids[i] = random.ints(length, 0, vocabulary).toArray();
        }
        return ids;
    }

    private void write(Path directory) {
        List<List<Declared>> shards = shards();
        SequencedMap<String, String> places = new LinkedHashMap<>();
        for (int i = 0; i < shards.size(); i++) {
            String name = shards.size() == 1 ? Checkpoint.SINGLE : "model-%05d-of-%05d.safetensors".formatted(i + 1, shards.size());
            try (SafetensorsWriter writer = SafetensorsWriter.create(directory.resolve(name), shards.get(i), Map.of("format", "pt"))) {
                for (Declared tensor : shards.get(i)) {
                    fill(writer.begin(tensor.name()), tensor);
                    places.put(tensor.name(), name);
                }
                writer.finish();
            }
        }
        if (shards.size() > 1) {
            ObjectNode index = JsonMapper.shared().createObjectNode();
            index.putObject("metadata").put("total_size", shape.bytes());
            ObjectNode map = index.putObject("weight_map");
            places.forEach(map::put);
            JsonFile.write(directory.resolve(Checkpoint.INDEX), index);
        }
        JsonFile.write(directory.resolve(Checkpoint.CONFIG), shape.config());
    }

    private List<List<Declared>> shards() {
        List<List<Declared>> shards = new ArrayList<>(List.of(new ArrayList<>()));
        long[] bytes = new long[1];
        shape.tensors().forEach((name, extents) -> {
            Declared tensor = new Declared(name, shape.dtype(), Arrays.stream(extents).boxed().toList());
            if (bytes[0] > 0 && bytes[0] + tensor.length() > SHARD_BYTES) {
                shards.add(new ArrayList<>());
                bytes[0] = 0;
            }
            shards.getLast().add(tensor);
            bytes[0] += tensor.length();
        });
        return shards;
    }

    private void fill(SafetensorsWriter writer, Declared tensor) {
        boolean norm = tensor.name().endsWith("norm.weight");
        boolean table = tensor.name().contains("embed_tokens");
        long columns = tensor.shape().getLast();
        double deviation = norm ? 0.1 : table ? 1 : tensor.shape().size() == 1 ? 0.1 : 1 / Math.sqrt(columns);
        double mean = norm ? 1 : 0;
        long elements = tensor.length() / tensor.dtype().bytes();
        long counter = seed * 0x9E3779B97F4A7C15L + tensor.name().hashCode() * 0xD1342543DE82EF95L;
        for (long at = 0; at < elements; at += CHUNK) {
            int count = (int) Math.min(CHUNK, elements - at);
            if (tensor.dtype() == DType.BF16) {
                short[] values = new short[count];
                bf16(values, counter + at, bf16Tables.computeIfAbsent(List.of(mean, deviation), _ -> bf16Table(mean, deviation)));
                writer.write(MemorySegment.ofArray(values));
            } else {
                float[] values = new float[count];
                f32(values, counter + at, mean, deviation);
                writer.write(MemorySegment.ofArray(values));
            }
        }
    }

    private static void bf16(short[] values, long counter, short[] table) {
        for (int i = 0; i < values.length; i += 4) {
            long bits = mixed(counter + i);
            for (int j = i; j < Math.min(values.length, i + 4); j++) {
                values[j] = table[(int) bits & 0xffff];
                bits >>>= 16;
            }
        }
    }

    private static void f32(float[] values, long counter, double mean, double deviation) {
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (mean + deviation * NORMAL[(int) mixed(counter + i) & 0xffff]);
        }
    }

    /** SplitMix64's output for one counter. */
    private static long mixed(long counter) {
        long z = counter * 0x9E3779B97F4A7C15L;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    private static short[] bf16Table(double mean, double deviation) {
        short[] table = new short[NORMAL.length];
        for (int i = 0; i < table.length; i++) {
            table[i] = (short) (Float.floatToRawIntBits((float) (mean + deviation * NORMAL[i])) >>> 16);
        }
        return table;
    }

    private static float[] normal() {
        Random random = new Random(1);
        float[] draws = new float[1 << 16];
        for (int i = 0; i < draws.length; i++) {
            draws[i] = (float) random.nextGaussian();
        }
        return draws;
    }
}
