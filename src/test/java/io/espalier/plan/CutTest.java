package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.JsonFile;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.checkpoint.Tensor;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

class CutTest {

    private static final String QWEN = "src/main/resources/demo/tiny-qwen2moe";
    private static final String DEEPSEEK = "src/test/resources/fixtures/tiny-deepseek-moe-v1";

    @TempDir
    private Path directory;

    private static List<ExpertTensors> experts(Checkpoint checkpoint) {
        List<ExpertTensors> experts = new ArrayList<>();
        for (int layer = 0; layer < 4; layer++) {
            for (int e = 0; e < 16; e++) {
                String name = "model.layers." + layer + ".mlp.experts." + e + ".";
                if (checkpoint.tensors().containsKey(name + "gate_proj.weight")) {
                    int width = (int) checkpoint.tensor(name + "gate_proj.weight").dim(0);
                    experts.add(ExpertTensors.named(layer, e, width, 128, name + "gate_proj.weight", name + "up_proj.weight",
                            name + "down_proj.weight"));
                }
            }
        }
        return experts;
    }

    /** Keeps each atom with a chance that differs from expert to expert; the first expert keeps nothing, the second all. */
    private static KeepPlan randomPlan(List<ExpertTensors> experts, long seed) {
        Random random = new Random(seed);
        return KeepPlan.of(IntStream.range(0, experts.size()).mapToObj(i -> {
            double chance = i == 0 ? 0 : i == 1 ? 1 : random.nextDouble();
            int[] kept = IntStream.range(0, experts.get(i).width()).filter(k -> random.nextDouble() < chance).toArray();
            return new KeepPlan.Expert(experts.get(i).layer(), experts.get(i).expert(), experts.get(i).width(), kept);
        }).toList());
    }

    private static KeepPlan everything(List<ExpertTensors> experts) {
        return KeepPlan.of(
                experts.stream().map(e -> new KeepPlan.Expert(e.layer(), e.expert(), e.width(), IntStream.range(0, e.width()).toArray()))
                        .toList());
    }

    private static byte[] element(Checkpoint checkpoint, Tensor matrix, long row, long column) {
        int bytes = matrix.dtype().bytes();
        return checkpoint.bytes(matrix).asSlice((row * matrix.dim(1) + column) * bytes, bytes).toArray(ValueLayout.JAVA_BYTE);
    }

    /** The slow twin: every element of {@code after} is looked up where the plan says it came from. */
    private static void assertGathered(Checkpoint source, Checkpoint result, String name, int[] kept, int axis) {
        Tensor before = source.tensor(name);
        Tensor after = result.tensor(name);
        assertThat(after.dtype()).isEqualTo(before.dtype());
        assertThat(after.dim(axis)).isEqualTo(kept.length);
        assertThat(after.dim(1 - axis)).isEqualTo(before.dim(1 - axis));
        for (int row = 0; row < after.dim(0); row++) {
            for (int column = 0; column < after.dim(1); column++) {
                byte[] expected = element(source, before, axis == 0 ? kept[row] : row, axis == 1 ? kept[column] : column);
                if (!Arrays.equals(element(result, after, row, column), expected)) {
                    assertThat(element(result, after, row, column)).as("%s[%d, %d]", name, row, column).isEqualTo(expected);
                }
            }
        }
    }

    private static void assertCut(Checkpoint source, Checkpoint result, KeepPlan plan, List<ExpertTensors> experts) {
        Map<String, int[]> rows = new HashMap<>();
        Map<String, int[]> columns = new HashMap<>();
        for (int e = 0; e < experts.size(); e++) {
            rows.put(experts.get(e).gate().tensor(), plan.experts().get(e).kept());
            rows.put(experts.get(e).up().tensor(), plan.experts().get(e).kept());
            columns.put(experts.get(e).down().tensor(), plan.experts().get(e).kept());
        }
        assertThat(result.tensors().keySet()).containsExactlyElementsOf(source.tensors().keySet());
        for (Tensor tensor : source.tensors().values()) {
            assertThat(result.tensor(tensor.name()).shard().getFileName()).isEqualTo(tensor.shard().getFileName());
            if (rows.containsKey(tensor.name())) {
                assertGathered(source, result, tensor.name(), rows.get(tensor.name()), 0);
            } else if (columns.containsKey(tensor.name())) {
                assertGathered(source, result, tensor.name(), columns.get(tensor.name()), 1);
            } else {
                MemorySegment copy = result.bytes(result.tensor(tensor.name()));
                assertThat(copy.mismatch(source.bytes(tensor))).as(tensor.name()).isEqualTo(-1);
                assertThat(result.tensor(tensor.name()).shape()).isEqualTo(tensor.shape());
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {QWEN, DEEPSEEK})
    void keptRowsAndColumnsAreGatheredAndTheRestIsCopied(String model) throws IOException {
        try (Checkpoint source = Checkpoint.open(Path.of(model))) {
            List<ExpertTensors> experts = experts(source);
            assertThat(experts).hasSize(model.equals(QWEN) ? 64 : 48);
            for (long seed = 1; seed <= 3; seed++) {
                KeepPlan plan = randomPlan(experts, seed);
                Path target = directory.resolve("cut-" + seed);
                AtomicLong written = new AtomicLong();
                Cut.write(source, plan, experts, source.config(), target, written::addAndGet);
                try (Checkpoint result = Checkpoint.open(target)) {
                    assertCut(source, result, plan, experts);
                    assertThat(written.get()).isBetween(result.tensorBytes(), result.tensorBytes() + 200_000);
                    assertThat(source.parameters() - result.parameters()).isEqualTo(3 * 128 * plan.removedAtoms());
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {QWEN, DEEPSEEK})
    void aPlanThatKeepsAllGivesTheSameFiles(String model) throws IOException {
        try (Checkpoint source = Checkpoint.open(Path.of(model))) {
            List<ExpertTensors> experts = experts(source);
            Cut.write(source, everything(experts), experts, source.config(), directory, bytes -> {});
            try (var files = Files.list(Path.of(model)).filter(Files::isRegularFile)) {
                for (Path file : files.toList()) {
                    Path copy = directory.resolve(file.getFileName());
                    if (file.toString().endsWith(".json") && !file.toString().contains("token")) {
                        assertThat(JsonFile.read(copy)).as(file.toString()).isEqualTo(JsonFile.read(file));
                    } else {
                        assertThat(Files.mismatch(copy, file)).as(file.toString()).isEqualTo(-1);
                    }
                }
            }
        }
    }

    @Test
    void theIndexTellsTheNewSizeAndTheSamePlaces() throws IOException {
        Path model = Files.createDirectory(directory.resolve("model"));
        Files.writeString(model.resolve("config.json"), "{}");
        tiny(model.resolve("model-00001-of-00001.safetensors"), DType.F32);
        Files.writeString(model.resolve("model.safetensors.index.json"),
                "{\"metadata\": {\"total_size\": 1, \"total_parameters\": 2, \"by\": \"me\"}, \"weight_map\": {"
                        + "\"d\": \"model-00001-of-00001.safetensors\", \"u\": \"model-00001-of-00001.safetensors\", "
                        + "\"g\": \"model-00001-of-00001.safetensors\"}, \"more\": 3}");
        try (Checkpoint source = Checkpoint.open(model)) {
            Cut.write(source, tinyPlan(1), TINY, source.config(), directory.resolve("cut"), bytes -> {});
        }
        assertThat(JsonFile.read(directory.resolve("cut/model.safetensors.index.json")).toString())
                .isEqualTo("{\"metadata\":{\"total_size\":24,\"total_parameters\":6,\"by\":\"me\"},\"weight_map\":"
                        + "{\"d\":\"model-00001-of-00001.safetensors\",\"u\":\"model-00001-of-00001.safetensors\","
                        + "\"g\":\"model-00001-of-00001.safetensors\"},\"more\":3}");
    }

    private static final List<ExpertTensors> TINY = List.of(ExpertTensors.named(0, 0, 3, 2, "g", "u", "d"));

    private static KeepPlan tinyPlan(int... kept) {
        return KeepPlan.of(List.of(new KeepPlan.Expert(0, 0, 3, kept)));
    }

    /** Gate and up [3, 2], down [2, 3], every byte its own value. */
    private static void tiny(Path file, DType dtype) {
        try (var writer = SafetensorsWriter.create(file,
                List.of(new Declared("g", dtype, List.of(3L, 2L)), new Declared("u", dtype, List.of(3L, 2L)),
                        new Declared("d", dtype, List.of(2L, 3L))),
                Map.of("format", "pt"))) {
            byte next = 0;
            for (String name : List.of("g", "u", "d")) {
                byte[] bytes = new byte[6 * dtype.bytes()];
                for (int i = 0; i < bytes.length; i++) {
                    bytes[i] = next++;
                }
                writer.begin(name).write(MemorySegment.ofArray(bytes));
            }
            writer.finish();
        }
    }

    @Test
    void anExpertThatGoesTakesItsRouterRowAndItsNumberInEveryVectorOverExpertsWithIt() throws IOException {
        Path model = Files.createDirectory(directory.resolve("model"));
        Files.writeString(model.resolve("config.json"), "{}");
        List<Declared> declared = new ArrayList<>();
        List<ExpertTensors> experts = new ArrayList<>();
        for (int e = 0; e < 3; e++) {
            String at = "l.experts." + e + ".";
            experts.add(ExpertTensors.named(0, e, 2, 3, at + "g", at + "u", at + "d"));
            declared.add(new Declared(at + "g", DType.F32, List.of(2L, 3L)));
            declared.add(new Declared(at + "u", DType.F32, List.of(2L, 3L)));
            declared.add(new Declared(at + "d", DType.F32, List.of(3L, 2L)));
        }
        declared.add(new Declared("l.gate", DType.F32, List.of(3L, 3L)));
        declared.add(new Declared("l.gate.correction_bias", DType.F32, List.of(3L)));
        try (var writer = SafetensorsWriter.create(model.resolve("model.safetensors"), declared, Map.of())) {
            int next = 0;
            for (Declared tensor : declared) {
                float[] values = new float[(int) tensor.length() / 4];
                for (int i = 0; i < values.length; i++) {
                    values[i] = next++;
                }
                writer.begin(tensor.name()).floats(values);
            }
            writer.finish();
        }
        KeepPlan plan = KeepPlan.of(List.of(new KeepPlan.Expert(0, 0, 2, new int[]{0, 1}), KeepPlan.Expert.removed(0, 1, 2),
                new KeepPlan.Expert(0, 2, 2, new int[]{1})));
        try (Checkpoint source = Checkpoint.open(model)) {
            Cut.write(source, plan, experts, Map.of(0, List.of("l.gate", "l.gate.correction_bias")), source.config(),
                    directory.resolve("cut"), _ -> {});
            try (Checkpoint result = Checkpoint.open(directory.resolve("cut"))) {
                assertThat(result.tensors().keySet()).containsExactly("l.experts.0.g", "l.experts.0.u", "l.experts.0.d", "l.experts.1.g",
                        "l.experts.1.u", "l.experts.1.d", "l.gate", "l.gate.correction_bias");
                assertThat(floats(result, "l.gate")).containsExactly(54, 55, 56, 60, 61, 62);
                assertThat(floats(result, "l.gate.correction_bias")).containsExactly(63, 65);
                assertThat(floats(result, "l.experts.1.g")).containsExactly(39, 40, 41);
                assertThat(floats(result, "l.experts.1.d")).containsExactly(49, 51, 53);
            }
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> Cut.write(source, plan, experts, source.config(), directory.resolve("again"), _ -> {}))
                    .withMessage("layer 0: no router named (expected: its tensors, experts of it go)");
        }
    }

    private static float[] floats(Checkpoint checkpoint, String name) {
        return checkpoint.bytes(checkpoint.tensor(name)).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
    }

    @ParameterizedTest
    @ValueSource(strings = {"U8", "F16", "F32", "F64"})
    void everyElementWidthIsGathered(DType dtype) throws IOException {
        Path model = Files.createDirectory(directory.resolve("model"));
        Files.writeString(model.resolve("config.json"), "{}");
        tiny(model.resolve("model.safetensors"), dtype);
        try (Checkpoint source = Checkpoint.open(model)) {
            Cut.write(source, tinyPlan(0, 2), TINY, source.config(), directory.resolve("cut"), bytes -> {});
            try (Checkpoint result = Checkpoint.open(directory.resolve("cut"))) {
                assertCut(source, result, tinyPlan(0, 2), TINY);
            }
        }
    }

    @Test
    void companionsComeAlongAndForeignWeightsDoNot() throws IOException {
        Path model = Files.createDirectories(directory.resolve("model/original")).getParent();
        Files.writeString(model.resolve("config.json"), "{\"a\": 1}");
        tiny(model.resolve("model.safetensors"), DType.F32);
        for (String name : List.of("tokenizer.json", "tokenizer.model", "chat_template.jinja", "modeling_x.py", "LICENSE", "merges.txt",
                "pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.safetensors", "README.md", ".gitattributes",
                "SHA256SUMS",
                "model.gguf", "original/consolidated.pth")) {
            Files.writeString(model.resolve(name), name);
        }
        ObjectNode config;
        try (Checkpoint source = Checkpoint.open(model)) {
            config = source.config().put("b", 2);
            Cut.write(source, tinyPlan(0), TINY, config, directory.resolve("cut"), bytes -> {});
        }
        try (var files = Files.list(directory.resolve("cut"))) {
            assertThat(files.map(file -> file.getFileName().toString())).containsExactlyInAnyOrder("config.json", "model.safetensors",
                    "tokenizer.json", "tokenizer.model", "chat_template.jinja", "modeling_x.py", "LICENSE", "merges.txt");
        }
        assertThat(directory.resolve("cut/merges.txt")).hasContent("merges.txt");
        assertThat(directory.resolve("cut/config.json")).hasContent("{\n  \"a\": 1,\n  \"b\": 2\n}");
    }

    @Test
    void aDiskWithoutRoomIsRefusedBeforeAnythingIsWritten() throws IOException {
        Path model = Files.createDirectory(directory.resolve("model"));
        Files.writeString(model.resolve("config.json"), "{}");
        long length = Files.getFileStore(directory).getUsableSpace() + (1L << 30);
        byte[] header = ("{\"huge\":{\"dtype\":\"U8\",\"shape\":[" + length + "],\"data_offsets\":[0," + length + "]}}")
                .getBytes(StandardCharsets.UTF_8);
        try (RandomAccessFile sparse = new RandomAccessFile(model.resolve("model.safetensors").toFile(), "rw")) {
            sparse.writeLong(Long.reverseBytes(header.length));
            sparse.write(header);
            sparse.setLength(8 + header.length + length);
        }
        try (Checkpoint source = Checkpoint.open(model)) {
            assertThatThrownBy(
                    () -> Cut.write(source, KeepPlan.of(List.of()), List.of(), source.config(), directory.resolve("cut"), bytes -> {}))
                    .hasMessageMatching("cut: \\d+ bytes available \\(expected: at least \\d+ for the pruned model\\)")
                    .isInstanceOfSatisfying(PruningException.class, thrown -> assertThat(thrown.code()).isEqualTo(ErrorCode.DISK_FULL));
        }
        assertThat(directory.resolve("cut")).isEmptyDirectory();
    }

    @Test
    void aTargetThatHoldsAModelIsNotOverwritten() {
        try (Checkpoint source = Checkpoint.open(Path.of(QWEN))) {
            List<ExpertTensors> experts = experts(source);
            Cut.write(source, everything(experts), experts, source.config(), directory, bytes -> {});
            assertThatThrownBy(() -> Cut.write(source, everything(experts), experts, source.config(), directory, bytes -> {}))
                    .isInstanceOfSatisfying(PruningException.class, thrown -> assertThat(thrown.code()).isEqualTo(ErrorCode.IO_ERROR));
        }
    }

    @Test
    void aReportThatThrowsEndsTheCut() {
        try (Checkpoint source = Checkpoint.open(Path.of(QWEN))) {
            List<ExpertTensors> experts = experts(source);
            assertThatThrownBy(() -> Cut.write(source, everything(experts), experts, source.config(), directory, bytes -> {
                throw new IllegalStateException("stop");
            })).hasMessage("stop");
        }
    }

    @Test
    void aPlanForAnotherModelIsRefused() throws IOException {
        Path model = Files.createDirectory(directory.resolve("model"));
        Files.writeString(model.resolve("config.json"), "{}");
        tiny(model.resolve("model.safetensors"), DType.F32);
        try (Checkpoint source = Checkpoint.open(model)) {
            refused(source, KeepPlan.of(List.of()), TINY, "plan: 0 experts (expected: the model's 1)");
            refused(source, KeepPlan.of(List.of(new KeepPlan.Expert(0, 0, 4, new int[]{3}))), TINY,
                    "plan: layer 0, expert 0, width 4 (expected: layer 0, expert 0, width 3)");
            refused(source, tinyPlan(1), List.of(ExpertTensors.named(0, 0, 3, 2, "g", "d", "u")), "d: shape [2, 3] (expected: [3, 2])");
            refused(source, tinyPlan(1), List.of(ExpertTensors.named(0, 0, 3, 2, "g", "g", "d")),
                    "g: in two places of the model (expected: one)");
        }
    }

    private void refused(Checkpoint source, KeepPlan plan, List<ExpertTensors> experts, String message) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Cut.write(source, plan, experts, source.config(), directory.resolve("cut"), bytes -> {}))
                .withMessage(message);
    }
}
