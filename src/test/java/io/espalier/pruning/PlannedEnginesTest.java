package io.espalier.pruning;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.espalier.checkpoint.DType;
import io.espalier.plan.Forecast;
import io.espalier.plan.StoredScores;
import io.espalier.recipe.Alignment;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Layout;
import io.espalier.recipe.Loadability;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Output;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.transformer.Dialects;
import io.espalier.transformer.RandomModel;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.json.JsonMapper;

/** What a plan says of the engines before anything is cut, against what is read from the files that were cut. */
class PlannedEnginesTest {

    private static final List<Output> OUTPUTS = List.of(output(Layout.PER_LAYER, 1, 1, "0.35"), output(Layout.UNIFORM, 1, 1, "0.35"),
            output(Layout.EXPERTS, 1, 1, "0.35"), output(Layout.UNIFORM, 4, 1, "0.2"), output(Layout.UNIFORM, 1, 2, "0.2"),
            output(Layout.PER_LAYER, 4, 1, "0.5"), output(Layout.RAGGED, 1, 1, "0.1"));

    @TempDir
    Path directory;

    /** How a model may lie in its files. */
    enum Source {
        QWEN2_MOE(RandomModel.QWEN2_MOE), QWEN3_MOE(RandomModel.QWEN3_MOE), DEEPSEEK(RandomModel.DEEPSEEK), DEEPSEEK_WITH_ITS_CODE(
                RandomModel.DEEPSEEK) {
            @Override
            Path write(Path directory) throws IOException {
                Path model = super.write(directory);
                Files.writeString(model.resolve("modeling_deepseek.py"), "class DeepseekForCausalLM: ...\n");
                return model;
            }
        },
        OLMOE_FUSED(RandomModel.OLMOE) {
            @Override
            Path write(Path directory) throws IOException {
                return Dialects.fused(super.write(directory.resolve("plain")), directory.resolve("fused"), "mlp");
            }
        },
        MIXTRAL_FUSED(RandomModel.MIXTRAL) {
            @Override
            Path write(Path directory) throws IOException {
                return Dialects.fused(super.write(directory.resolve("plain")), directory.resolve("fused"), "block_sparse_moe");
            }
        },
        QWEN3_MOE_FP8(RandomModel.QWEN3_MOE) {
            @Override
            Path write(Path directory) throws IOException {
                return Dialects.fp8(super.write(directory.resolve("plain")), directory.resolve("fp8"), 2, DType.F32);
            }
        },
        DEEPSEEK_FP8_ROWS(RandomModel.DEEPSEEK) {
            @Override
            Path write(Path directory) throws IOException {
                return Dialects.fp8(super.write(directory.resolve("plain")), directory.resolve("fp8"), 0, DType.F32);
            }
        };

        private final RandomModel model;

        Source(RandomModel model) {
            this.model = model;
        }

        Path write(Path directory) throws IOException {
            return model.write(directory, 5);
        }
    }

    @ParameterizedTest
    @EnumSource
    void aPlanSaysOfTheEnginesWhatTheArtifactSays(Source source) throws IOException {
        PruningRecipe order = order(Layout.RAGGED, 1, 1, "0.35", OUTPUTS);
        PruningRun.Outcome outcome = run(source.write(directory.resolve("model")), order);

        assertThat(planned(outcome.scores(), order)).isEqualTo(outcome.result().compatibility()).isEqualTo(written(outcome.artifact()));
        for (int i = 0; i < OUTPUTS.size(); i++) {
            PruningResult.Further further = outcome.result().further().get(i);
            Output output = OUTPUTS.get(i);
            assertThat(planned(outcome.scores(), order.outputs().get(i + 1))).as(output.toString()).isEqualTo(further.compatibility())
                    .isEqualTo(written(outcome.furtherArtifacts().get(i)));
        }
    }

    /** The model that is cut may be one that was cut before: its stock key no longer says the width of its experts. */
    @ParameterizedTest
    @EnumSource(names = {"QWEN2_MOE", "DEEPSEEK_WITH_ITS_CODE"})
    void aModelThatWasCutBeforeIsForeseenToo(Source source) throws IOException {
        Path once = run(source.write(directory.resolve("model")), order(Layout.RAGGED, 1, 1, "0.3", List.of())).artifact();
        for (Layout layout : List.of(Layout.RAGGED, Layout.EXPERTS)) {
            PruningRecipe order = order(layout, 1, 1, "0.2", List.of());
            PruningRun.Outcome twice = run(once, order);
            assertThat(planned(twice.scores(), order)).as(layout.json()).isEqualTo(twice.result().compatibility());
        }
    }

    private PruningRun.Outcome run(Path model, PruningRecipe order) throws IOException {
        return PruningRun.execute(new PruningRun.Inputs(order, model, null, null), Files.createTempDirectory(directory, "work"),
                new ComputeDevice("cpu", 0), Progress.IGNORED);
    }

    private static List<Loadability> planned(Path scores, PruningRecipe order) {
        StoredScores stored = StoredScores.read(scores);
        return Forecast.of(stored.allocation(order), stored).compatibility();
    }

    private static List<Loadability> written(Path artifact) throws IOException {
        JsonMapper json = JsonMapper.shared();
        return new ArrayList<>(Arrays.asList(json.treeToValue(json.readTree(Files.readString(artifact.resolve(WrittenShape.FILE)))
                .get("engines"), Loadability[].class)));
    }

    private static PruningRecipe order(Layout layout, int alignment, int devices, String ratio, List<Output> further) {
        return new PruningRecipe("m", MethodChoice.of(MethodName.MAGNITUDE), null, new Budget(new BigDecimal(ratio), null), layout,
                new Alignment(alignment), devices, empties(layout), null, null, further, null, null, null, null);
    }

    private static Output output(Layout layout, int alignment, int devices, String ratio) {
        return new Output(layout, new Alignment(alignment), devices, empties(layout), new Budget(new BigDecimal(ratio), null));
    }

    /** Where whole experts go, none may be left empty. */
    private static boolean empties(Layout layout) {
        return layout != Layout.EXPERTS;
    }
}
