package io.espalier.pruning;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.transformer.RandomModel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.node.ObjectNode;

/** The generated Python: its text, what config.json says of it, and that a Python here can compile it. What it computes was not run. */
class ModelingFileTest {

    @TempDir
    Path directory;

    private static ObjectNode config(Checkpoint source, int... firstLayer) {
        DecoderSpec spec = Architecture.specOf(source);
        SequencedMap<Integer, int[]> widths = new LinkedHashMap<>();
        spec.perExpert().keySet().forEach(layer -> {
            int[] of = new int[(int) spec.experts().stream().filter(expert -> expert.layer() == layer).count()];
            Arrays.fill(of, 5);
            if (widths.isEmpty()) {
                System.arraycopy(firstLayer, 0, of, 0, firstLayer.length);
            }
            widths.put(layer, of);
        });
        return Architecture.of(source).resized(source.config(), spec, widths);
    }

    @ParameterizedTest
    @EnumSource(value = RandomModel.class, names = {"QWEN2_MOE", "QWEN3_MOE", "OLMOE", "MIXTRAL", "DEEPSEEK"})
    void everyArchitecturesFileNamesItsStockClassAndCompiles(RandomModel model) throws IOException, InterruptedException {
        Path written = model.write(directory.resolve("model"), 5);
        Files.writeString(written.resolve("modeling_deepseek.py"), "class DeepseekForCausalLM: pass\n");
        try (Checkpoint source = Checkpoint.open(written)) {
            ObjectNode config = config(source, 3);
            ModelingFile file = ModelingFile.of(config, source);
            String type = config.get("model_type").stringValue();
            assertThat(file.name()).isEqualTo("modeling_espalier_" + type + ".py");
            assertThat(file.text()).doesNotContain("{{").contains("ForCausalLM):\n")
                    .contains("WIDTH_KEY = \"" + Architecture.all().get(type).expertWidthKey() + "\"");
            String entry = file.announcedIn(config).at("/auto_map/AutoModelForCausalLM").stringValue();
            assertThat(entry).startsWith("modeling_espalier_" + type + ".Espalier");
            assertThat(file.text()).contains("class " + entry.substring(entry.indexOf('.') + 1) + "(");
            file.write(directory);
            compile(directory.resolve(file.name()));
        }
    }

    private static void compile(Path file) throws IOException, InterruptedException {
        boolean python = Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
                .anyMatch(at -> Files.isExecutable(Path.of(at, "python3")));
        assumeThat(python).as("a python3 on the path").isTrue();
        Process process = new ProcessBuilder("python3", "-m", "py_compile", file.toString()).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(said).isZero();
    }

    @Test
    void stockShapesNeedNoneAndTheSourcesIsTakenAway() throws IOException {
        Path written = RandomModel.QWEN3_MOE.write(directory.resolve("model"), 5);
        try (Checkpoint source = Checkpoint.open(written)) {
            ModelingFile ragged = ModelingFile.of(config(source, 3), source);
            ObjectNode once = ragged.announcedIn(config(source, 3));
            ragged.write(written);
            assertThat(written.resolve("modeling_espalier_qwen3_moe.py")).exists();
            ObjectNode narrower = config(source);
            narrower.set("auto_map", once.get("auto_map"));
            ModelingFile none = ModelingFile.of(narrower, source);
            assertThat(none.announcedIn(narrower).has("auto_map")).isFalse();
            none.write(written);
            assertThat(written.resolve("modeling_espalier_qwen3_moe.py")).doesNotExist();
        }
    }

    @Test
    void deepseeksOwnClassComesBackAndWithoutItsFileThereIsNone() throws IOException {
        Path written = RandomModel.DEEPSEEK.write(directory.resolve("model"), 5);
        try (Checkpoint source = Checkpoint.open(written)) {
            assertThat(ModelingFile.of(config(source, 3), source).name()).isNull();
            Files.writeString(written.resolve("modeling_deepseek.py"), "class DeepseekForCausalLM: pass\n");
            ModelingFile ragged = ModelingFile.of(config(source, 3), source);
            assertThat(ragged.text()).contains("from .modeling_deepseek import DeepseekForCausalLM").contains("NARROW = False");
            ObjectNode uniform = config(source);
            uniform.set("auto_map", ragged.announcedIn(config(source, 3)).get("auto_map"));
            assertThat(ModelingFile.of(uniform, source).announcedIn(uniform).at("/auto_map/AutoModelForCausalLM").stringValue())
                    .isEqualTo("modeling_deepseek.DeepseekForCausalLM");
        }
    }
}
