package io.espalier.pruning;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;

import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Budget.RatioOf;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.Evaluation;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.transformer.Dialects;
import io.espalier.transformer.RandomModel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Whole runs on models in other dialects. */
class DialectRunTest {

    @TempDir
    Path directory;

    private PruningRun.Outcome run(Path model, MethodName method, RatioOf ratioOf, Layout layout) throws IOException {
        Path tokens = directory.resolve("tokens.safetensors");
        if (!Files.exists(tokens)) {
            try (SafetensorsWriter writer = SafetensorsWriter.create(tokens, List.of(new Declared("ids", DType.I64, List.of(6L, 16L))),
                    Map.of())) {
                writer.begin("ids").longs(new Random(1).longs(6 * 16, 0, 50).toArray());
                writer.finish();
            }
        }
        CorpusRef corpus = CorpusRef.at(tokens.toString());
        PruningRecipe recipe = new PruningRecipe("m", MethodChoice.of(method), new Calibration(corpus, 6, 16, 0L),
                new Budget(new BigDecimal("0.2"), ratioOf), layout, 1, false, new Evaluation(corpus, 6, 16, true), null);
        return PruningRun.execute(new PruningRun.Inputs(recipe, model, corpus, corpus), Files.createTempDirectory(directory, "work"),
                new ComputeDevice("cpu", 0), Progress.IGNORED);
    }

    @ParameterizedTest
    @CsvSource({"HEAPR, RAGGED", "MAGNITUDE, UNIFORM"})
    void aFusedModelIsPrunedLikeTheSameModelExpertByExpert(MethodName method, Layout layout) throws IOException {
        Path plain = RandomModel.QWEN2_MOE.write(directory.resolve("plain"), 5);
        PruningResult expected = run(plain, method, RatioOf.BYTES, layout).result();
        PruningResult fused = run(Dialects.fused(plain, directory.resolve("fused"), "mlp"), method, RatioOf.BYTES, layout).result();
        assertThat(fused.digests().plan()).isEqualTo(expected.digests().plan());
        assertThat(fused.perplexity()).isEqualTo(expected.perplexity());
        assertThat(fused.after()).isEqualTo(expected.after());
        assertThat(fused.achieved()).isEqualTo(expected.achieved());
    }

    @ParameterizedTest
    @CsvSource({"HEAPR, RAGGED, BYTES", "MAGNITUDE, UNIFORM, ROUTED_ATOMS", "FREQUENCY, RAGGED, TOTAL_PARAMETERS"})
    void anFp8ModelIsPrunedInWholeBlocksOfItsScales(MethodName method, Layout layout, RatioOf ratioOf) throws IOException {
        Path fp8 = Dialects.fp8(RandomModel.QWEN3_MOE.write(directory.resolve("plain"), 5), directory.resolve("fp8"), 4, DType.F32);
        PruningRun.Outcome outcome = run(fp8, method, ratioOf, layout);
        PruningResult.Achieved achieved = outcome.result().achieved();
        double reached = switch (ratioOf) {
            case ROUTED_ATOMS -> achieved.routedAtomRatio();
            case TOTAL_PARAMETERS -> achieved.totalParameterRatio();
            case BYTES -> achieved.byteRatio();
        };
        assertThat(reached).isBetween(0.2, 0.32);
        try (Checkpoint cut = Checkpoint.open(outcome.artifact())) {
            for (ExpertTensors expert : Architecture.specOf(cut).experts()) {
                assertThat(cut.tensor(expert.down().tensor()).dtype()).isEqualTo(DType.F8_E4M3);
                assertThat(expert.width() % 4).isIn(0, 2);
            }
        }
    }

    @Test
    void aRunOnFp8EqualsTheRunOnTheNumbersItMeansUpToTheBlocks() throws IOException {
        Path fp8 = Dialects.fp8(RandomModel.DEEPSEEK.write(directory.resolve("plain"), 5), directory.resolve("fp8"), 0, DType.F32);
        Path meant = Dialects.dequantised(fp8, directory.resolve("meant"));
        // a scale a row: no blocks, so the very same atoms stay
        PruningResult given = run(fp8, MethodName.HEAPR, RatioOf.ROUTED_ATOMS, Layout.RAGGED).result();
        PruningResult expected = run(meant, MethodName.HEAPR, RatioOf.ROUTED_ATOMS, Layout.RAGGED).result();
        assertThat(given.digests().plan()).isEqualTo(expected.digests().plan());
        assertThat(given.perplexity()).isEqualTo(expected.perplexity());
        assertThat(given.after().totalParameters()).isEqualTo(expected.after().totalParameters());
    }
}
