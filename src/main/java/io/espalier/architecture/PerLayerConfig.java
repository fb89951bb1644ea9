package io.espalier.architecture;

import java.util.Map;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * {@code per_layer_config} of transformers 5: by layer, what differs there from the rest of {@code config.json}, sparse, as
 * {@code {"3": {"moe_intermediate_size": 64}}}; its own files pad the numbers with zeros. Of what it can say only the width of the routed experts is
 * read; anything else would change the mathematics and is refused.
 */
final class PerLayerConfig {

    static final String KEY = "per_layer_config";

    private PerLayerConfig() {}

    /** The layer's expert width, or the model's. */
    static int width(ConfigReader config, int layer, String widthKey) {
        for (Map.Entry<String, JsonNode> entry : config.node().path(KEY).properties()) {
            JsonNode width = entry.getValue().path(widthKey);
            if (index(entry.getKey()) == layer && width.isIntegralNumber() && width.canConvertToInt() && width.intValue() >= 0) {
                return width.intValue();
            }
        }
        return config.positive(widthKey);
    }

    /** Refuses whatever is not the width of a layer's experts, by name. */
    static void require(ConfigReader config, String widthKey, int layers) {
        JsonNode all = config.node().path(KEY);
        if (all.isMissingNode() || all.isNull()) {
            return;
        }
        if (!all.isObject()) {
            config.refuse(KEY + ": " + all + " (expected: an object by layer)");
        }
        for (Map.Entry<String, JsonNode> entry : all.properties()) {
            int layer = index(entry.getKey());
            if (layer < 0 || layer >= layers || !entry.getValue().isObject()) {
                config.refuse(KEY + "." + entry.getKey() + ": " + entry.getValue() + " (expected: an object for a layer from 0 to "
                        + (layers - 1) + ")");
            }
            for (Map.Entry<String, JsonNode> said : entry.getValue().properties()) {
                JsonNode value = said.getValue();
                boolean width = said.getKey().equals(widthKey) && value.isIntegralNumber() && value.canConvertToInt()
                        && value.intValue() >= 0;
                if (!width) {
                    config.refuse(KEY + "." + entry.getKey() + "." + said.getKey() + ": " + value + " (expected: "
                            + (widthKey == null ? "absent" : "only " + widthKey + ", an integer that is not negative")
                            + "; other differences between layers are not implemented)");
                }
            }
        }
    }

    static void put(ObjectNode config, int layer, String widthKey, int width) {
        ObjectNode all = config.get(KEY) instanceof ObjectNode given ? given : config.putObject(KEY);
        all.putObject(String.valueOf(layer)).put(widthKey, width);
    }

    /** Whole, because nothing but widths is ever in it. */
    static void clear(ObjectNode config) {
        config.remove(KEY);
    }

    private static int index(String key) {
        return key.matches("[0-9]{1,6}") ? Integer.parseInt(key) : -1;
    }
}
