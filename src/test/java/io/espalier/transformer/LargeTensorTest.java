package io.espalier.transformer;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.architecture.DecoderSpec.Moe;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Tensors with more bytes, and more elements, than an int counts. The file is holes but for the numbers looked at: it costs no disk. */
class LargeTensorTest {

    private static final int HIDDEN = 1024;
    private static final int WIDTH = 1024;
    private static final int EXPERTS = 1100;
    private static final int VOCABULARY = 2_200_000;
    private static final String CONFIG = """
            {"model_type": "qwen3_moe", "hidden_size": 1024, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
             "num_hidden_layers": 1, "vocab_size": 2200000, "num_experts": 1100, "num_experts_per_tok": 2, "moe_intermediate_size": 1024,
             "intermediate_size": 1024, "max_position_embeddings": 64, "norm_topk_prob": true, "hidden_act": "silu", "rms_norm_eps": 1e-6,
             "rope_theta": 10000.0, "tie_word_embeddings": false}""";

    @TempDir
    Path directory;

    @Test
    void rowsAndExpertsBeyondTwoToThe31stElementAreTheOnesThatWereWritten() throws IOException {
        float[] row = numbers(1, HIDDEN);
        float[] headRow = numbers(2, HIDDEN);
        float[] gate = numbers(3, WIDTH * HIDDEN);
        float[] up = numbers(4, WIDTH * HIDDEN);
        float[] down = numbers(5, HIDDEN * WIDTH);
        String experts = "model.layers.0.mlp.experts.";
        long last = EXPERTS - 1L;
        write(Map.of("model.embed_tokens.weight", List.of(new Piece((VOCABULARY - 1L) * HIDDEN, row)), "lm_head.weight",
                List.of(new Piece((VOCABULARY - 1L) * HIDDEN, headRow)), experts + "gate_up_proj",
                List.of(new Piece(2 * last * WIDTH * HIDDEN, gate), new Piece((2 * last + 1) * WIDTH * HIDDEN, up)), experts + "down_proj",
                List.of(new Piece(last * HIDDEN * WIDTH, down)), "model.norm.weight", List.of(new Piece(0, ones()))));
        Compute oneByOne = new Compute(Device.cpu(), Compute.Precision.FLOAT32, 1, false, false, 1000);
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            DecoderSpec spec = Architecture.specOf(checkpoint);
            assertThat(checkpoint.tensor(experts + "gate_up_proj").elements()).isGreaterThan(Integer.MAX_VALUE);
            try (Decoder decoder = Decoder.open(checkpoint, spec, KeptAtoms.ALL, oneByOne); Scratch _ = new Scratch()) {
                NDArray embedded = decoder.embed(TokenBatch.of(new int[][]{{3, VOCABULARY - 1}}));
                assertThat(embedded.get(1).toFloatArray()).isEqualTo(row);
                assertThat(embedded.get(0).toFloatArray()).containsOnly(0f);
                Head head = decoder.head(VOCABULARY - 10, VOCABULARY);
                NDArray logits = head.logitsOfNormed(decoder.manager().create(unit(7), new Shape(1, HIDDEN)));
                assertThat(logits.toFloatArray()).containsExactly(0, 0, 0, 0, 0, 0, 0, 0, 0, headRow[7]);
            }
            try (Weights weights = new Weights(checkpoint, KeptAtoms.ALL, oneByOne, new Lanes(1))) {
                List<ExpertTensors> all = ((Moe) spec.layers().getFirst().mlp()).experts();
                weights.begin(List.of(), all);
                weights.experts(all, false).use(new int[]{(int) last - 1, (int) last}, lent -> {
                    assertThat(lent.get(0).up().toFloatArray()).containsOnly(0f);
                    assertThat(lent.get(1).gate().toFloatArray()).isEqualTo(gate);
                    assertThat(lent.get(1).up().toFloatArray()).isEqualTo(up);
                    assertThat(lent.get(1).down().toFloatArray()).isEqualTo(down);
                });
            }
        }
    }

    /** Numbers at an element of a tensor. */
    private record Piece(long element, float[] values) {}

    private void write(Map<String, List<Piece>> pieces) throws IOException {
        Files.writeString(directory.resolve("config.json"), CONFIG);
        List<Declared> declared = new ArrayList<>();
        Architecture.described((ObjectNode) JsonMapper.shared().readTree(CONFIG)).tensors().forEach((name, shape) -> {
            if (!name.contains(".experts.")) {
                declared.add(new Declared(name, DType.BF16, java.util.Arrays.stream(shape).boxed().toList()));
            }
        });
        String experts = "model.layers.0.mlp.experts.";
        declared.add(new Declared(experts + "gate_up_proj", DType.BF16, List.of((long) EXPERTS, 2L * WIDTH, (long) HIDDEN)));
        declared.add(new Declared(experts + "down_proj", DType.BF16, List.of((long) EXPERTS, (long) HIDDEN, (long) WIDTH)));
        Path file = directory.resolve("model.safetensors");
        SafetensorsWriter.create(file, declared, Map.of()).close();
        long at = Files.size(file);
        try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
            sparse.setLength(SafetensorsWriter.fileLength(declared, Map.of()));
            for (Declared tensor : declared) {
                for (Piece piece : pieces.getOrDefault(tensor.name(), List.of())) {
                    sparse.seek(at + piece.element() * DType.BF16.bytes());
                    sparse.write(bf16(piece.values()));
                }
                at += tensor.length();
            }
        }
    }

    private static byte[] bf16(float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(2 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            bytes.putShort((short) (Float.floatToRawIntBits(value) >>> 16));
        }
        return bytes.array();
    }

    /** Numbers that bfloat16 holds exactly. */
    private static float[] numbers(long seed, int count) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (random.nextInt(255) - 127) / 64f;
        }
        return values;
    }

    private static float[] ones() {
        float[] ones = new float[HIDDEN];
        java.util.Arrays.fill(ones, 1);
        return ones;
    }

    private static float[] unit(int at) {
        float[] unit = new float[HIDDEN];
        unit[at] = 1;
        return unit;
    }
}
