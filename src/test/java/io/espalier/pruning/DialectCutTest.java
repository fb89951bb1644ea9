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
import java.util.function.IntFunction;
import java.util.stream.IntStream;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.corpus.TokenWindows;
import io.espalier.evaluation.Perplexity;
import io.espalier.plan.Allocation;
import io.espalier.plan.Cut;
import io.espalier.plan.ExpertScores;
import io.espalier.plan.KeepPlan;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Budget.RatioOf;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice.Scope;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.PruningException;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.Dialects;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.MemoryPlan;
import io.espalier.transformer.RandomModel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Models cut in the dialect they came in: opened again by our own reader, against the original read through the plan. */
class DialectCutTest {

    @TempDir
    Path directory;

    /** Cuts, holds the loss of what was written against the masked original, and answers which layers were taken apart. */
    private List<Integer> cut(Path model, Path target, IntFunction<int[]> kept) {
        try (Checkpoint source = Checkpoint.open(model)) {
            List<ExpertTensors> experts = Architecture.specOf(source).experts();
            return cut(source, target, KeepPlan.of(IntStream.range(0, experts.size()).mapToObj(e -> new KeepPlan.Expert(
                    experts.get(e).layer(), experts.get(e).expert(), experts.get(e).width(), kept.apply(e))).toList()));
        }
    }

    private List<Integer> cut(Checkpoint source, Path target, KeepPlan plan) {
        DecoderSpec spec = Architecture.specOf(source);
        long[] written = new long[1];
        List<Integer> apart = Cut.write(source, plan, spec.experts(), spec.perExpert(),
                Architecture.of(source).resized(source.config(), spec, plan.remainingWidths()), target,
                bytes -> written[0] += bytes);
        try (Checkpoint result = Checkpoint.open(target)) {
            assertThat(written[0]).isEqualTo(result.tensorBytes());
            assertThat(loss(result, KeptAtoms.ALL)).isCloseTo(loss(source, Finishing.keeping(plan)), within(1e-6));
        }
        return apart;
    }

    private double loss(Checkpoint checkpoint, KeptAtoms kept) {
        int[][] ids = {new Random(1).ints(20, 0, 50).toArray(), new Random(2).ints(20, 0, 50).toArray()};
        try (Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), kept, Compute.cpu())) {
            Perplexity measured = Perplexity.measure(decoder, TokenWindows.of(ids), new MemoryPlan(Compute.cpu(), 8, false, 0, 0),
                    directory,
                    PhaseProgress.IGNORED);
            return measured.negativeLogLikelihood() / measured.predictedTokens();
        }
    }

    private static int[] some(int width, int count, long seed) {
        return new Random(seed).ints(0, width).distinct().limit(count).sorted().toArray();
    }

    @ParameterizedTest
    @CsvSource({"QWEN2_MOE, mlp", "QWEN3_MOE, mlp", "DEEPSEEK, mlp", "OLMOE, mlp", "MIXTRAL, mlp", "MIXTRAL, block_sparse_moe"})
    void cuttingAFusedModelToOneWidthEqualsFusingTheCutModelByteForByte(RandomModel model, String home) throws IOException {
        Path plain = model.write(directory.resolve("plain"), 5);
        Path fused = Dialects.fused(plain, directory.resolve("fused"), home);
        assertThat(cut(plain, directory.resolve("plain-cut"), e -> some(10, 7, e))).isEmpty();
        assertThat(cut(fused, directory.resolve("fused-cut"), e -> some(10, 7, e))).isEmpty();
        Path expected = Dialects.fused(directory.resolve("plain-cut"), directory.resolve("cut-fused"), home);
        assertThat(Files.mismatch(directory.resolve("fused-cut/model.safetensors"), expected.resolve("model.safetensors"))).isEqualTo(-1);
        JsonMapper json = JsonMapper.shared();
        assertThat(json.readTree(directory.resolve("fused-cut/config.json").toFile()))
                .isEqualTo(json.readTree(expected.resolve("config.json").toFile()));
    }

    @ParameterizedTest
    @CsvSource({"QWEN2_MOE, mlp, 6", "DEEPSEEK, mlp, 6", "MIXTRAL, mlp, 4", "MIXTRAL, block_sparse_moe, 4"})
    void aFusedLayerOfSeveralWidthsIsWrittenExpertByExpertAndOpens(RandomModel model, String home, int experts) {
        Path fused = Dialects.fused(model.write(directory.resolve("plain"), 5), directory.resolve("fused"), home);
        Path target = directory.resolve("cut");
        // the first sparse layer comes to one width, the others to several, one of them 0
        List<Integer> apart = cut(fused, target, e -> some(10, e < experts ? 6 : e % 5, e));
        try (Checkpoint result = Checkpoint.open(target)) {
            List<ExpertTensors> written = Architecture.specOf(result).experts();
            assertThat(apart).isEqualTo(written.stream().filter(expert -> !expert.fused()).map(ExpertTensors::layer).distinct().toList())
                    .isNotEmpty().doesNotContain(written.getFirst().layer());
            assertThat(written.getFirst().fused()).isTrue();
        }
        // and what was cut can be cut again
        try (Checkpoint once = Checkpoint.open(target)) {
            List<ExpertTensors> widths = Architecture.specOf(once).experts();
            assertThat(cut(target, directory.resolve("again"), e -> IntStream.range(0, widths.get(e).width() / 2).toArray())).isEmpty();
        }
    }

    @Test
    void theIndexPlacesWhatWasTakenApartInTheShardItCameFrom() {
        Path fused = Dialects.fused(RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5), directory.resolve("fused"), "mlp");
        Path sharded = Dialects.sharded(fused, directory.resolve("sharded"));
        assertThat(cut(sharded, directory.resolve("cut"), e -> some(10, e < 12 ? 3 : 1 + e % 4, e))).containsExactly(2);
        JsonMapper json = JsonMapper.shared();
        JsonNode before = json.readTree(sharded.resolve("model.safetensors.index.json").toFile()).get("weight_map");
        JsonNode after = json.readTree(directory.resolve("cut/model.safetensors.index.json").toFile()).get("weight_map");
        String layer = "model.layers.2.mlp.experts.";
        assertThat(after.has(layer + "gate_up_proj")).isFalse();
        assertThat(after.get(layer + "5.gate_proj.weight")).isEqualTo(before.get(layer + "gate_up_proj"));
        assertThat(after.get(layer + "5.up_proj.weight")).isEqualTo(before.get(layer + "gate_up_proj"));
        assertThat(after.get(layer + "0.down_proj.weight")).isEqualTo(before.get(layer + "down_proj"))
                .isNotEqualTo(before.get(layer + "gate_up_proj"));
        assertThat(after.get("model.layers.1.mlp.experts.down_proj")).isEqualTo(before.get("model.layers.1.mlp.experts.down_proj"));
    }

    @ParameterizedTest
    @CsvSource({"QWEN2_MOE, 4, F32", "QWEN3_MOE, 4, BF16", "DEEPSEEK, 8, F32", "MIXTRAL, 3, BF16", "OLMOE, 5, F32"})
    void anFp8ModelCutInWholeBlocksHasTheLossOfTheMaskedOriginal(RandomModel model, int block, DType scales) {
        Path fp8 = Dialects.fp8(model.write(directory.resolve("plain"), 5), directory.resolve("fp8"), block, scales);
        for (Layout layout : Layout.values()) {
            Path target = directory.resolve("cut-" + layout);
            try (Checkpoint source = Checkpoint.open(fp8)) {
                cut(source, target, plan(source, layout, "0.35"));
            }
            try (Checkpoint once = Checkpoint.open(target)) {
                cut(once, directory.resolve("again-" + layout), plan(once, Layout.RAGGED, "0.1"));
            }
        }
    }

    private static KeepPlan plan(Checkpoint source, Layout layout, String ratio) {
        List<ExpertTensors> experts = Architecture.specOf(source).experts();
        int block = Allocation.sourceBlock(source, experts);
        assertThat(block).isEqualTo(source.config().get("quantization_config").get("weight_block_size").get(0).intValue());
        List<ExpertScores> scores = new ArrayList<>();
        for (ExpertTensors expert : experts) {
            scores.add(ExpertScores.of(source, expert, new Random(expert.expert()).doubles(expert.width()).toArray()));
        }
        return new Allocation(new Budget(new BigDecimal(ratio), RatioOf.ROUTED_ATOMS), layout, 1, layout == Layout.RAGGED, Scope.GLOBAL,
                Allocation.Granularity.ATOM, block).plan(scores, new Allocation.ModelSize(source.parameters(), source.tensorBytes()));
    }

    @Test
    void rowsWithScalesOfTheirOwnAreCutAnywhere() {
        Path fp8 = Dialects.fp8(RandomModel.QWEN2_MOE.write(directory.resolve("plain"), 5), directory.resolve("fp8"), 0, DType.F32);
        try (Checkpoint source = Checkpoint.open(fp8)) {
            assertThat(Allocation.sourceBlock(source, Architecture.specOf(source).experts())).isEqualTo(1);
        }
        cut(fp8, directory.resolve("cut"), e -> some(10, e % 8, e));
    }

    @Test
    void aCutThatWouldRoundFp8AnewIsRefusedBeforeAnythingIsWritten() {
        Path fp8 = Dialects.fp8(RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5), directory.resolve("fp8"), 4, DType.F32);
        Path target = directory.resolve("cut");
        assertThatThrownBy(() -> cut(fp8, target, e -> e == 7 ? new int[]{0, 1, 2, 3, 4, 5, 6, 8} : some(10, 10, e)))
                .isInstanceOfSatisfying(PruningException.class, refused -> assertThat(refused.code()).isEqualTo(ErrorCode.FP8_ALIGNMENT))
                .hasMessageMatching(
                        "model\\.layers\\.1\\.mlp\\.experts\\.1\\.gate_proj\\.weight: block 1 of the kept atoms takes some from "
                                + "source block 1, scale \\S+, and some from source block 2, scale \\S+ \\(expected: equal scales within 4 atoms, .*"
                                + "an alignment of 4 does not guarantee it, pruning in whole source blocks does, and a bf16 copy of the model needs "
                                + "neither\\)");
        assertThat(target).doesNotExist();
    }

    @Test
    void whatAnFp8ExpertWeighsIsExactlyWhatTheCutSaves() {
        Path fp8 = Dialects.fp8(RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5), directory.resolve("fp8"), 4, DType.F32);
        // without the first block of every expert: 4 atoms and the scales of 1 block
        cut(fp8, directory.resolve("cut"), _ -> IntStream.range(4, 10).toArray());
        try (Checkpoint source = Checkpoint.open(fp8); Checkpoint result = Checkpoint.open(directory.resolve("cut"))) {
            long saved = 0;
            for (ExpertTensors expert : Architecture.specOf(source).experts()) {
                ExpertScores weighed = ExpertScores.of(source, expert, new double[expert.width()]);
                assertThat(weighed.parametersPerAtom()).isEqualTo(72);
                saved += 4 * weighed.bytesPerAtom() + weighed.bytesPerBlock();
            }
            assertThat(source.tensorBytes() - result.tensorBytes()).isEqualTo(saved);
        }
    }
}
