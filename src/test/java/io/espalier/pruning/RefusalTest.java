package io.espalier.pruning;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Evaluation;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Output;
import io.espalier.recipe.Progress;
import io.espalier.recipe.Protections;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.Violation;
import io.espalier.transformer.RandomModel;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Bad input to a run: a stable code, a sentence with given and expected, and nothing left behind. */
class RefusalTest {

    @TempDir
    Path directory;

    private Path tokens;
    private Path work;

    @BeforeEach
    void writeTokens() throws IOException {
        tokens = directory.resolve("tokens.safetensors");
        long[] ids = new java.util.Random(1).longs(6 * 16, 0, 50).toArray();
        try (SafetensorsWriter writer = SafetensorsWriter.create(tokens, List.of(new Declared("ids", DType.I64, List.of(6L, 16L))),
                java.util.Map.of())) {
            writer.begin("ids").longs(ids);
            writer.finish();
        }
        work = Files.createDirectory(directory.resolve("work"));
    }

    @Test
    void aDenseModelHasNothingToPrune() {
        refused(RandomModel.LLAMA.write(directory.resolve("model"), 1), recipe(16, 1, "0.5"), ErrorCode.MODEL_WITHOUT_EXPERTS,
                "llama model without routed experts");
    }

    @Test
    void everythingThatDoesNotFitIsSaidAtOnce() {
        PruningRecipe recipe = new PruningRecipe("m", MethodChoice.of(MethodName.HEAPR),
                new Calibration(CorpusRef.at(tokens.toString()), 4, 100, 0L), new Budget(new BigDecimal("0.5"), null), Layout.RAGGED, 16,
                false,
                new Evaluation(CorpusRef.at(tokens.toString()), 9, 16, false), null);
        PruningException refused = refused(RandomModel.OLMOE.write(directory.resolve("model"), 1), recipe,
                ErrorCode.ALIGNMENT_LEAVES_NOTHING, "alignment");
        assertThat(refused)
                .hasMessageContaining("calibration.sequence_length: 100 (expected: at most 64, the model's max_position_embeddings)")
                .hasMessageContaining("9");
    }

    @Test
    void aSequenceLongerThanAnyThatIsComputedIsRefusedWhateverTheModelSays() throws IOException {
        Path model = RandomModel.OLMOE.write(directory.resolve("model"), 1);
        Files.writeString(model.resolve("config.json"), RandomModel.OLMOE.config().put("max_position_embeddings", 1_000_000).toString());
        refused(model, recipe(50_000, 1, "0.5"), ErrorCode.SEQUENCE_TOO_LONG,
                "calibration.sequence_length: 50000 (expected: at most 23170, the longest sequence that is computed here)");
    }

    @Test
    void fewerWindowsThanAskedAreRefused() {
        refused(RandomModel.OLMOE.write(directory.resolve("model"), 1), recipe(16, 7, "0.5"), ErrorCode.TOO_FEW_TOKENS, "7");
    }

    @Test
    void aBudgetThatExpertsCannotGiveIsRefusedBeforeAnythingIsComputed() {
        PruningRecipe order = recipe(16, 4, "0.9");
        PruningRecipe recipe = new PruningRecipe("m", order.method(), order.calibration(),
                new Budget(new BigDecimal("0.99"), Budget.RatioOf.TOTAL_PARAMETERS), Layout.RAGGED, 1, false, null, null);
        refused(RandomModel.OLMOE.write(directory.resolve("model"), 1), recipe, ErrorCode.BUDGET_UNREACHABLE, "0.99");
    }

    @Test
    void whatIsWrongWithAFurtherOutputIsSaidOfItAndOnceWhereTheWholeOrderIsWrong() {
        PruningRecipe order = recipe(16, 4, "0.3");
        Budget most = new Budget(null, null, null, 1L);
        PruningRecipe recipe = new PruningRecipe("m", order.method(), order.calibration(), order.budget(), null, null, null, null, null,
                null,
                List.of(new Output(Layout.UNIFORM, null, null, null, most), new Output(Layout.EXPERTS, null, null, null, null)), null, null,
                new Protections(1, null, null), null);
        Path model = RandomModel.OLMOE.write(directory.resolve("model"), 1);
        assertThat(refused(model, recipe, ErrorCode.BUDGET_UNREACHABLE, "further_outputs[0].").violations()).extracting(Violation::field)
                .containsExactly("further_outputs[0].budget.target_bytes", "protections.min_width");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"QWEN2_MOE | rope_scaling | {\"rope_type\": \"yarn\", \"factor\": 4.0} | rope_scaling",
            "LLAMA | rope_scaling | {\"rope_type\": \"llama3\", \"factor\": 8.0} | rope_scaling",
            "QWEN3_MOE | use_sliding_window | true | sliding_window", "MIXTRAL | sliding_window | 32 | sliding_window",
            "OLMOE | clip_qkv | 8.0 | clip_qkv", "DEEPSEEK | hidden_act | \"gelu\" | hidden_act", "LLAMA | mlp_bias | true | mlp_bias",
            "DEEPSEEK | scoring_func | \"sigmoid\" | scoring_func", "DEEPSEEK | n_group | 4 | n_group",
            "QWEN2_MOE | num_attention_heads | \"four\" | num_attention_heads",
            "QWEN2_MOE | num_experts_per_tok | 7 | num_experts_per_tok", "MIXTRAL | num_key_value_heads | 3 | num_key_value_heads"})
    void aConfigurationThatWouldChangeTheMathematicsIsRefusedByName(RandomModel model, String key, String value, String named)
            throws IOException {
        Path written = model.write(directory.resolve("model"), 1);
        ObjectNode config = model.config();
        config.set(key, JsonMapper.shared().readTree(value));
        config.put("sliding_window", config.path("sliding_window").intValue(32));
        if (!key.contains("sliding_window")) {
            config.remove("sliding_window");
        }
        Files.writeString(written.resolve("config.json"), config.toString());
        refused(written, recipe(16, 4, "0.5"), ErrorCode.UNSUPPORTED_CONFIGURATION, named);
    }

    @Test
    void anUnknownArchitectureIsRefusedWithTheKnownOnes() throws IOException {
        Path written = RandomModel.OLMOE.write(directory.resolve("model"), 1);
        Files.writeString(written.resolve("config.json"), "{\"model_type\": \"gpt_oss\"}");
        refused(written, recipe(16, 4, "0.5"), ErrorCode.UNSUPPORTED_ARCHITECTURE, "qwen3_moe");
    }

    @Test
    void tensorsThatDoNotFitTheConfigurationAreAllNamed() throws IOException {
        Path written = RandomModel.OLMOE.write(directory.resolve("model"), 1);
        ObjectNode config = RandomModel.OLMOE.config();
        config.put("intermediate_size", 11);
        config.put("num_hidden_layers", 2);
        Files.writeString(written.resolve("config.json"), config.toString());
        PruningException refused = refused(written, recipe(16, 4, "0.5"), ErrorCode.MALFORMED_CHECKPOINT,
                "model.layers.0.mlp.experts.0.gate_proj.weight: shape [10, 24] (expected: [11, 24]");
        assertThat(refused).hasMessageContaining("more");
    }

    @Test
    void anUnknownTensorIsAnErrorNeverSkipped() throws IOException {
        Path written = RandomModel.OLMOE.write(directory.resolve("model"), 1);
        ObjectNode config = RandomModel.OLMOE.config();
        config.put("tie_word_embeddings", false).put("num_hidden_layers", 2);
        Files.writeString(written.resolve("config.json"), config.toString());
        refused(written, recipe(16, 4, "0.5"), ErrorCode.MALFORMED_CHECKPOINT, "model.layers.2.input_layernorm.weight: unknown tensor");
    }

    @Test
    void aNaNWeightIsNamed() throws IOException {
        Path written = RandomModel.MIXTRAL.write(directory.resolve("model"), 1);
        String name = "model.layers.1.block_sparse_moe.experts.2.w2.weight";
        long at;
        try (Checkpoint checkpoint = Checkpoint.open(written)) {
            at = checkpoint.tensor(name).offset() + 4 * 17;
        }
        try (FileChannel channel = FileChannel.open(written.resolve("model.safetensors"), StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(0, 0x7fc00000), at);
        }
        refused(written, recipe(16, 4, "0.5"), ErrorCode.NOT_FINITE, name);
    }

    @Test
    void anOverflowIsNamedByLayer() {
        ObjectNode config = RandomModel.MIXTRAL.config();
        Path written = RandomModel.write(directory.resolve("model"), config, 1);
        scale(written, "model.layers.1.block_sparse_moe.experts.0.w2.weight");
        scale(written, "model.layers.1.block_sparse_moe.experts.0.w3.weight");
        refused(written, recipe(16, 4, "0.5"), ErrorCode.NOT_FINITE, "layer 1");
    }

    @Test
    void aShardCutShortInTheMiddleOfARunIsNamedAndNothingIsLeft() {
        Path written = RandomModel.MIXTRAL.write(directory.resolve("model"), 1);
        Path shard = written.resolve("model.safetensors");
        PruningException refused = refusedWhen(written, 3, () -> {
            try (FileChannel channel = FileChannel.open(shard, StandardOpenOption.WRITE)) {
                channel.truncate(5000);
            }
        });
        assertThat(refused.code()).isEqualTo(ErrorCode.MALFORMED_CHECKPOINT);
        assertThat(refused).hasMessageContaining("model.safetensors").hasMessageContaining("file changed while in use")
                .hasMessageContaining("5000 bytes");
        // the worker goes on to the next job
        PruningRecipe recipe = recipe(16, 4, "0.5");
        assertThat(PruningRun.execute(new PruningRun.Inputs(recipe, RandomModel.MIXTRAL.write(directory.resolve("next"), 2),
                recipe.calibration().corpus(), recipe.evaluation().corpus()), work, new ComputeDevice("cpu", 0), Progress.IGNORED).result())
                .isNotNull();
    }

    @Test
    void aFileThatChangesUnderARunIsRefused() {
        Path written = RandomModel.MIXTRAL.write(directory.resolve("model"), 1);
        PruningException refused = refusedWhen(written, 3, () -> Files.setLastModifiedTime(written.resolve("model.safetensors"),
                java.nio.file.attribute.FileTime.fromMillis(1_000)));
        assertThat(refused.code()).isEqualTo(ErrorCode.MALFORMED_CHECKPOINT);
        assertThat(refused).hasMessageContaining("file changed while in use");
    }

    @Test
    void aBudgetThatHoldsNoLayerIsRefusedWithTheSmallestThatWouldDo() {
        Path written = RandomModel.MIXTRAL.write(directory.resolve("model"), 1);
        PruningRecipe recipe = recipe(16, 4, "0.5");
        PruningException refused = catchThrowableOfType(PruningException.class,
                () -> PruningRun.execute(
                        new PruningRun.Inputs(recipe, written, recipe.calibration().corpus(), recipe.evaluation().corpus()), work,
                        new ComputeDevice("cpu", 1000), Progress.IGNORED));
        assertThat(refused.code()).isEqualTo(ErrorCode.OUT_OF_MEMORY);
        assertThat(refused).hasMessageContaining("memory budget: 1000 bytes (expected: at least ");
    }

    @Test
    void aFullDiskHasACodeOfItsOwn() {
        RuntimeException named = Failures.named(new java.io.UncheckedIOException(new IOException("No space left on device")));
        assertThat(named).isInstanceOfSatisfying(PruningException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.DISK_FULL));
    }

    @Test
    void aRunThatIsToldToStopStopsAtOnce() {
        Path written = RandomModel.MIXTRAL.write(directory.resolve("model"), 1);
        int[] ticks = new int[1];
        Progress stop = new Progress() {
            @Override
            public Answer tick(Tick tick) {
                return ++ticks[0] < 4 ? Answer.GO_ON : Answer.STOP;
            }

            @Override
            public void note(String type, String message, java.util.Map<String, Object> data) {}
        };
        PruningRecipe recipe = recipe(16, 4, "0.5");
        assertThat(catchThrowableOfType(Progress.StoppedException.class,
                () -> PruningRun.execute(
                        new PruningRun.Inputs(recipe, written, recipe.calibration().corpus(), recipe.evaluation().corpus()), work,
                        new ComputeDevice("cpu", 0), stop)))
                .hasMessageContaining("calibrate");
        assertThat(ticks[0]).isEqualTo(4);
    }

    private interface Mischief {
        void happen() throws IOException;
    }

    /** A run in the middle of which something happens to its files. */
    private PruningException refusedWhen(Path model, int tick, Mischief mischief) {
        PruningRecipe recipe = recipe(16, 4, "0.5");
        int[] ticks = new int[1];
        Progress progress = new Progress() {
            @Override
            public Answer tick(Tick at) {
                try {
                    if (++ticks[0] == tick) {
                        mischief.happen();
                    }
                } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                }
                return Answer.GO_ON;
            }

            @Override
            public void note(String type, String message, java.util.Map<String, Object> data) {}
        };
        PruningException refused = catchThrowableOfType(PruningException.class,
                () -> PruningRun.execute(
                        new PruningRun.Inputs(recipe, model, recipe.calibration().corpus(), recipe.evaluation().corpus()), work,
                        new ComputeDevice("cpu", 0), progress));
        try (Stream<Path> left = Files.list(work)) {
            assertThat(left).isEmpty();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        return refused;
    }

    /** Values so large that their products leave float32. */
    private static void scale(Path model, String name) {
        try (Checkpoint checkpoint = Checkpoint.open(model);
                FileChannel channel = FileChannel.open(model.resolve("model.safetensors"), StandardOpenOption.WRITE)) {
            long from = checkpoint.tensor(name).offset();
            ByteBuffer huge = ByteBuffer.allocate(Math.toIntExact(checkpoint.tensor(name).length())).order(ByteOrder.LITTLE_ENDIAN);
            while (huge.hasRemaining()) {
                huge.putFloat(3e38f);
            }
            channel.write(huge.flip(), from);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private PruningException refused(Path model, PruningRecipe recipe, ErrorCode code, String message) {
        PruningException refused = catchThrowableOfType(PruningException.class,
                () -> PruningRun.execute(new PruningRun.Inputs(recipe, model, recipe.calibration().corpus(),
                        recipe.evaluation() == null ? null : recipe.evaluation().corpus()), work, new ComputeDevice("cpu", 0),
                        Progress.IGNORED));
        assertThat(refused).hasMessageContaining(message);
        assertThat(refused.code()).isEqualTo(code);
        try (Stream<Path> left = Files.list(work)) {
            assertThat(left).isEmpty();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        return refused;
    }

    private PruningRecipe recipe(int length, int sequences, String ratio) {
        return new PruningRecipe("m", MethodChoice.of(MethodName.HEAPR),
                new Calibration(CorpusRef.at(tokens.toString()), sequences, length, 0L),
                new Budget(new BigDecimal(ratio), null), Layout.RAGGED, 1, false,
                new Evaluation(CorpusRef.at(tokens.toString()), 2, length, false), null);
    }
}
