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
import java.util.Random;
import java.util.stream.Stream;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Tensor;
import io.espalier.corpus.TokenWindows;
import io.espalier.evaluation.Perplexity;
import io.espalier.plan.Allocation;
import io.espalier.plan.Cut;
import io.espalier.plan.EngineDemands;
import io.espalier.plan.ExpertScores;
import io.espalier.plan.KeepPlan;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Budget.RatioOf;
import io.espalier.recipe.Layout;
import io.espalier.recipe.Loadability;
import io.espalier.recipe.MethodChoice.Scope;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Protections;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.Dialects;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.MemoryPlan;
import io.espalier.transformer.RandomModel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Every architecture in every layout and dialect: written, opened again by our own reader, against the original read through the plan. */
class LayoutTest {

    private static final List<RandomModel> SPARSE = List.of(RandomModel.QWEN2_MOE, RandomModel.QWEN2_MOE_STEPPED, RandomModel.QWEN3_MOE,
            RandomModel.DEEPSEEK, RandomModel.OLMOE, RandomModel.MIXTRAL);

    @TempDir
    Path directory;

    static List<Arguments> everyArchitectureInEveryLayout() {
        List<Arguments> all = new ArrayList<>();
        for (RandomModel model : SPARSE) {
            for (Layout layout : Layout.values()) {
                for (String dialect : List.of("plain", "fused", "fp8")) {
                    all.add(Arguments.of(model, layout, dialect));
                }
            }
        }
        return all;
    }

    @ParameterizedTest
    @MethodSource("everyArchitectureInEveryLayout")
    void theWrittenModelComputesWhatTheOriginalReadThroughThePlanComputes(RandomModel model, Layout layout, String dialect) {
        Path plain = model.write(directory.resolve("plain"), 5);
        Path given = switch (dialect) {
            case "fused" -> Dialects.fused(plain, directory.resolve("fused"), "mlp");
            case "fp8" -> Dialects.fp8(plain, directory.resolve("fp8"), 5, DType.F32);
            default -> plain;
        };
        Path target = directory.resolve("cut");
        try (Checkpoint source = Checkpoint.open(given)) {
            KeepPlan plan = plan(source, layout, "0.35", new EngineDemands(1, topK(source)));
            assertThat(plan.removedAtoms() / (double) plan.atoms()).isGreaterThanOrEqualTo(0.35);
            cut(source, target, plan);
            try (Checkpoint written = Checkpoint.open(target)) {
                assertThat(loss(written, KeptAtoms.ALL)).isCloseTo(loss(source, Finishing.keeping(plan)), within(1e-6));
                assertShape(source, written, layout, plan);
                if (layout == Layout.EXPERTS) {
                    assertEveryKeptExpertIsTheSourcesByteForByte(source, written, plan);
                }
            }
        }
        // and what was cut can be cut again, in another layout; one block of FP8 an expert is too little for most
        Layout next = dialect.equals("fp8") ? Layout.EXPERTS : Layout.values()[(layout.ordinal() + 1) % Layout.values().length];
        try (Checkpoint once = Checkpoint.open(target)) {
            if (next != Layout.EXPERTS || topK(once) < experts(once).size() / moeLayers(once)) {
                KeepPlan again = plan(once, next, "0.05", new EngineDemands(1, topK(once)));
                cut(once, directory.resolve("again"), again);
                try (Checkpoint twice = Checkpoint.open(directory.resolve("again"))) {
                    assertThat(loss(twice, KeptAtoms.ALL)).isCloseTo(loss(once, Finishing.keeping(again)), within(1e-6));
                }
            }
        }
    }

    private static void assertShape(Checkpoint source, Checkpoint written, Layout layout, KeepPlan plan) {
        ObjectNode config = written.config();
        Architecture architecture = Architecture.of(source);
        JsonNode width = source.config().get(architecture.expertWidthKey());
        switch (layout) {
            case RAGGED -> assertThat(config.has("espalier")).isTrue();
            case UNIFORM -> {
                assertThat(config.has("espalier") && config.get("espalier").has("expert_widths")).isFalse();
                assertThat(config.has("per_layer_config")).isFalse();
                assertThat(config.get(architecture.expertWidthKey()).intValue()).isEqualTo(plan.maxWidth());
            }
            case PER_LAYER -> {
                assertThat(config.path("espalier").has("expert_widths")).isFalse();
                assertThat(config.get(architecture.expertWidthKey()).intValue()).isEqualTo(plan.maxWidth());
                plan.remainingWidths().forEach((layer, widths) -> {
                    assertThat(widths).containsOnly(widths[0]);
                    JsonNode said = config.path("per_layer_config").path(String.valueOf(layer)).path(architecture.expertWidthKey());
                    assertThat(said.intValue(plan.maxWidth())).isEqualTo(widths[0]);
                });
            }
            case EXPERTS -> {
                assertThat(config.get(architecture.expertWidthKey())).isEqualTo(width);
                int left = config.get(architecture.expertCountKey()).intValue();
                assertThat(plan.remainingWidths().values()).allMatch(widths -> widths.length == left);
                assertThat(left).isLessThan(source.config().get(architecture.expertCountKey()).intValue());
                assertThat(plan.removedExperts()).isPositive();
                assertThat(plan.emptyExperts()).isZero();
            }
        }
    }

    /** Kept experts are renumbered in order; every byte of theirs, scales too, and of their router rows is the source's. */
    private static void assertEveryKeptExpertIsTheSourcesByteForByte(Checkpoint source, Checkpoint written, KeepPlan plan) {
        List<ExpertTensors> before = experts(source);
        List<ExpertTensors> after = experts(written);
        assertThat(after).hasSize(plan.remaining().size());
        int next = 0;
        for (int e = 0; e < before.size(); e++) {
            if (plan.experts().get(e).removed()) {
                continue;
            }
            ExpertTensors old = before.get(e);
            ExpertTensors now = after.get(next++);
            assertThat(now.layer()).isEqualTo(old.layer());
            assertThat(source.matrix(old.gate()).bytes().mismatch(written.matrix(now.gate()).bytes())).isEqualTo(-1);
            assertThat(source.matrix(old.up()).bytes().mismatch(written.matrix(now.up()).bytes())).isEqualTo(-1);
            assertThat(source.matrix(old.down()).bytes().mismatch(written.matrix(now.down()).bytes())).isEqualTo(-1);
            if (source.matrix(old.gate()).scales() != null) {
                assertThat(source.matrix(old.gate()).scales().bytes().mismatch(written.matrix(now.gate()).scales().bytes())).isEqualTo(-1);
                assertThat(source.matrix(old.down()).scales().bytes().mismatch(written.matrix(now.down()).scales().bytes())).isEqualTo(-1);
            }
            for (String router : Architecture.specOf(source).perExpert().get(old.layer())) {
                long row = source.matrix(router).rowBytes();
                assertThat(source.matrix(router).bytes().asSlice(old.expert() * row, row)
                        .mismatch(written.matrix(router).bytes().asSlice(now.expert() * row, row))).isEqualTo(-1);
            }
        }
        for (Tensor tensor : source.tensors().values()) {
            if (!tensor.name().contains(".experts.") && !tensor.name().endsWith(".gate.weight")) {
                assertThat(source.bytes(tensor).mismatch(written.bytes(written.tensor(tensor.name())))).as(tensor.name()).isEqualTo(-1);
            }
        }
    }

    static List<Arguments> everyArchitectureInTwoDialects() {
        return SPARSE.stream().flatMap(model -> Stream.of("plain", "fused").map(dialect -> Arguments.of(model, dialect))).toList();
    }

    /** Experts may be empty, and the budget asks for all but a ten-thousandth of the atoms. */
    @ParameterizedTest
    @MethodSource("everyArchitectureInTwoDialects")
    void aModelThatLosesEveryAtomOpensAndComputesWhatIsLeft(RandomModel model, String dialect) {
        Path plain = model.write(directory.resolve("plain"), 5);
        Path given = dialect.equals("fused") ? Dialects.fused(plain, directory.resolve("fused"), "mlp") : plain;
        try (Checkpoint source = Checkpoint.open(given)) {
            KeepPlan plan = new Allocation(new Budget(new BigDecimal("0.9999"), RatioOf.ROUTED_ATOMS), Layout.RAGGED, 1, true, Scope.GLOBAL,
                    Allocation.Granularity.ATOM)
                    .plan(scores(source), new Allocation.ModelSize(source.parameters(), source.tensorBytes()));
            assertThat(plan.keptAtoms()).isZero();
            cut(source, directory.resolve("cut"), plan);
            try (Checkpoint written = Checkpoint.open(directory.resolve("cut"))) {
                assertThat(loss(written, KeptAtoms.ALL)).isCloseTo(loss(source, Finishing.keeping(plan)), within(1e-6));
                assertThat(WrittenShape.engines(written, Architecture.specOf(written), directory.resolve("cut")))
                        .noneMatch(engine -> engine.loads() == Loadability.Loads.STOCK);
            }
        }
    }

    @Test
    void aShardWhoseExpertsAllGoIsNotWrittenAndTheIndexHoldsTheNewNames() {
        Path sharded = Dialects.sharded(RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5), directory.resolve("sharded"));
        try (Checkpoint source = Checkpoint.open(sharded)) {
            KeepPlan plan = plan(source, Layout.EXPERTS, "0.4", new EngineDemands(1, 2));
            cut(source, directory.resolve("cut"), plan);
            JsonNode places = JsonMapper.shared().readTree(directory.resolve("cut/model.safetensors.index.json").toFile())
                    .get("weight_map");
            assertThat(places.propertyNames().stream().filter(name -> name.contains(".experts.")).toList()).hasSize(3 * 3 * 3)
                    .noneMatch(name -> name.contains(".experts.3.") || name.contains(".experts.5."));
            try (Checkpoint written = Checkpoint.open(directory.resolve("cut"))) {
                assertThat(places.propertyNames()).containsExactlyInAnyOrderElementsOf(written.tensors().keySet());
                assertThat(JsonMapper.shared().readTree(directory.resolve("cut/model.safetensors.index.json").toFile())
                        .at("/metadata/total_size")
                        .longValue()).isEqualTo(written.tensorBytes());
            }
        }
    }

    @Test
    void aRandomModelOfPerLayerWidthsInTransformersOwnFormOpens() throws IOException {
        Path plain = RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5);
        Path target = directory.resolve("cut");
        try (Checkpoint source = Checkpoint.open(plain)) {
            cut(source, target, plan(source, Layout.PER_LAYER, "0.4", EngineDemands.NONE));
        }
        ObjectNode config = (ObjectNode) JsonMapper.shared().readTree(target.resolve("config.json").toFile());
        ObjectNode padded = config.objectNode();
        config.get("per_layer_config").properties().forEach(layer -> padded.set("0" + layer.getKey(), layer.getValue()));
        assertThat(padded.isEmpty()).isFalse();
        config.set("per_layer_config", padded);
        Files.writeString(target.resolve("config.json"), config.toString());
        try (Checkpoint written = Checkpoint.open(target)) {
            assertThat(experts(written)).hasSize(18);
        }
        padded.putObject("1").put("num_key_value_heads", 1);
        padded.putArray("7");
        Files.writeString(target.resolve("config.json"), config.toString());
        try (Checkpoint written = Checkpoint.open(target)) {
            assertThatThrownBy(() -> Architecture.specOf(written))
                    .hasMessageContaining("per_layer_config.1.num_key_value_heads: 1 (expected: only moe_intermediate_size")
                    .hasMessageContaining("per_layer_config.7: [] (expected: an object for a layer from 0 to 2)");
        }
    }

    @ParameterizedTest
    @CsvSource({"UNIFORM, 2, 2", "PER_LAYER, 1, 2", "PER_LAYER, 2, 2", "RAGGED, 1, 2", "UNIFORM, 1, 5"})
    void everyDevicesShareOfAnExpertIsAligned(Layout layout, int alignment, int devices) {
        Path plain = RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5);
        try (Checkpoint source = Checkpoint.open(plain)) {
            KeepPlan plan = plan(source, layout, "0.35", alignment, new EngineDemands(devices, 2));
            assertThat(plan.experts()).allMatch(expert -> expert.keptWidth() % (alignment * devices) == 0 && expert.keptWidth() > 0);
        }
    }

    static double loss(Checkpoint checkpoint, KeptAtoms kept, Path directory) {
        int[][] ids = {new Random(1).ints(20, 0, 50).toArray(), new Random(2).ints(20, 0, 50).toArray()};
        try (Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), kept, Compute.cpu())) {
            Perplexity measured = Perplexity.measure(decoder, TokenWindows.of(ids), new MemoryPlan(Compute.cpu(), 8, false, 0, 0),
                    directory,
                    PhaseProgress.IGNORED);
            return measured.negativeLogLikelihood() / measured.predictedTokens();
        }
    }

    private double loss(Checkpoint checkpoint, KeptAtoms kept) {
        return loss(checkpoint, kept, directory);
    }

    static void cut(Checkpoint source, Path target, KeepPlan plan) {
        DecoderSpec spec = Architecture.specOf(source);
        Cut.write(source, plan, spec.experts(), spec.perExpert(),
                Architecture.of(source).resized(source.config(), spec, plan.remainingWidths()), target, _ -> {});
    }

    private static List<ExpertTensors> experts(Checkpoint checkpoint) {
        return Architecture.specOf(checkpoint).experts();
    }

    private static int moeLayers(Checkpoint checkpoint) {
        return Architecture.specOf(checkpoint).perExpert().size();
    }

    private static int topK(Checkpoint checkpoint) {
        return checkpoint.config().get("num_experts_per_tok").intValue();
    }

    static KeepPlan plan(Checkpoint source, Layout layout, String ratio, EngineDemands demands) {
        return plan(source, layout, ratio, 1, demands);
    }

    private static List<ExpertScores> scores(Checkpoint source) {
        List<ExpertScores> scores = new ArrayList<>();
        for (ExpertTensors expert : experts(source)) {
            Random random = new Random(31 * expert.layer() + expert.expert());
            // why a factor: layers and experts that differ are what per_layer and experts are for
            double factor = (1 + expert.layer()) * (1 + random.nextInt(5));
            scores.add(ExpertScores.of(source, expert, random.doubles(expert.width()).map(score -> score * factor).toArray()));
        }
        return scores;
    }

    private static KeepPlan plan(Checkpoint source, Layout layout, String ratio, int alignment, EngineDemands demands) {
        return new Allocation(new Budget(new BigDecimal(ratio), RatioOf.ROUTED_ATOMS), layout, alignment, false, Scope.GLOBAL,
                Allocation.Granularity.ATOM, Allocation.sourceBlock(source, experts(source)), demands, Protections.NONE)
                .plan(scores(source), new Allocation.ModelSize(source.parameters(), source.tensorBytes()));
    }
}
