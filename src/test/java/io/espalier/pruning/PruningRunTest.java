package io.espalier.pruning;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.SafetensorsFile;
import io.espalier.corpus.Corpus;
import io.espalier.corpus.TokenWindows;
import io.espalier.corpus.Windowing;
import io.espalier.evaluation.Perplexity;
import io.espalier.plan.KeepPlan;
import io.espalier.recipe.Alignment;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Budget.RatioOf;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.Evaluation;
import io.espalier.recipe.Layout;
import io.espalier.recipe.Loadability.Loads;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Output;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.Slicing;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.Fixture;
import io.espalier.transformer.MemoryPlan;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Whole runs on the trained fixture models, against what the official implementation kept and measured. */
class PruningRunTest {

    private static final ComputeDevice CPU = new ComputeDevice("cpu", 0);

    @TempDir
    Path directory;

    @ParameterizedTest
    @CsvSource({"QWEN2_MOE, 0.2", "QWEN2_MOE, 0.25", "QWEN2_MOE, 0.4", "QWEN2_MOE, 0.5", "DEEPSEEK_MOE, 0.2", "DEEPSEEK_MOE, 0.25",
            "DEEPSEEK_MOE, 0.4", "DEEPSEEK_MOE, 0.5"})
    void heaprKeepsTheReferencesAtomsAndReachesItsPerplexities(Fixture fixture, BigDecimal ratio) throws IOException {
        PruningRecipe recipe = recipe(fixture, MethodChoice.of(MethodName.HEAPR), ratio, Layout.RAGGED, true, false);
        PruningRun.Outcome outcome = run(fixture, recipe);
        JsonNode reference = JsonMapper.shared().readTree(fixture.reference("ppl.json").toFile());
        double expected = reference.get("pruned").get(ratio.toPlainString()).get("heapr_identity").doubleValue();
        System.getLogger("parity").log(System.Logger.Level.INFO,
                fixture + " at " + ratio + ": perplexity " + outcome.result().perplexity().before() + " before (reference "
                        + reference.get("ppl_test") + "), " + outcome.result().perplexity().after() + " after (reference " + expected
                        + ")");
        assertThat(outcome.result().perplexity().before()).isCloseTo(reference.get("ppl_test").doubleValue(), within(0.01));
        assertThat(outcome.result().perplexity().after()).isCloseTo(expected, within(0.01));
        KeepPlan plan = KeepPlan.fromJson(Files.readString(outcome.artifact().resolve("pruning-plan.json")));
        assertThat(mask(plan)).isEqualTo(keptByReference(fixture, ratio));
        assertThat(outcome.result().achieved().atomsRemoved()).isEqualTo(plan.removedAtoms());
    }

    @ParameterizedTest
    @CsvSource({"MAGNITUDE, magnitude, 0.25", "MAGNITUDE, magnitude, 0.5", "ACTIVATION, act_norm, 0.25", "ACTIVATION, act_norm, 0.5",
            "FREQUENCY, expert_drop_zero, 0.25", "FREQUENCY, expert_drop_zero, 0.5"})
    void theBaselinesReachTheirReferencePerplexities(MethodName method, String column, BigDecimal ratio) {
        for (Fixture fixture : List.of(Fixture.QWEN2_MOE, Fixture.DEEPSEEK_MOE)) {
            PruningRecipe recipe = recipe(fixture, MethodChoice.of(method), ratio, Layout.RAGGED, true, false);
            PruningRun.Outcome outcome = run(fixture, recipe);
            double expected = JsonMapper.shared().readTree(fixture.reference("ppl.json").toFile()).get("pruned").get(ratio.toPlainString())
                    .get(column).doubleValue();
            assertThat(outcome.result().perplexity().after()).as("%s", fixture).isCloseTo(expected, within(0.01));
        }
    }

    @Test
    void weighingByTokenCountReachesTheReferencePerplexity() {
        MethodChoice weighed = new MethodChoice(MethodName.HEAPR, null, null, BigDecimal.ONE, null);
        PruningRun.Outcome outcome = run(Fixture.QWEN2_MOE,
                recipe(Fixture.QWEN2_MOE, weighed, new BigDecimal("0.5"), Layout.RAGGED, true, false));
        assertThat(outcome.result().perplexity().after()).isCloseTo(46.26350916533922, within(0.01));
    }

    @ParameterizedTest
    @CsvSource({"QWEN2_MOE, RAGGED, 1", "QWEN2_MOE, RAGGED, 32", "QWEN2_MOE, UNIFORM, 8", "DEEPSEEK_MOE, RAGGED, 8",
            "DEEPSEEK_MOE, UNIFORM, 1",
            "DEEPSEEK_MOE, UNIFORM, 32", "QWEN2_MOE, PER_LAYER, 8", "DEEPSEEK_MOE, PER_LAYER, 1", "QWEN2_MOE, EXPERTS, 1",
            "DEEPSEEK_MOE, EXPERTS, 1"})
    void theWrittenModelComputesWhatTheMaskedOriginalComputes(Fixture fixture, Layout layout, int alignment) throws IOException {
        PruningRecipe order = recipe(fixture, MethodChoice.of(MethodName.MAGNITUDE), new BigDecimal("0.3"), layout, false, false);
        PruningRecipe recipe = new PruningRecipe(order.model(), order.method(), order.calibration(), order.budget(), layout, alignment,
                false,
                order.evaluation(), null);
        PruningRun.Outcome outcome = run(fixture, recipe);
        KeepPlan plan = KeepPlan.fromJson(Files.readString(outcome.artifact().resolve("pruning-plan.json")));
        try (Checkpoint original = Checkpoint.open(fixture.model());
                Decoder masked = Decoder.open(original, Architecture.specOf(original), Finishing.keeping(plan), Compute.cpu())) {
            TokenWindows windows = Corpus.windows(CorpusRef.at(fixture.reference("test_ids.safetensors").toAbsolutePath().toString()), null,
                    new Windowing.Strided(16, 256), masked.spec().vocabSize());
            double expected = Perplexity
                    .measure(masked, windows, new MemoryPlan(Compute.cpu(), 8, false, 0, 0), directory, PhaseProgress.IGNORED).value();
            assertThat(outcome.result().perplexity().after()).isCloseTo(expected, within(1e-3));
        }
        assertThat(plan.remaining()).allMatch(expert -> expert.keptWidth() % alignment == 0 && expert.keptWidth() > 0);
        assertThat(outcome.result().achieved().removedExperts()).isEqualTo(plan.removedExperts());
        assertThat(plan.removedExperts() > 0).isEqualTo(layout == Layout.EXPERTS);
        if (layout == Layout.UNIFORM) {
            JsonNode config = JsonMapper.shared().readTree(outcome.artifact().resolve("config.json").toFile());
            assertThat(config.get("moe_intermediate_size").intValue()).isEqualTo(plan.minWidth()).isEqualTo(plan.maxWidth());
        }
    }

    /** Sane: worse than the global ranking, which may choose freely, and better than as much at random. */
    @ParameterizedTest
    @CsvSource({"QWEN2_MOE, 0.25", "QWEN2_MOE, 0.5", "DEEPSEEK_MOE, 0.25", "DEEPSEEK_MOE, 0.5"})
    void everyLayoutCostsMoreThanRaggedAndLessThanChance(Fixture fixture, BigDecimal ratio) {
        double before = 0;
        double ragged = 0;
        for (Layout layout : Layout.values()) {
            PruningRun.Outcome outcome = run(fixture, recipe(fixture, MethodChoice.of(MethodName.HEAPR), ratio, layout, true, true));
            PruningResult.Perplexity perplexity = outcome.result().perplexity();
            System.getLogger("parity").log(System.Logger.Level.INFO, fixture + " at " + ratio + ", " + layout.json() + ": perplexity "
                    + perplexity.before() + " before, " + perplexity.after() + " after, " + perplexity.randomControl()
                    + " at random; removed " + outcome.result().achieved().routedAtomRatio());
            before = perplexity.before();
            ragged = layout == Layout.RAGGED ? perplexity.after() : ragged;
            assertThat(perplexity.after()).as("%s", layout).isGreaterThan(before).isGreaterThanOrEqualTo(ragged)
                    .isLessThan(perplexity.randomControl());
            assertThat(outcome.result().achieved().routedAtomRatio()).isBetween(ratio.doubleValue(), ratio.doubleValue() + 0.07);
        }
    }

    @Test
    void alignmentLeftToTheServiceIsSaidWithItsReason() throws IOException {
        PruningRecipe order = recipe(Fixture.QWEN2_MOE, MethodChoice.of(MethodName.MAGNITUDE), new BigDecimal("0.3"), Layout.UNIFORM, false,
                false);
        PruningRecipe recipe = new PruningRecipe(order.model(), order.method(), order.calibration(), order.budget(), Layout.UNIFORM,
                Alignment.AUTO, 2, false, null, null, null, null, null, null, null);
        List<String> notes = new ArrayList<>();
        PruningRun.Outcome outcome = run(Fixture.QWEN2_MOE, recipe, noting(notes));
        // 96 atoms, 48 a device, an eighth of it is 6: 4 on each of 2 devices
        assertThat(notes).anyMatch(note -> note.startsWith("alignment 4: the largest power of two up to 128"));
        assertThat(outcome.result().achieved().alignment()).isEqualTo(4);
        assertThat(outcome.result().achieved().maxWidth() % 8).isZero();
        JsonNode manifest = JsonMapper.shared().readTree(outcome.artifact().resolve("pruning-manifest.json").toFile());
        assertThat(manifest.at("/alignment/atoms").intValue()).isEqualTo(4);
        assertThat(manifest.at("/recipe/alignment").stringValue()).isEqualTo("auto");
        JsonNode engines = JsonMapper.shared().readTree(outcome.artifact().resolve("compatibility.json").toFile());
        assertThat(engines.get("checked").stringValue()).isEqualTo("from documentation");
        assertThat(engines.get("engines")).extracting(engine -> engine.get("engine").stringValue()).containsExactly("transformers 4",
                "transformers 5", "vLLM", "SGLang", "llama.cpp");
        assertThat(engines.at("/engines/2/why").stringValue()).endsWith("1, 2, 4, 8");
        assertThat(Files.readString(outcome.artifact().resolve("README.md"))).contains("| vLLM | stock |  |",
                "alignment 4 on each of 2 devices");
    }

    @Test
    void aRaggedModelBringsAModelingFileAndAUniformOneNone() throws IOException {
        for (Layout layout : Layout.values()) {
            PruningRun.Outcome outcome = run(Fixture.QWEN2_MOE,
                    recipe(Fixture.QWEN2_MOE, MethodChoice.of(MethodName.MAGNITUDE), new BigDecimal("0.3"), layout, false, false));
            boolean own = layout == Layout.RAGGED || layout == Layout.PER_LAYER;
            JsonNode config = JsonMapper.shared().readTree(outcome.artifact().resolve("config.json").toFile());
            assertThat(Files.exists(outcome.artifact().resolve("modeling_espalier_qwen2_moe.py"))).isEqualTo(own);
            assertThat(config.at("/auto_map/AutoModelForCausalLM").stringValue(""))
                    .isEqualTo(own ? "modeling_espalier_qwen2_moe.EspalierQwen2MoeForCausalLM" : "");
            assertThat(outcome.result().compatibility().get(2).loads()).isEqualTo(own ? Loads.NO : Loads.STOCK);
        }
    }

    @Test
    void oneSetOfScoresMakesSeveralModelsEachAsIfItAloneHadBeenOrdered() {
        PruningRecipe first = recipe(Fixture.QWEN2_MOE, MethodChoice.of(MethodName.HEAPR), new BigDecimal("0.25"), Layout.RAGGED, false,
                true);
        Budget half = new Budget(new BigDecimal("0.5"), RatioOf.ROUTED_ATOMS);
        List<Output> further = List.of(new Output(Layout.UNIFORM, Alignment.AUTO, 2, null, null),
                new Output(Layout.EXPERTS, null, null, null, half),
                new Output(Layout.PER_LAYER, Alignment.AUTO, null, null, new Budget(null, null, null, 6_000_000L)));
        PruningRecipe several = new PruningRecipe(first.model(), first.method(), first.calibration(), first.budget(), first.layout(), null,
                null,
                null, first.evaluation(), null, further, null, null, null, null);
        PruningRun.Outcome outcome = run(Fixture.QWEN2_MOE, several);
        assertThat(outcome.furtherArtifacts()).hasSize(3).allMatch(artifact -> Files.exists(artifact.resolve("SHA256SUMS")));
        assertThat(outcome.result().further()).extracting(PruningResult.Further::output).isEqualTo(several.furtherOutputs());
        assertThat(outcome.result().further().getLast().after().bytes()).isBetween(5_900_000L, 6_000_000L);
        for (int i = 0; i < 4; i++) {
            PruningResult alone = run(Fixture.QWEN2_MOE, several.outputs().get(i)).result();
            PruningResult.Further together = i == 0 ? outcome.result().as(null) : outcome.result().further().get(i - 1);
            assertThat(together.digests().plan()).isEqualTo(alone.digests().plan());
            assertThat(together.perplexity()).isEqualTo(alone.perplexity());
            assertThat(together.achieved()).isEqualTo(alone.achieved());
            assertThat(together.compatibility()).isEqualTo(alone.compatibility());
            if (i > 0) {
                assertThat(together.digests().artifact()).isEqualTo(alone.digests().artifact());
            }
        }
    }

    @Test
    void theSameOrderTwiceGivesTheSameBytes() {
        PruningRecipe recipe = recipe(Fixture.DEEPSEEK_MOE, MethodChoice.of(MethodName.HEAPR), new BigDecimal("0.37"), Layout.RAGGED, false,
                true);
        PruningRun.Outcome first = run(Fixture.DEEPSEEK_MOE, recipe);
        PruningRun.Outcome second = run(Fixture.DEEPSEEK_MOE, recipe);
        assertThat(second.result()).isEqualTo(first.result());
        assertThat(second.result().digests().artifact()).isNotNull();
        assertThat(second.summary()).isEqualTo(first.summary());
    }

    @ParameterizedTest
    @EnumSource(RatioOf.class)
    void theBudgetIsReachedInTheUnitItWasOrderedIn(RatioOf ratioOf) {
        PruningRecipe order = recipe(Fixture.QWEN2_MOE, MethodChoice.of(MethodName.RANDOM), new BigDecimal("0.3"), Layout.RAGGED, false,
                false);
        PruningRecipe recipe = new PruningRecipe(order.model(), order.method(), order.calibration(),
                new Budget(new BigDecimal("0.3"), ratioOf), order.layout(), 1, false, null, null);
        PruningRun.Outcome outcome = run(Fixture.QWEN2_MOE, recipe);
        double achieved = switch (ratioOf) {
            case ROUTED_ATOMS -> outcome.result().achieved().routedAtomRatio();
            case TOTAL_PARAMETERS -> outcome.result().achieved().totalParameterRatio();
            case BYTES -> outcome.result().achieved().byteRatio();
        };
        assertThat(achieved).isBetween(0.3, 0.3 + 1.0 / 6000);
        assertThat(outcome.result().perplexity()).isNull();
        assertThat(outcome.result().coverage()).isNull();
    }

    @Test
    void aRandomControlIsMeasuredAtTheSameBudget() {
        PruningRun.Outcome outcome = run(Fixture.QWEN2_MOE,
                recipe(Fixture.QWEN2_MOE, MethodChoice.of(MethodName.HEAPR), new BigDecimal("0.5"), Layout.RAGGED, false, true));
        assertThat(outcome.result().perplexity().randomControl()).isGreaterThan(outcome.result().perplexity().after() + 5);
        assertThat(outcome.result().predictedLossChange()).isPositive();
    }

    @Test
    void progressNeverFallsAndVisitsEveryPhaseInOrder() {
        List<Progress.Tick> ticks = new ArrayList<>();
        List<String> notes = new ArrayList<>();
        run(Fixture.QWEN2_MOE,
                recipe(Fixture.QWEN2_MOE, MethodChoice.of(MethodName.HEAPR), new BigDecimal("0.5"), Layout.RAGGED, false, true),
                new Progress() {
                    @Override
                    public Answer tick(Tick tick) {
                        ticks.add(tick);
                        return Answer.GO_ON;
                    }

                    @Override
                    public void note(String type, String message, Map<String, Object> data) {
                        notes.add(type);
                    }
                });
        assertThat(ticks).isSortedAccordingTo((a, b) -> Double.compare(a.percent(), b.percent()));
        assertThat(ticks.stream().map(Progress.Tick::phase).distinct()).containsExactly(Phase.OPEN, Phase.CALIBRATE, Phase.SCORE,
                Phase.PLAN,
                Phase.CUT, Phase.CHECK);
        assertThat(ticks.stream().filter(t -> t.phase() == Phase.CALIBRATE)).allMatch(t -> t.tokensPerSecond() > 0 && t.layers() == 4);
        assertThat(notes).containsExactly("model_opened", "memory_planned", "calibrated", "planned", "measured");
    }

    private static Progress noting(List<String> notes) {
        return new Progress() {
            @Override
            public Answer tick(Tick tick) {
                return Answer.GO_ON;
            }

            @Override
            public void note(String type, String message, Map<String, Object> data) {
                notes.add(message);
            }
        };
    }

    private PruningRun.Outcome run(Fixture fixture, PruningRecipe recipe) {
        return run(fixture, recipe, Progress.IGNORED);
    }

    private PruningRun.Outcome run(Fixture fixture, PruningRecipe recipe, Progress progress) {
        try {
            Path work = Files.createTempDirectory(directory, "run");
            return PruningRun.execute(new PruningRun.Inputs(recipe, fixture.model(), recipe.calibration().corpus(),
                    recipe.evaluation() == null ? null : recipe.evaluation().corpus()), work, CPU, progress);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Test
    void slicesMeasuredByTwoRunsInAnyOrderGiveTheSameBytesAsTheWhole() throws java.io.IOException {
        Fixture fixture = Fixture.QWEN2_MOE;
        PruningRecipe recipe = recipe(fixture, MethodChoice.of(MethodName.HEAPR), new BigDecimal("0.5"), Layout.RAGGED, false, false);
        PruningRun.Inputs inputs = new PruningRun.Inputs(recipe, fixture.model(), recipe.calibration().corpus(),
                recipe.evaluation().corpus());
        ComputeDevice cpu = new ComputeDevice("cpu", 0);
        java.nio.file.Path work = java.nio.file.Files.createTempDirectory(java.nio.file.Path.of("target").toAbsolutePath(), "slices");
        try (PruningRun one = PruningRun.open(inputs, cpu, Progress.IGNORED);
                PruningRun other = PruningRun.open(inputs, cpu, Progress.IGNORED)) {
            Slicing slicing = one.slicing(2048, Progress.IGNORED);
            int slices = slicing.slices().size();
            assertThat(slices).isGreaterThan(2);
            assertThat(slicing.slices().getFirst().from()).isZero();
            assertThat(slicing.slices().getLast().to()).isEqualTo(32);
            java.nio.file.Path[] files = new java.nio.file.Path[slices];
            for (int slice = slices - 1; slice >= 0; slice--) {
                files[slice] = (slice % 2 == 0 ? one : other).measure(slicing, slice, work, null, Progress.IGNORED);
            }
            PruningRun.Outcome sliced = other.finish(slicing, List.of(files), work, Progress.IGNORED);

            Slicing undivided = one.slicing(1 << 20, Progress.IGNORED);
            assertThat(undivided.slices()).hasSize(1);
            java.nio.file.Path again = java.nio.file.Files.createDirectory(work.resolve("whole"));
            PruningRun.Outcome whole = one.finish(undivided, List.of(one.measure(undivided, 0, again, null, Progress.IGNORED)), again,
                    Progress.IGNORED);
            assertThat(sliced.scores()).hasSameBinaryContentAs(whole.scores());
            assertThat(sliced.result().digests()).isEqualTo(whole.result().digests());

            Slicing stale = new Slicing("0".repeat(64), slicing.sequencesPerBatch(), slicing.sequenceLength(), slicing.slices());
            assertThatThrownBy(() -> one.measure(stale, 0, work, null, Progress.IGNORED)).isInstanceOf(PruningException.class)
                    .hasMessageContaining("expected: " + "0".repeat(64));
            assertThatThrownBy(() -> one.finish(slicing, List.of(files).reversed(), work, Progress.IGNORED))
                    .isInstanceOf(PruningException.class).hasMessageContaining("slice 0");
        } finally {
            org.springframework.util.FileSystemUtils.deleteRecursively(work);
        }
    }

    /** The reference's own calibration tokens, and all of its test windows or the first few. */
    private static PruningRecipe recipe(Fixture fixture, MethodChoice method, BigDecimal ratio, Layout layout, boolean allWindows,
            boolean control) {
        int windows = !allWindows ? 16 : fixture == Fixture.QWEN2_MOE ? 63 : 65;
        return new PruningRecipe("fixture", method,
                new Calibration(CorpusRef.at(fixture.reference("calib_ids.safetensors").toAbsolutePath().toString()), 32, 256, 0L),
                new Budget(ratio, RatioOf.ROUTED_ATOMS), layout, 1, method.name() == MethodName.FREQUENCY,
                new Evaluation(CorpusRef.at(fixture.reference("test_ids.safetensors").toAbsolutePath().toString()), windows, 256, control),
                null);
    }

    private static boolean[] mask(KeepPlan plan) {
        boolean[] mask = new boolean[(int) plan.atoms()];
        int from = 0;
        for (KeepPlan.Expert expert : plan.experts()) {
            for (int atom : expert.kept()) {
                mask[from + atom] = true;
            }
            from += expert.width();
        }
        return mask;
    }

    private static boolean[] keptByReference(Fixture fixture, BigDecimal ratio) {
        try (SafetensorsFile masks = SafetensorsFile.open(fixture.reference("keep_masks.safetensors"))) {
            long[] kept = masks.longs("keep_" + ratio.toPlainString());
            boolean[] mask = new boolean[kept.length];
            for (int i = 0; i < kept.length; i++) {
                mask[i] = kept[i] == 1;
            }
            return mask;
        }
    }
}
