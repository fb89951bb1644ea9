package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.espalier.checkpoint.SafetensorsFile;
import io.espalier.checkpoint.Tensor;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Budget.RatioOf;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice.Scope;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Golden masks: the official implementation, see the fixtures' README. */
class KeptSetParityTest {

    private static final Path FIXTURES = Path.of("src/test/resources/fixtures");

    @ParameterizedTest
    @CsvSource({"tiny-qwen2moe, 0.2", "tiny-qwen2moe, 0.25", "tiny-qwen2moe, 0.4", "tiny-qwen2moe, 0.5", "tiny-deepseek-moe-v1, 0.2",
            "tiny-deepseek-moe-v1, 0.25", "tiny-deepseek-moe-v1, 0.4", "tiny-deepseek-moe-v1, 0.5"})
    void theReferenceScoresKeepTheReferenceAtoms(String model, BigDecimal ratio) {
        Path reference = FIXTURES.resolve(model).resolve("reference");
        try (SafetensorsFile scores = SafetensorsFile.open(reference.resolve("heapr_scores.safetensors"));
                SafetensorsFile masks = SafetensorsFile.open(reference.resolve("keep_masks.safetensors"))) {
            Allocation order = new Allocation(new Budget(ratio, RatioOf.ROUTED_ATOMS), Layout.RAGGED, 1, false, Scope.GLOBAL,
                    Allocation.Granularity.ATOM);
            KeepPlan plan = order.plan(experts(scores), new Allocation.ModelSize(0, 0));
            long[] mask = masks.longs("keep_" + ratio.toPlainString());
            int at = 0;
            for (KeepPlan.Expert expert : plan.experts()) {
                long[] kept = new long[expert.width()];
                Arrays.stream(expert.kept()).forEach(k -> kept[k] = 1);
                assertThat(kept).as("layer %d, expert %d", expert.layer(), expert.expert())
                        .containsExactly(Arrays.copyOfRange(mask, at, at += expert.width()));
            }
            assertThat(at).isEqualTo(mask.length);
        }
    }

    private static List<ExpertScores> experts(SafetensorsFile file) {
        String name = "scores_identity_f64acc";
        Tensor tensor = file.tensor(name);
        int width = (int) tensor.dim(2);
        double[] all = file.doubles(name);
        long[] layers = file.longs("layer_index");
        List<ExpertScores> experts = new ArrayList<>();
        for (int i = 0; i * width < all.length; i++) {
            int perLayer = (int) tensor.dim(1);
            experts.add(new ExpertScores((int) layers[i / perLayer], i % perLayer, Arrays.copyOfRange(all, i * width, (i + 1) * width), 384,
                    768));
        }
        return experts;
    }
}
