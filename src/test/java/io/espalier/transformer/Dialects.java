package io.espalier.transformer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.stream.IntStream;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.checkpoint.Scales;
import io.espalier.checkpoint.Tensor;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Writes a float32 checkpoint that has three tensors an expert once more, in another dialect. Plain and slow: whole tensors in arrays. */
public final class Dialects {

    private static final String EXPERT = ".*\\.experts\\.\\d+\\.[a-z_0-9]+\\.weight";

    private record Written(Declared declared, byte[] bytes) {}

    private Dialects() {}

    /** As transformers 5 writes it, where the first expert tensor of a layer stood; Mixtral's {@code block_sparse_moe} becomes {@code home}. */
    public static Path fused(Path model, Path target, String home) {
        List<Written> written = new ArrayList<>();
        try (Checkpoint source = Checkpoint.open(model)) {
            for (Tensor tensor : source.tensors().values()) {
                String name = tensor.name().replace("block_sparse_moe", home);
                if (!name.matches(EXPERT)) {
                    written.add(same(source, tensor, name));
                } else if (name.matches(".*\\.experts\\.0\\.(gate_proj|w1)\\.weight")) {
                    String prefix = tensor.name().substring(0, tensor.name().indexOf(".experts.") + ".experts.".length());
                    boolean mixtral = name.endsWith("w1.weight");
                    int experts = (int) IntStream.iterate(0, e -> e + 1)
                            .takeWhile(e -> source.tensors().containsKey(prefix + e + (mixtral ? ".w1" : ".gate_proj") + ".weight"))
                            .count();
                    String fusedPrefix = prefix.replace("block_sparse_moe", home);
                    long width = tensor.dim(0);
                    long hidden = tensor.dim(1);
                    written.add(joined(source, fusedPrefix + "gate_up_proj", List.of((long) experts, 2 * width, hidden), prefix, experts,
                            mixtral ? List.of(".w1", ".w3") : List.of(".gate_proj", ".up_proj")));
                    written.add(joined(source, fusedPrefix + "down_proj", List.of((long) experts, hidden, width), prefix, experts,
                            mixtral ? List.of(".w2") : List.of(".down_proj")));
                }
            }
            return write(target, source.config(), written);
        }
    }

    private static Written joined(Checkpoint source, String name, List<Long> shape, String prefix, int experts, List<String> parts) {
        Declared declared = new Declared(name, DType.F32, shape);
        ByteBuffer bytes = ByteBuffer.allocate((int) declared.length());
        for (int e = 0; e < experts; e++) {
            for (String part : parts) {
                bytes.put(bytes(source, prefix + e + part + ".weight"));
            }
        }
        return new Written(declared, bytes.array());
    }

    /**
     * As FP8 checkpoints are shipped: linear layers in e4m3, each number the nearest, the largest of a block 448.
     *
     * @param block rows and columns that share a scale; 0 for one scale a row
     * @param scaleType F32 or BF16
     */
    public static Path fp8(Path model, Path target, int block, DType scaleType) {
        List<Written> written = new ArrayList<>();
        try (Checkpoint source = Checkpoint.open(model)) {
            for (Tensor tensor : source.tensors().values()) {
                if (tensor.rank() == 2 && tensor.name().matches(".*(_proj|\\.w[123])\\.weight")) {
                    quantised(source, tensor, block, scaleType, written);
                } else {
                    written.add(same(source, tensor, tensor.name()));
                }
            }
            ObjectNode config = source.config();
            ObjectNode fp8 = config.putObject("quantization_config").put("activation_scheme", "dynamic").put("fmt", "e4m3")
                    .put("quant_method", "fp8");
            if (block > 0) {
                fp8.putArray("weight_block_size").add(block).add(block);
            }
            return write(target, config, written);
        }
    }

    private static void quantised(Checkpoint source, Tensor tensor, int block, DType scaleType, List<Written> written) {
        float[] values = floats(source, tensor.name());
        int rows = (int) tensor.dim(0);
        int columns = (int) tensor.dim(1);
        int rowsEach = block == 0 ? 1 : block;
        int columnsEach = block == 0 ? columns : block;
        int gridColumns = Math.ceilDiv(columns, columnsEach);
        float[] scales = new float[Math.ceilDiv(rows, rowsEach) * gridColumns];
        for (int i = 0; i < values.length; i++) {
            int at = i / columns / rowsEach * gridColumns + i % columns / columnsEach;
            scales[at] = Math.max(scales[at], bfloat(Math.abs(values[i]) / 448));
        }
        byte[] codes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            codes[i] = nearest(values[i] / scales[i / columns / rowsEach * gridColumns + i % columns / columnsEach]);
        }
        ByteBuffer stored = ByteBuffer.allocate(scales.length * scaleType.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (float scale : scales) {
            if (scaleType == DType.F32) {
                stored.putFloat(scale);
            } else {
                stored.putShort((short) (Float.floatToRawIntBits(scale) >>> 16));
            }
        }
        written.add(new Written(new Declared(tensor.name(), DType.F8_E4M3, tensor.shape()), codes));
        written.add(new Written(new Declared(Scales.names(tensor.name()).get(block == 0 ? 1 : 0), scaleType,
                List.of((long) Math.ceilDiv(rows, rowsEach), (long) gridColumns)), stored.array()));
    }

    /** Cut off after bfloat16's digits, so that both types hold the same scale. */
    private static float bfloat(float value) {
        return Float.intBitsToFloat(Float.floatToRawIntBits(value) + 0xffff & 0xffff0000);
    }

    private static byte nearest(float value) {
        int best = 0;
        for (int code = 0; code < 256; code++) {
            float here = Math.abs(slowE4m3(code) - value);
            if (here < Math.abs(slowE4m3(best) - value)) {
                best = code;
            }
        }
        return (byte) best;
    }

    /** e4m3 by way of float16, which has one bit of exponent more and seven of mantissa: the same bits, 2^8 times smaller. */
    static float slowE4m3(int code) {
        if ((code & 0x7f) == 0x7f) {
            return Float.NaN;
        }
        return Float.float16ToFloat((short) ((code & 0x80) << 8 | (code & 0x7f) << 7)) * 256;
    }

    /** The float32 checkpoint that an FP8 one means. */
    public static Path dequantised(Path model, Path target) {
        List<Written> written = new ArrayList<>();
        try (Checkpoint source = Checkpoint.open(model)) {
            for (Tensor tensor : source.tensors().values()) {
                if (tensor.dtype() == DType.F8_E4M3) {
                    Scales scales = source.matrix(tensor.name()).scales();
                    byte[] codes = bytes(source, tensor.name());
                    ByteBuffer values = ByteBuffer.allocate(4 * codes.length).order(ByteOrder.LITTLE_ENDIAN);
                    for (int i = 0; i < codes.length; i++) {
                        int columns = (int) tensor.dim(1);
                        values.putFloat(slowE4m3(codes[i] & 0xff) * scales.at(i / columns, i % columns));
                    }
                    written.add(new Written(new Declared(tensor.name(), DType.F32, tensor.shape()), values.array()));
                } else if (!tensor.name().contains("_scale")) {
                    written.add(same(source, tensor, tensor.name()));
                }
            }
            ObjectNode config = source.config();
            config.remove("quantization_config");
            return write(target, config, written);
        }
    }

    /** Without some tensors, and with others as given. */
    public static Path changed(Path model, Path target, Predicate<String> without, Map<Declared, byte[]> with) {
        try (Checkpoint source = Checkpoint.open(model)) {
            List<Written> written = new ArrayList<>();
            source.tensors().values().stream().filter(tensor -> !without.test(tensor.name()))
                    .forEach(tensor -> written.add(same(source, tensor, tensor.name())));
            with.forEach((declared, bytes) -> written.add(new Written(declared, bytes)));
            return write(target, source.config(), written);
        }
    }

    /** The same tensors in two shards, each other tensor in the second. */
    public static Path sharded(Path model, Path target) {
        try (Checkpoint source = Checkpoint.open(model)) {
            List<List<Written>> shards = List.of(new ArrayList<>(), new ArrayList<>());
            ObjectNode index = JsonMapper.shared().createObjectNode();
            ObjectNode places = index.putObject("weight_map");
            int next = 0;
            for (Tensor tensor : source.tensors().values()) {
                places.put(tensor.name(), "model-0000" + (next % 2 + 1) + "-of-00002.safetensors");
                shards.get(next++ % 2).add(same(source, tensor, tensor.name()));
            }
            Files.createDirectories(target);
            Files.writeString(target.resolve("config.json"), source.config().toString());
            Files.writeString(target.resolve("model.safetensors.index.json"), index.toString());
            write(target.resolve("model-00001-of-00002.safetensors"), shards.get(0));
            write(target.resolve("model-00002-of-00002.safetensors"), shards.get(1));
            return target;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Written same(Checkpoint source, Tensor tensor, String name) {
        return new Written(new Declared(name, tensor.dtype(), tensor.shape()), bytes(source, tensor.name()));
    }

    private static byte[] bytes(Checkpoint source, String name) {
        return source.bytes(source.tensor(name)).toArray(ValueLayout.JAVA_BYTE);
    }

    private static float[] floats(Checkpoint source, String name) {
        return source.bytes(source.tensor(name)).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
    }

    private static Path write(Path target, ObjectNode config, List<Written> written) {
        try {
            Files.createDirectories(target);
            Files.writeString(target.resolve("config.json"), config.toString());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        write(target.resolve("model.safetensors"), written);
        return target;
    }

    private static void write(Path file, List<Written> written) {
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, written.stream().map(Written::declared).toList(),
                Map.of("format", "pt"))) {
            written.forEach(tensor -> writer.begin(tensor.declared().name()).write(MemorySegment.ofArray(tensor.bytes())));
            writer.finish();
        }
    }
}
