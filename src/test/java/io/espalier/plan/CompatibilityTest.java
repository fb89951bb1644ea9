package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

import io.espalier.plan.ModelShape.Dialect;
import io.espalier.recipe.Loadability;
import io.espalier.recipe.Loadability.Loads;
import org.junit.jupiter.api.Test;

class CompatibilityTest {

    private static SequencedMap<Integer, int[]> widths(int[]... layers) {
        SequencedMap<Integer, int[]> widths = new LinkedHashMap<>();
        for (int layer = 0; layer < layers.length; layer++) {
            widths.put(layer, layers[layer]);
        }
        return widths;
    }

    private static ModelShape shape(String type, Dialect dialect, int fp8Block, boolean modeling, int[]... layers) {
        return new ModelShape(type, widths(layers), dialect, fp8Block, false, modeling, false);
    }

    private static String loads(ModelShape shape) {
        return String.join(" ", Compatibility.of(shape).stream().map(Loadability::loads).map(Loads::name).toList());
    }

    private static Loadability of(ModelShape shape, String engine) {
        return Compatibility.of(shape).stream().filter(each -> each.engine().equals(engine)).findFirst().orElseThrow();
    }

    @Test
    void oneWidthIsStockButForLlamaCppWhichConverts() {
        ModelShape shape = shape("qwen3_moe", Dialect.PER_EXPERT, -1, false, new int[]{96, 96}, new int[]{96, 96});
        assertThat(loads(shape)).isEqualTo("STOCK STOCK STOCK STOCK NEEDS");
        assertThat(of(shape, "vLLM").why()).endsWith("tensor parallel sizes that divide it: 1, 2");
        assertThat(of(shape, "llama.cpp").needs()).isEqualTo("conversion with convert_hf_to_gguf.py");
        assertThat(of(shape, "llama.cpp").why()).contains("no multiple of 256");
    }

    @Test
    void severalWidthsNeedTheModelingFileAndNoServerTakesThem() {
        ModelShape ragged = shape("qwen2_moe", Dialect.PER_EXPERT, -1, true, new int[]{96, 5}, new int[]{7, 96});
        assertThat(loads(ragged)).isEqualTo("NEEDS NEEDS NO NO NO");
        assertThat(of(ragged, "transformers 5").needs()).contains("trust_remote_code=True");
        ModelShape perLayer = shape("qwen2_moe", Dialect.PER_EXPERT, -1, true, new int[]{96, 96}, new int[]{7, 7});
        assertThat(loads(perLayer)).isEqualTo("NEEDS NEEDS NO NO NO");
        assertThat(of(perLayer, "transformers 5").why()).contains("per_layer_config");
        assertThat(loads(shape("qwen2_moe", Dialect.PER_EXPERT, -1, false, new int[]{96, 5}))).isEqualTo("NO NO NO NO NO");
    }

    @Test
    void theDialectDecidesToo() {
        int[][] one = {{64, 64, 64, 64}};
        assertThat(loads(shape("qwen3_moe", Dialect.FUSED, -1, false, one))).isEqualTo("NO STOCK NEEDS NEEDS NEEDS");
        assertThat(loads(shape("olmoe", Dialect.FUSED, -1, false, one))).isEqualTo("NO STOCK NEEDS NEEDS NO");
        assertThat(loads(shape("mixtral", Dialect.FUSED_ELSEWHERE, -1, false, one))).isEqualTo("NO NO NEEDS NEEDS NO");
        assertThat(loads(shape("qwen3_moe", Dialect.MIXED, -1, true, new int[]{64, 64}, new int[]{3, 4})))
                .isEqualTo("NEEDS NEEDS NO NO NO");
    }

    @Test
    void fp8BlocksAskForMultiplesOfTheBlockOnEveryDevice() {
        ModelShape fits = shape("qwen3_moe", Dialect.PER_EXPERT, 128, false, new int[]{512, 512, 512, 512});
        assertThat(loads(fits)).isEqualTo("NEEDS NEEDS STOCK STOCK NEEDS");
        assertThat(of(fits, "SGLang").why()).endsWith("1, 2, 4");
        assertThat(of(fits, "transformers 4").needs()).contains("compute capability 9");
        ModelShape not = shape("qwen3_moe", Dialect.PER_EXPERT, 128, false, new int[]{448, 448});
        assertThat(of(not, "vLLM")).isEqualTo(Loadability.no("vLLM",
                "it refuses FP8 in blocks of 128 where the width is no multiple, and 448 is none"));
        assertThat(loads(shape("qwen3_moe", Dialect.PER_EXPERT, 0, false, new int[]{448, 448}))).isEqualTo("NO NO NEEDS NEEDS NO");
        assertThat(of(shape("qwen3_moe", Dialect.PER_EXPERT, 128, false, new int[]{128, 256}), "transformers 5").why()).contains("FP8");
    }

    @Test
    void deepseeksFirstVersionBringsItsOwnCode() {
        int[][] one = {{64, 64}};
        assertThat(loads(shape("deepseek", Dialect.PER_EXPERT, -1, false, one))).isEqualTo("NEEDS NEEDS NEEDS NEEDS NEEDS");
        assertThat(of(shape("deepseek", Dialect.PER_EXPERT, -1, false, one), "transformers 4").needs()).contains("modeling_deepseek.py");
        assertThat(of(shape("deepseek", Dialect.PER_EXPERT, -1, false, one), "vLLM").needs()).contains("configuration_deepseek.py");
        ModelShape aside = new ModelShape("deepseek", widths(one), Dialect.PER_EXPERT, -1, true, false, false);
        assertThat(loads(aside)).isEqualTo("NO NO NO NO NO");
        assertThat(List.of(of(aside, "vLLM").why(), of(aside, "llama.cpp").why())).allMatch(why -> why.contains("shared expert's width"));
    }
}
