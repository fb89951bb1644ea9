package io.espalier.api;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.Stream;

import io.espalier.plan.Compatibility;
import io.espalier.plan.ModelShape;
import io.espalier.recipe.Layout;
import io.espalier.recipe.Loadability;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/** An implemented architecture, in the contract's words; which engines load what becomes of it follows from its shapes. */
@JsonNaming(SnakeCaseStrategy.class)
record ArchitectureView(String modelType, String title, String stockClass, boolean prunable, List<String> special, List<String> dtypesRead,
        List<String> dtypesWritten, List<String> dialects, List<Layouts> layouts) {

    private static final List<String> DTYPES = List.of("F32", "F16", "BF16", "F8_E4M3");
    private static final List<String> DIALECTS = List.of("tensors an expert", "two fused tensors a layer (gate_up_proj, down_proj)");
    private static final String DENSE = "llama";
    /** The one whose shared expert's width hangs on the routed experts'. */
    private static final String SHARED_WIDTH = "deepseek";

    record Layouts(Layout layout, List<Engine> engines) {}

    record Engine(String engine, Loadability.Loads loads) {}

    static ArchitectureView of(String modelType, JsonNode words) {
        boolean prunable = !modelType.equals(DENSE);
        return new ArchitectureView(modelType, words.required("title").stringValue(), words.required("stock_class").stringValue(), prunable,
                words.required("special").valueStream().map(JsonNode::stringValue).toList(), DTYPES, DTYPES,
                prunable ? DIALECTS : List.of(),
                prunable ? Stream.of(Layout.values()).map(layout -> new Layouts(layout, engines(modelType, layout))).toList() : List.of());
    }

    private static List<Engine> engines(String modelType, Layout layout) {
        SequencedMap<Integer, int[]> widths = new LinkedHashMap<>();
        widths.put(0, layout == Layout.RAGGED ? new int[]{1, 2} : new int[]{1, 1});
        widths.put(1, layout == Layout.PER_LAYER ? new int[]{2, 2} : widths.get(0));
        boolean aside = modelType.equals(SHARED_WIDTH) && layout != Layout.EXPERTS;
        boolean ownCode = modelType.equals(SHARED_WIDTH);
        return Compatibility.foreseen(new ModelShape(modelType, widths, ModelShape.Dialect.PER_EXPERT, ModelShape.NOT_FP8, aside,
                layout == Layout.RAGGED || layout == Layout.PER_LAYER || aside, ownCode)).stream()
                .map(each -> new Engine(each.engine(), each.loads())).toList();
    }
}
