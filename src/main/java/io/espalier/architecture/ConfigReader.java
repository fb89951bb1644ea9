package io.espalier.architecture;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.SequencedSet;
import java.util.Set;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads {@code config.json} as the stock model class would, defaults included, and remembers everything that is wrong. What would change the
 * mathematics and is not implemented here is refused by name, never ignored.
 */
final class ConfigReader {

    /** More than ten times what the largest published models have: a configuration that asks for more would fill memory with names. */
    private static final int MOST_LAYERS = 4096;
    private static final int MOST_EXPERTS = 1 << 18;

    private final ObjectNode config;
    /** What is wrong with every layer is said once. */
    private final SequencedSet<String> problems = new LinkedHashSet<>();

    ConfigReader(ObjectNode config) {
        this.config = config;
    }

    ObjectNode node() {
        return config;
    }

    boolean has(String key) {
        return present(config.get(key));
    }

    int positive(String key) {
        JsonNode value = config.get(key);
        if (!present(value)) {
            problems.add(key + ": missing (expected: a positive integer)");
            return 1;
        }
        return positive(key, 1);
    }

    int positive(String key, int absent) {
        int value = nonNegative(key, absent);
        if (value == 0) {
            problems.add(key + ": 0 (expected: a positive integer)");
            return 1;
        }
        return value;
    }

    int nonNegative(String key, int absent) {
        JsonNode value = config.get(key);
        if (!present(value)) {
            return absent;
        }
        if (!value.isIntegralNumber() || !value.canConvertToInt() || value.intValue() < 0) {
            problems.add(key + ": " + value + " (expected: an integer that is not negative)");
            return absent;
        }
        return value.intValue();
    }

    /** How many decoder layers. */
    int layers() {
        int layers = positive("num_hidden_layers");
        if (layers > MOST_LAYERS) {
            problems.add("num_hidden_layers: " + layers + " (expected: at most " + MOST_LAYERS + ")");
            return 1;
        }
        return layers;
    }

    /** How many routed experts a layer has. */
    int experts(String key, int absent) {
        int experts = positive(key, absent);
        if (experts > MOST_EXPERTS / layers()) {
            problems.add(key + ": " + experts + " (expected: at most " + MOST_EXPERTS + " in all layers together)");
            return 1;
        }
        return experts;
    }

    double positiveNumber(String key, double absent) {
        return positiveNumber(config, "", key, absent);
    }

    private double positiveNumber(JsonNode from, String at, String key, double absent) {
        JsonNode value = from.get(key);
        if (!present(value)) {
            return absent;
        }
        if (!value.isNumber() || !(value.doubleValue() > 0) || Double.isInfinite(value.doubleValue())) {
            problems.add(at + key + ": " + value + " (expected: a positive number)");
            return absent;
        }
        return value.doubleValue();
    }

    boolean flag(String key, boolean absent) {
        JsonNode value = config.get(key);
        if (!present(value)) {
            return absent;
        }
        if (!value.isBoolean()) {
            problems.add(key + ": " + value + " (expected: true or false)");
            return absent;
        }
        return value.booleanValue();
    }

    /** Layer indices listed under a key. */
    Set<Integer> layerSet(String key) {
        Set<Integer> found = new LinkedHashSet<>();
        JsonNode value = config.get(key);
        if (!present(value)) {
            return found;
        }
        if (!value.isArray()) {
            problems.add(key + ": " + value + " (expected: a list of layer indices)");
            return found;
        }
        for (JsonNode entry : value) {
            if (entry.isIntegralNumber() && entry.canConvertToInt()) {
                found.add(entry.intValue());
            } else {
                problems.add(key + ": " + entry + " (expected: a layer index)");
            }
        }
        return found;
    }

    /** The base of the rotary frequencies; a scaling of them is refused. Newer files put both under {@code rope_parameters}. */
    double ropeTheta(double absent) {
        double theta = positiveNumber(config, "", "rope_theta", absent);
        wholeHead(config, "");
        for (String key : List.of("rope_scaling", "rope_parameters")) {
            JsonNode rope = config.get(key);
            if (!present(rope)) {
                continue;
            }
            if (!rope.isObject()) {
                problems.add(key + ": " + rope + " (expected: null or an object)");
                continue;
            }
            JsonNode type = rope.has("rope_type") ? rope.get("rope_type") : rope.get("type");
            if (present(type) && !"default".equals(type.stringValue(""))) {
                problems.add(key + ": type " + type + " (expected: default or null; other rotary scalings are not implemented)");
            } else if (!present(type) && !rope.isEmpty() && !rope.has("rope_theta")) {
                problems.add(key + ": " + rope + " (expected: null; rotary scaling is not implemented)");
            }
            theta = positiveNumber(rope, key + ".", "rope_theta", theta);
            wholeHead(rope, key + ".");
        }
        return theta;
    }

    /** Refuses positions that turn a part of every head only. */
    private void wholeHead(JsonNode rope, String at) {
        JsonNode factor = rope.get("partial_rotary_factor");
        if (present(factor) && !(factor.isNumber() && factor.doubleValue() == 1.0)) {
            problems.add(at + "partial_rotary_factor: " + factor + " (expected: 1.0 or absent; other values are not implemented)");
        }
    }

    /** Refuses an activation other than SiLU. */
    void silu(String key) {
        only(key, "silu", value -> "silu".equals(value.stringValue("")) || "swish".equals(value.stringValue("")));
    }

    /**
     * Refuses a sliding window that is in force: one that is switched on and narrower than the positions the model is made for.
     *
     * @param enabledBy the key that switches the window on, or {@code null} when its size alone does
     */
    void noSlidingWindow(String enabledBy, int maxPositions) {
        JsonNode window = config.get("sliding_window");
        if (!present(window) || enabledBy != null && !flag(enabledBy, false)) {
            return;
        }
        if (!window.isIntegralNumber() || window.longValue() < maxPositions) {
            problems.add("sliding_window: " + window + " (expected: null, or at least max_position_embeddings " + maxPositions
                    + "; attention in a sliding window is not implemented)");
        }
    }

    /** Refuses layers whose attention is of another kind; what a sliding window may be, {@link #noSlidingWindow} says. */
    void knownLayerTypes() {
        only("layer_types", "a list of full_attention, or of sliding_attention where no window is in force",
                value -> value.isArray() && value.valueStream()
                        .allMatch(type -> Set.of("full_attention", "sliding_attention").contains(type.stringValue(""))));
    }

    /** Refuses quantised weights but for FP8 (e4m3) in square blocks or rows. */
    void onlyFp8() {
        JsonNode quantised = config.get("quantization_config");
        if (!present(quantised)) {
            return;
        }
        only(quantised, "quant_method", "fp8", "fp8".equals(quantised.path("quant_method").stringValue("")));
        only(quantised, "fmt", "e4m3", !present(quantised.get("fmt")) || "e4m3".equals(quantised.get("fmt").stringValue("")));
        only(quantised, "activation_scheme", "dynamic", !present(quantised.get("activation_scheme"))
                || "dynamic".equals(quantised.get("activation_scheme").stringValue("")));
        JsonNode block = quantised.get("weight_block_size");
        only(quantised, "weight_block_size", "[n, n]", !present(block)
                || block.size() == 2 && block.path(0).isIntegralNumber() && block.path(0).intValue(0) > 0
                        && block.path(0).equals(block.path(1)));
    }

    private void only(JsonNode quantised, String key, String expected, boolean accepted) {
        if (!accepted) {
            problems.add("quantization_config." + key + ": " + quantised.path(key) + " (expected: " + expected
                    + "; weights quantised in another way are not read, a bf16 copy of the model is)");
        }
    }

    /** Accepts a key only when it is absent or passes; the message says what would have. */
    void only(String key, String expected, java.util.function.Predicate<JsonNode> accepted) {
        JsonNode value = config.get(key);
        if (present(value) && !accepted.test(value)) {
            problems.add(key + ": " + value + " (expected: " + expected + " or absent; other values are not implemented)");
        }
    }

    void refuse(String problem) {
        problems.add(problem);
    }

    /** @throws UnsupportedModelException naming everything that was refused */
    void throwIfRefused() {
        if (!problems.isEmpty()) {
            throw new UnsupportedModelException(UnsupportedModelException.Reason.CONFIGURATION,
                    problems.stream().map(p -> "config.json: " + p).toList());
        }
    }

    private static boolean present(JsonNode value) {
        return value != null && !value.isNull() && !value.isMissingNode();
    }
}
