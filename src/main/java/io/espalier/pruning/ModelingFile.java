package io.espalier.pruning;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.Checkpoint;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The small Python file by which transformers, told to trust code from the checkpoint, opens experts of several widths: it derives a class from the stock
 * one. Nothing here runs it.
 *
 * @param name of the file; {@code null} when the shapes are those of the stock class, or no class could read them
 * @param text of it
 * @param autoMap what {@code config.json} says of it, as {@code file.Class}; {@code null} likewise
 * @param restored what the source's own {@code auto_map} said before such a file was in it; {@code null} when it said nothing
 */
record ModelingFile(String name, String text, String autoMap, String restored) {

    private static final String PREFIX = "modeling_espalier_";
    private static final String TEMPLATE = "modeling_espalier.py.txt";
    private static final String AUTO_MAP = "auto_map";
    private static final String AUTO_CLASS = "AutoModelForCausalLM";

    /**
     * A stock class.
     *
     * @param module where it is imported from; relative where the checkpoint brings it
     * @param file that the checkpoint has to bring for it, or {@code null}
     * @param narrow whether the stock experts may be built with width 1 before they are replaced
     */
    private record Stock(String name, String module, String file, String gate, String up, String down, boolean narrow) {

        static Stock of(String modelType) {
            return switch (modelType) {
                case "qwen2_moe" -> projections("Qwen2MoeForCausalLM", "transformers.models.qwen2_moe.modeling_qwen2_moe", null, true);
                case "qwen3_moe" -> projections("Qwen3MoeForCausalLM", "transformers.models.qwen3_moe.modeling_qwen3_moe", null, true);
                case "olmoe" -> projections("OlmoeForCausalLM", "transformers.models.olmoe.modeling_olmoe", null, true);
                // why not narrow: the shared expert's width hangs on the same key
                case "deepseek" -> projections("DeepseekForCausalLM", ".modeling_deepseek", "modeling_deepseek.py", false);
                case "mixtral" ->
                    new Stock("MixtralForCausalLM", "transformers.models.mixtral.modeling_mixtral", null, "w1", "w3", "w2", true);
                default -> throw new IllegalStateException(modelType + ": an architecture without a stock class (expected: a case here)");
            };
        }

        private static Stock projections(String name, String module, String file, boolean narrow) {
            return new Stock(name, module, file, "gate_proj", "up_proj", "down_proj", narrow);
        }
    }

    /** @param config of the model to be written */
    static ModelingFile of(ObjectNode config, Checkpoint source) {
        String modelType = config.get("model_type").stringValue();
        Stock stock = Stock.of(modelType);
        String restored = stock.file() == null ? null : stock.file().replace(".py", "") + "." + stock.name();
        boolean stockShapes = !config.has(Architecture.WIDTHS_KEY) && !config.has("per_layer_config");
        boolean fp8 = config.path("quantization_config").isObject();
        boolean brought = stock.file() == null
                || source.companions().stream().anyMatch(file -> file.getFileName().toString().equals(stock.file()));
        if (stockShapes || fp8 || !brought) {
            return new ModelingFile(null, null, null, restored);
        }
        Architecture architecture = Architecture.all().get(modelType);
        String type = "Espalier" + stock.name();
        String text = template().replace("{{STOCK_IMPORT}}", "from " + stock.module() + " import " + stock.name())
                .replace("{{STOCK_CLASS}}", stock.name()).replace("{{CLASS}}", type)
                .replace("{{WIDTH_KEY}}", architecture.expertWidthKey()).replace("{{EXPERTS_KEY}}", architecture.expertCountKey())
                .replace("{{GATE}}", stock.gate()).replace("{{UP}}", stock.up()).replace("{{DOWN}}", stock.down())
                .replace("{{NARROW}}", stock.narrow() ? "True" : "False");
        return new ModelingFile(PREFIX + modelType + ".py", text, PREFIX + modelType + "." + type, restored);
    }

    /** The configuration, which names the file's class, or no longer names that of the source. */
    ObjectNode announcedIn(ObjectNode config) {
        JsonNode given = config.get(AUTO_MAP);
        if (autoMap != null) {
            (given instanceof ObjectNode map ? map : config.putObject(AUTO_MAP)).put(AUTO_CLASS, autoMap);
        } else if (given instanceof ObjectNode map && map.path(AUTO_CLASS).stringValue("").startsWith(PREFIX)) {
            map.remove(AUTO_CLASS);
            if (restored != null) {
                map.put(AUTO_CLASS, restored);
            } else if (map.isEmpty()) {
                config.remove(AUTO_MAP);
            }
        }
        return config;
    }

    /** Writes it, in the place of one that came with the source. */
    void write(Path artifact) {
        try {
            List<Path> old;
            try (Stream<Path> files = Files.list(artifact)) {
                old = files.filter(file -> file.getFileName().toString().startsWith(PREFIX)).toList();
            }
            for (Path file : old) {
                Files.delete(file);
            }
            if (name != null) {
                Files.writeString(artifact.resolve(name), text);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Whether a written model brings such a file. */
    static boolean in(Path artifact, String modelType) {
        return Files.exists(artifact.resolve(PREFIX + modelType + ".py"));
    }

    private static String template() {
        try (InputStream in = ModelingFile.class.getResourceAsStream(TEMPLATE)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
