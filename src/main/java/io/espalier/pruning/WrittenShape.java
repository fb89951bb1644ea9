package io.espalier.pruning;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.SequencedMap;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.JsonFile;
import io.espalier.checkpoint.Scales;
import io.espalier.plan.Compatibility;
import io.espalier.plan.KeepPlan;
import io.espalier.plan.ModelShape;
import io.espalier.plan.ModelShape.Dialect;
import io.espalier.plan.SourceShape;
import io.espalier.recipe.Layout;
import io.espalier.recipe.Loadability;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The shape of a written model, read from its files, and {@code compatibility.json}, which says what follows from it. */
final class WrittenShape {

    static final String FILE = "compatibility.json";

    /** The architecture whose stock class computes the shared expert's width from the routed experts'. */
    private static final String SHARED_BY_ROUTED = "deepseek";
    private static final String OWN_CODE = "modeling_deepseek.py";

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private WrittenShape() {}

    /** Which engines open the model. */
    static List<Loadability> engines(Checkpoint written, DecoderSpec spec, Path directory) {
        return Compatibility.of(of(written, spec, directory));
    }

    /** Which engines would open the model that a plan of this layout makes. */
    static List<Loadability> foreseen(Checkpoint source, DecoderSpec spec, KeepPlan plan, Layout layout) {
        return Compatibility.foreseen(source(source, spec).cutTo(pattern(plan.remainingWidths(), layout)));
    }

    /** What has to be known of a model to say which engines open what is cut from it. */
    static SourceShape source(Checkpoint source, DecoderSpec spec) {
        int shared = spec.modelType().equals(SHARED_BY_ROUTED)
                ? spec.layers().stream().map(DecoderSpec.LayerSpec::mlp).filter(DecoderSpec.Moe.class::isInstance)
                        .map(DecoderSpec.Moe.class::cast).map(DecoderSpec.Moe::shared).filter(Objects::nonNull)
                        .mapToInt(DecoderSpec.MlpTensors::width).findFirst().orElse(0)
                : 0;
        ObjectNode config = source.config();
        return new SourceShape(spec.modelType(), dialect(spec.experts()), fp8Block(source, spec.experts()),
                config.path("quantization_config").isObject(), config.path(Architecture.of(source).expertWidthKey()).intValue(0), shared,
                source.companions().stream().anyMatch(file -> file.getFileName().toString().equals(OWN_CODE)));
    }

    /** The plan of equal scores takes from the first experts; a real one from all, so that widths differ wherever the layout lets them. */
    private static SequencedMap<Integer, int[]> pattern(SequencedMap<Integer, int[]> widths, Layout layout) {
        SequencedMap<Integer, int[]> differing = new LinkedHashMap<>();
        widths.forEach((layer, each) -> differing.put(layer, each.clone()));
        if (layout == Layout.RAGGED) {
            differing.firstEntry().getValue()[0] += differing.firstEntry().getValue().length > 1
                    && Arrays.stream(differing.firstEntry().getValue()).distinct().count() == 1 ? 1 : 0;
        }
        return differing;
    }

    /** Writes the answers beside the model. */
    static void write(Path directory, List<Loadability> engines) {
        ObjectNode file = JSON.createObjectNode();
        file.put("format", 1);
        file.put("checked", "from documentation");
        file.set("engines", JSON.valueToTree(engines));
        JsonFile.write(directory.resolve(FILE), file);
    }

    static ModelShape of(Checkpoint written, DecoderSpec spec, Path directory) {
        SequencedMap<Integer, int[]> widths = new LinkedHashMap<>();
        spec.perExpert().keySet().forEach(layer -> widths.put(layer, spec.experts().stream().filter(expert -> expert.layer() == layer)
                .mapToInt(ExpertTensors::width).toArray()));
        return new ModelShape(spec.modelType(), widths, dialect(spec.experts()), fp8Block(written, spec.experts()),
                written.config().path(Architecture.WIDTHS_KEY).has("shared_expert_width"),
                ModelingFile.in(directory, spec.modelType()), Files.exists(directory.resolve(OWN_CODE)));
    }

    private static Dialect dialect(List<ExpertTensors> experts) {
        if (experts.stream().noneMatch(ExpertTensors::fused)) {
            return Dialect.PER_EXPERT;
        }
        if (!experts.stream().allMatch(ExpertTensors::fused)) {
            return Dialect.MIXED;
        }
        return experts.stream().allMatch(expert -> expert.down().tensor().contains(".mlp.experts."))
                ? Dialect.FUSED
                : Dialect.FUSED_ELSEWHERE;
    }

    private static int fp8Block(Checkpoint written, List<ExpertTensors> experts) {
        Scales scales = experts.isEmpty() ? null : written.matrix(experts.getFirst().gate()).scales();
        return scales == null ? ModelShape.NOT_FP8 : scales.inBlocks() ? scales.rowsEach() : ModelShape.FP8_ROWS;
    }
}
