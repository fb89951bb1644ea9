package io.espalier.plan;

import java.util.Arrays;
import java.util.SequencedMap;

import io.espalier.plan.ModelShape.Dialect;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;
import tools.jackson.databind.json.JsonMapper;

/**
 * What of a model decides, beside the widths to come, which engines open what is cut from it. It travels in the scores file, so that a plan says the engines
 * without the model.
 *
 * @param modelType the architecture's name in {@code config.json}
 * @param dialect how the experts lie in the files
 * @param fp8Block as {@link ModelShape} has it
 * @param quantised whether {@code config.json} has a {@code quantization_config}
 * @param stockWidth of the routed experts by the stock key of {@code config.json}; a cut to several widths in a layer leaves the key as it is
 * @param sharedWidth of the shared expert where the stock class computes it from the routed experts' stock key; 0 elsewhere
 * @param ownCode whether the model brings the modeling file of an architecture that transformers does not have
 */
@JsonNaming(SnakeCaseStrategy.class)
public record SourceShape(String modelType, Dialect dialect, int fp8Block, boolean quantised, int stockWidth, int sharedWidth,
        boolean ownCode) {

    /** Its key in the metadata of a scores file. */
    public static final String KEY = "model_shape";

    private static final String OWN_CODE = "deepseek";
    private static final JsonMapper JSON = JsonMapper.builder().build();

    /** On one line. */
    public String toJson() {
        return JSON.writeValueAsString(this);
    }

    static SourceShape fromJson(String json) {
        return JSON.readValue(json, SourceShape.class);
    }

    /**
     * The shape of the model that a cut makes.
     *
     * @param widths of the experts that stay, by MoE layer
     */
    public ModelShape cutTo(SequencedMap<Integer, int[]> widths) {
        boolean oneWidthALayer = widths.values().stream().allMatch(layer -> Arrays.stream(layer).allMatch(width -> width == layer[0]));
        int widest = widths.values().stream().flatMapToInt(Arrays::stream).max().orElse(0);
        int said = oneWidthALayer ? widest : stockWidth;
        boolean aside = sharedWidth > 0 && (said == 0 || sharedWidth % said != 0);
        boolean stock = !aside && widths.values().stream().flatMapToInt(Arrays::stream).allMatch(width -> width == widest);
        boolean modeling = !stock && !quantised && (ownCode || !modelType.equals(OWN_CODE));
        // why the source's dialect: fused tensors are taken apart only where widths differ, and then no engine's answer asks for it
        return new ModelShape(modelType, widths, dialect, fp8Block, aside, modeling, ownCode);
    }
}
