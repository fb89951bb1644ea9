package io.espalier.pruning;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.JsonFile;
import io.espalier.checkpoint.Scales;
import io.espalier.plan.Compatibility;
import io.espalier.plan.ModelShape;
import io.espalier.plan.ModelShape.Dialect;
import io.espalier.recipe.Loadability;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The shape of a written model, read from its files, and {@code compatibility.json}, which says what follows from it. */
final class WrittenShape {

    static final String FILE = "compatibility.json";

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private WrittenShape() {}

    /** Which engines open the model. */
    static List<Loadability> engines(Checkpoint written, DecoderSpec spec, Path directory) {
        return Compatibility.of(of(written, spec, directory));
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
                ModelingFile.in(directory, spec.modelType()), Files.exists(directory.resolve("modeling_deepseek.py")));
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
