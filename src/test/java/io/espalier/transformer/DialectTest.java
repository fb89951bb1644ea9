package io.espalier.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;

import ai.djl.ndarray.NDArray;
import io.espalier.architecture.Architecture;
import io.espalier.architecture.UnsupportedModelException;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.checkpoint.Slab;
import io.espalier.checkpoint.StoredMatrix;
import io.espalier.checkpoint.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The same random model in several dialects, against its plainest one; and what is refused of them. */
class DialectTest {

    private static final String EXPERT = "model.layers.0.mlp.experts.3.";

    @TempDir
    Path directory;

    private static float[] logits(Path model) {
        try (Checkpoint checkpoint = Checkpoint.open(model);
                Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, Compute.cpu())) {
            TokenBatch batch = TokenBatch.of(new int[][]{new Random(1).ints(13, 0, 50).toArray()});
            NDArray x = decoder.embed(batch);
            for (int l = 0; l < decoder.spec().layers().size(); l++) {
                x = decoder.layer(l).forward(x, batch, ExpertObserver.NONE).y();
            }
            return decoder.head().logits(x).toFloatArray();
        }
    }

    @ParameterizedTest
    @CsvSource({"QWEN2_MOE, mlp", "QWEN2_MOE_STEPPED, mlp", "QWEN3_MOE, mlp", "DEEPSEEK, mlp", "OLMOE, mlp", "MIXTRAL, mlp",
            "MIXTRAL, block_sparse_moe"})
    void aFusedModelHasTheLogitsAndNormsOfTheSameModelExpertByExpert(RandomModel model, String home) {
        Path plain = model.write(directory.resolve("plain"), 5);
        Path fused = Dialects.fused(plain, directory.resolve("fused"), home);
        assertThat(logits(fused)).containsExactly(logits(plain));
        try (Checkpoint one = Checkpoint.open(plain); Checkpoint other = Checkpoint.open(fused)) {
            List<ExpertTensors> plains = Architecture.specOf(one).experts();
            List<ExpertTensors> fuseds = Architecture.specOf(other).experts();
            assertThat(other.tensors()).hasSizeLessThan(one.tensors().size());
            for (int e = 0; e < plains.size(); e++) {
                assertThat(fuseds.get(e).fused()).isTrue();
                assertSame(AtomNorms.of(other, fuseds.get(e)), AtomNorms.of(one, plains.get(e)));
                assertThat(fuseds.get(e).down().alone()).isEqualTo(plains.get(e).down().tensor());
            }
        }
    }

    @Test
    void layersOfBothDialectsStandInOneModel() {
        Path plain = RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5);
        Path fused = Dialects.fused(plain, directory.resolve("fused"), "mlp");
        Path mixed = directory.resolve("mixed");
        try (Checkpoint source = Checkpoint.open(plain)) {
            Map<Declared, byte[]> second = new java.util.LinkedHashMap<>();
            source.tensors().values().stream().filter(tensor -> tensor.name().startsWith("model.layers.1.mlp.experts."))
                    .forEach(tensor -> second.put(new Declared(tensor.name(), tensor.dtype(), tensor.shape()),
                            source.bytes(tensor).toArray(ValueLayout.JAVA_BYTE)));
            Dialects.changed(fused, mixed, name -> name.startsWith("model.layers.1.mlp.experts."), second);
        }
        assertThat(logits(mixed)).containsExactly(logits(plain));
    }

    @ParameterizedTest
    @CsvSource({"QWEN2_MOE, 4, F32", "QWEN2_MOE, 4, BF16", "DEEPSEEK, 8, F32", "MIXTRAL, 128, BF16", "OLMOE, 0, F32", "LLAMA, 5, F32"})
    void anFp8ModelHasTheLogitsOfTheNumbersItMeans(RandomModel model, int block, DType scales) {
        Path fp8 = Dialects.fp8(model.write(directory.resolve("plain"), 5), directory.resolve("fp8"), block, scales);
        Path meant = Dialects.dequantised(fp8, directory.resolve("meant"));
        assertThat(logits(fp8)).containsExactly(logits(meant));
        try (Checkpoint one = Checkpoint.open(fp8); Checkpoint other = Checkpoint.open(meant)) {
            List<ExpertTensors> experts = Architecture.specOf(one).experts();
            for (ExpertTensors expert : experts) {
                assertSame(AtomNorms.of(one, expert), AtomNorms.of(other, expert));
            }
            assertThat(one.parameters()).isEqualTo(other.parameters());
            assertThat(one.tensorBytes()).isLessThan(other.tensorBytes());
        }
    }

    /** F16, BF16 and F32 side by side, subnormal numbers among them, in another order, beside rotary tables of old times. */
    @ParameterizedTest
    @EnumSource(RandomModel.class)
    void aModelInSeveralTypesHasTheLogitsOfTheNumbersItMeans(RandomModel model) {
        Path plain = model.write(directory.resolve("plain"), 5);
        Map<Declared, byte[]> stored = new java.util.LinkedHashMap<>();
        Map<Declared, byte[]> meant = new java.util.LinkedHashMap<>();
        try (Checkpoint source = Checkpoint.open(plain)) {
            List<DType> types = List.of(DType.F16, DType.BF16, DType.F32);
            for (Tensor tensor : List.copyOf(source.tensors().values()).reversed()) {
                DType type = types.get(stored.size() % types.size());
                ByteBuffer narrow = ByteBuffer.allocate((int) tensor.elements() * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
                ByteBuffer wide = ByteBuffer.allocate((int) tensor.elements() * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
                float[] values = source.bytes(tensor).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
                values[0] = 3e-6f;
                for (float value : values) {
                    switch (type) {
                        case F16 -> {
                            narrow.putShort(Float.floatToFloat16(value));
                            wide.putFloat(Float.float16ToFloat(Float.floatToFloat16(value)));
                        }
                        case BF16 -> {
                            narrow.putShort((short) (Float.floatToRawIntBits(value) >>> 16));
                            wide.putFloat(Float.intBitsToFloat(Float.floatToRawIntBits(value) & 0xffff0000));
                        }
                        default -> {
                            narrow.putFloat(value);
                            wide.putFloat(value);
                        }
                    }
                }
                stored.put(new Declared(tensor.name(), type, tensor.shape()), narrow.array());
                meant.put(new Declared(tensor.name(), DType.F32, tensor.shape()), wide.array());
            }
        }
        stored.put(new Declared("model.layers.0.self_attn.rotary_emb.inv_freq", DType.F32, List.of(3L)), new byte[12]);
        assertThat(logits(Dialects.changed(plain, directory.resolve("stored"), _ -> true, stored)))
                .containsExactly(logits(Dialects.changed(plain, directory.resolve("meant"), _ -> true, meant)));
    }

    @ParameterizedTest
    @EnumSource(NativeTensor.Type.class)
    void rowsAndColumnsOfAnFp8MatrixEqualTheSlowTwins(NativeTensor.Type type) {
        Path fp8 = Dialects.fp8(RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5), directory.resolve("fp8"), 4, DType.F32);
        int[] some = {1, 2, 5, 9};
        try (Checkpoint checkpoint = Checkpoint.open(fp8); WeightBuffer buffer = new WeightBuffer()) {
            StoredMatrix gate = checkpoint.matrix(EXPERT + "gate_proj.weight");
            StoredMatrix down = checkpoint.matrix(EXPERT + "down_proj.weight");
            buffer.reset(1 << 20);
            var rows = buffer.convert(gate, type, some, null);
            var columns = buffer.convert(down, type, null, some);
            for (int k = 0; k < some.length; k++) {
                for (int i = 0; i < 24; i++) {
                    assertThat(number(rows, type, k * 24 + i)).isEqualTo(rounded(slow(gate, some[k], i), type));
                    assertThat(number(columns, type, i * some.length + k)).isEqualTo(rounded(slow(down, i, some[k]), type));
                }
            }
        }
    }

    private static float slow(StoredMatrix matrix, int row, int column) {
        int code = matrix.bytes().get(ValueLayout.JAVA_BYTE, (long) row * matrix.columns() + column) & 0xff;
        return Dialects.slowE4m3(code) * matrix.scales().at(row, column);
    }

    private static double number(java.lang.foreign.MemorySegment numbers, NativeTensor.Type type, int index) {
        return switch (type) {
            case FLOAT32 -> numbers.getAtIndex(ValueLayout.JAVA_FLOAT, index);
            case FLOAT64 -> numbers.getAtIndex(ValueLayout.JAVA_DOUBLE, index);
            case BFLOAT16 -> Float.intBitsToFloat(numbers.getAtIndex(ValueLayout.JAVA_SHORT, index) << 16);
        };
    }

    private static double rounded(float value, NativeTensor.Type type) {
        // why: 8 digits of 24, by way of a decimal rounding that knows nothing of bits
        return type == NativeTensor.Type.BFLOAT16 && value != 0
                ? Math.rint(Math.scalb((double) value, 7 - Math.getExponent(value))) * Math.scalb(1.0, Math.getExponent(value) - 7)
                : value;
    }

    private static void assertSame(AtomNorms given, AtomNorms expected) {
        assertThat(given.gate()).isEqualTo(expected.gate());
        assertThat(given.up()).isEqualTo(expected.up());
        assertThat(given.down()).isEqualTo(expected.down());
    }

    @Test
    void aNumberThatIsNoneIsNamedWithItsTensor() {
        Path fp8 = Dialects.fp8(RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5), directory.resolve("fp8"), 4, DType.F32);
        String name = EXPERT + "up_proj.weight";
        byte[] codes = new byte[240];
        codes[100] = (byte) 0xff;
        Path nan = Dialects.changed(fp8, directory.resolve("nan"), name::equals,
                Map.of(new Declared(name, DType.F8_E4M3, List.of(10L, 24L)), codes));
        assertThatThrownBy(() -> logits(nan)).isInstanceOf(NotFiniteException.class)
                .hasMessage(name + ": holds NaN or infinity (expected: finite weights)");
    }

    @Test
    void aNumberThatIsNoneInAFusedTensorIsNamedWithItsExpert() {
        Path fused = Dialects.fused(RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5), directory.resolve("fused"), "mlp");
        String name = "model.layers.0.mlp.experts.down_proj";
        ByteBuffer numbers = ByteBuffer.allocate(6 * 24 * 10 * 4).order(ByteOrder.LITTLE_ENDIAN).putFloat(3 * 240 * 4, Float.NaN);
        Path nan = Dialects.changed(fused, directory.resolve("nan"), name::equals,
                Map.of(new Declared(name, DType.F32, List.of(6L, 24L, 10L)), numbers.array()));
        assertThatThrownBy(() -> logits(nan)).isInstanceOf(NotFiniteException.class)
                .hasMessage(name + ", " + EXPERT + "down_proj.weight: holds NaN or infinity (expected: finite weights)");
    }

    @Test
    void aFusedTensorWhoseExpertsOughtToDifferIsRefused() throws IOException {
        Path fused = Dialects.fused(RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5), directory.resolve("fused"), "mlp");
        Path config = fused.resolve("config.json");
        Files.writeString(config, Files.readString(config).replaceFirst("\\{",
                "{\"espalier\":{\"expert_widths\":{\"1\":[10,10,9,10,10,10]}},"));
        refused(fused, "config.json: espalier.expert_widths.1: [10, 10, 9, 10, 10, 10] (expected: one width, because "
                + "model.layers.1.mlp.experts.gate_up_proj holds all experts of the layer)");
    }

    @Test
    void halfOfAFusedPairIsMissing() {
        Path fused = Dialects.fused(RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5), directory.resolve("fused"), "mlp");
        String name = "model.layers.2.mlp.experts.gate_up_proj";
        refused(Dialects.changed(fused, directory.resolve("half"), name::equals, Map.of()),
                name + ": missing (expected: shape [6, 20, 24])");
    }

    @Test
    void fp8WithoutItsScalesIsRefusedByName() {
        Path fp8 = Dialects.fp8(RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5), directory.resolve("fp8"), 4, DType.F32);
        String weight = EXPERT + "gate_proj.weight";
        String scales = weight + "_scale_inv";
        refused(Dialects.changed(fp8, directory.resolve("missing"), scales::equals, Map.of()), "model.safetensors: " + weight
                + ": dtype F8_E4M3 without scales (expected: " + scales + " of shape [3, 6])");
        refused(Dialects.changed(fp8, directory.resolve("shape"), scales::equals,
                Map.of(new Declared(scales, DType.F32, List.of(3L, 5L)), new byte[60])),
                "model.safetensors: " + scales
                        + ": shape [3, 5] (expected: [3, 6], a scale for every block of 4 x 4, or [10, 1], one a row)");
        refused(Dialects.changed(fp8, directory.resolve("dtype"), scales::equals,
                Map.of(new Declared(scales, DType.F8_E8M0, List.of(3L, 6L)), new byte[18])),
                "model.safetensors: " + scales
                        + ": dtype F8_E8M0 (expected: F32 or BF16)");
        refused(Dialects.changed(fp8, directory.resolve("both"), _ -> false,
                Map.of(new Declared(weight + "_scale", DType.F32, List.of(10L, 1L)), new byte[40])),
                "model.safetensors: " + weight
                        + "_scale: unknown tensor (expected: only tensors of a qwen3_moe model; an unknown one may be part of its mathematics)");
        refused(Dialects.changed(fp8, directory.resolve("embedding"), "model.embed_tokens.weight"::equals,
                Map.of(new Declared("model.embed_tokens.weight", DType.F8_E4M3, List.of(50L, 24L)), new byte[1200])),
                "model.safetensors: model.embed_tokens.weight: dtype F8_E4M3 (expected: F32, F16 or BF16; only linear layers with a tensor "
                        + "of their own are read in FP8)");
    }

    @Test
    void scalesBesideAWeightThatNeedsNoneAreUnknown() {
        Path plain = RandomModel.LLAMA.write(directory.resolve("plain"), 5);
        String scales = "model.layers.0.mlp.up_proj.weight_scale_inv";
        refused(Dialects.changed(plain, directory.resolve("more"), _ -> false,
                Map.of(new Declared(scales, DType.F32, List.of(1L, 1L)), new byte[4])),
                "model.safetensors: " + scales + ": unknown tensor (expected: only tensors of a llama model; an unknown one may be part of "
                        + "its mathematics)");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"\"quant_method\":\"gptq\" | quant_method: \"gptq\" (expected: fp8",
            "\"quant_method\":\"compressed-tensors\" | quant_method: \"compressed-tensors\" (expected: fp8",
            "\"quant_method\":\"fp8\",\"fmt\":\"e5m2\" | fmt: \"e5m2\" (expected: e4m3",
            "\"quant_method\":\"fp8\",\"activation_scheme\":\"static\" | activation_scheme: \"static\" (expected: dynamic",
            "\"quant_method\":\"fp8\",\"weight_block_size\":[1,128] | weight_block_size: [1,128] (expected: [n, n]"})
    void anotherQuantisationIsRefusedByName(String quantisation, String message) throws IOException {
        Path plain = RandomModel.LLAMA.write(directory.resolve("plain"), 5);
        Path config = plain.resolve("config.json");
        Files.writeString(config, Files.readString(config).replaceFirst("\\{", "{\"quantization_config\":{" + quantisation + "},"));
        refused(plain, "config.json: quantization_config." + message
                + "; weights quantised in another way are not read, a bf16 copy of the model is)");
    }

    private static void refused(Path model, String message) {
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            assertThatThrownBy(() -> Architecture.specOf(checkpoint)).isInstanceOf(UnsupportedModelException.class).hasMessage(message);
        }
    }

    @Test
    void aSlabBeyondItsTensorIsRefused() {
        assertThatThrownBy(() -> new Slab("t", List.of(2L, 3L, 4L), 4, 3, "t")).isInstanceOf(IllegalArgumentException.class)
                .hasMessage("t: rows 4 to 7 (expected: rows of a tensor of shape [2, 3, 4])");
    }
}
