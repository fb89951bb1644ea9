package io.espalier.architecture;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A published decoder architecture: one page that turns its {@code config.json} into sizes and names, and back after experts became narrower. What
 * two architectures share are the bricks; the wiring is repeated on each page on purpose.
 */
public sealed interface Architecture permits Llama, Mixtral, Qwen2Moe, Qwen3Moe, DeepseekMoe, Olmoe {

    /** Our one addition to {@code config.json}: widths that the stock keys cannot say. */
    String WIDTHS_KEY = "espalier";

    /** The name in {@code config.json}'s {@code model_type}. */
    String modelType();

    /** The configuration key that holds the width of the routed experts; {@code null} for a dense model. */
    String expertWidthKey();

    /** The configuration key that holds how many routed experts a layer has; {@code null} for a dense model. */
    String expertCountKey();

    /** Sizes and names, or everything about the configuration that is refused. */
    DecoderSpec read(ConfigReader config);

    /** The implemented architectures by {@code model_type}. */
    static SequencedMap<String, Architecture> all() {
        SequencedMap<String, Architecture> all = new LinkedHashMap<>();
        for (Architecture each : List.of(new Qwen2Moe(), new Qwen3Moe(), new DeepseekMoe(), new Olmoe(), new Mixtral(), new Llama())) {
            all.put(each.modelType(), each);
        }
        return all;
    }

    /** @throws UnsupportedModelException when {@code model_type} names none of them */
    static Architecture of(Checkpoint checkpoint) {
        return of(checkpoint.config());
    }

    private static Architecture of(ObjectNode config) {
        JsonNode type = config.get("model_type");
        Architecture found = type == null ? null : all().get(type.stringValue(""));
        if (found == null) {
            throw new UnsupportedModelException(UnsupportedModelException.Reason.ARCHITECTURE,
                    List.of("config.json: model_type: " + (type == null ? "missing" : type) + " (expected: one of " + all().keySet()
                            + ")"));
        }
        return found;
    }

    /**
     * What a configuration says by itself, under the classical tensor names.
     *
     * @throws UnsupportedModelException when {@code model_type} names no implemented architecture, or with everything that is refused
     */
    static DecoderSpec described(ObjectNode config) {
        ConfigReader reader = new ConfigReader(config);
        DecoderSpec spec = of(config).read(reader);
        reader.throwIfRefused();
        return spec;
    }

    /**
     * The model as sizes and names, with every tensor of the files accounted for.
     *
     * @throws UnsupportedModelException with everything that is refused, missing, misshapen or unknown
     */
    static DecoderSpec specOf(Checkpoint checkpoint) {
        ConfigReader config = new ConfigReader(checkpoint.config());
        config.onlyFp8();
        config.knownLayerTypes();
        Architecture architecture = of(checkpoint);
        DecoderSpec spec = ExpertDialect.of(architecture.read(config), config, checkpoint.tensors().keySet());
        PerLayerConfig.require(config, architecture.expertWidthKey(), spec.layers().size());
        requireSense(spec, config);
        config.throwIfRefused();
        TensorCensus.require(spec, checkpoint);
        return spec;
    }

    /**
     * The configuration of the same model with narrower or fewer experts: only what has to change does. One width for all is said with the stock key;
     * one width a layer with the stock key, the widest, and {@value PerLayerConfig#KEY}, as transformers 5 does; anything else under
     * {@value #WIDTHS_KEY}, which stock loaders ignore; so is a model of which no atom is left, because no stock class builds one of width 0.
     *
     * @param remaining the widths of the experts that every MoE layer keeps, in order of layers and of experts
     */
    default ObjectNode resized(ObjectNode config, DecoderSpec spec, SequencedMap<Integer, int[]> remaining) {
        ObjectNode changed = config.deepCopy();
        changed.remove(WIDTHS_KEY);
        PerLayerConfig.clear(changed);
        int[] counts = remaining.values().stream().mapToInt(widths -> widths.length).distinct().toArray();
        boolean fewer = remaining.entrySet().stream()
                .anyMatch(layer -> layer.getValue().length < spec.experts(spec.layers().get(layer.getKey())).size());
        if (fewer && counts.length > 1) {
            throw new IllegalArgumentException("layers with " + Arrays.toString(counts) + " experts (expected: one number for all)");
        }
        if (fewer) {
            changed.put(expertCountKey(), counts[0]);
        }
        int widest = remaining.values().stream().flatMapToInt(Arrays::stream).max().orElse(0);
        if (widest > 0 && remaining.values().stream().allMatch(widths -> Arrays.stream(widths).allMatch(width -> width == widths[0]))) {
            changed.put(expertWidthKey(), widest);
            remaining.forEach((layer, widths) -> {
                if (widths[0] != widest) {
                    PerLayerConfig.put(changed, layer, expertWidthKey(), widths[0]);
                }
            });
            return changed;
        }
        ObjectNode layers = changed.putObject(WIDTHS_KEY).putObject("expert_widths");
        remaining.forEach((layer, widths) -> {
            ArrayNode list = layers.putArray(String.valueOf(layer));
            Arrays.stream(widths).forEach(list::add);
        });
        return changed;
    }

    /** The width of each expert of one layer: the stock key's, unless the layer's own configuration or ours says otherwise. */
    static int[] expertWidths(ConfigReader config, int layer, int experts, String widthKey) {
        int[] widths = new int[experts];
        Arrays.fill(widths, PerLayerConfig.width(config, layer, widthKey));
        JsonNode ours = config.node().path(WIDTHS_KEY).path("expert_widths").path(String.valueOf(layer));
        if (ours.isMissingNode()) {
            return widths;
        }
        if (!ours.isArray() || ours.size() != experts) {
            config.refuse(WIDTHS_KEY + ".expert_widths." + layer + ": " + ours + " (expected: a list of " + experts + " widths)");
            return widths;
        }
        for (int e = 0; e < experts; e++) {
            if (!ours.get(e).isIntegralNumber() || !ours.get(e).canConvertToInt() || ours.get(e).intValue() < 0) {
                config.refuse(WIDTHS_KEY + ".expert_widths." + layer + "[" + e + "]: " + ours.get(e)
                        + " (expected: an integer that is not negative)");
            } else {
                widths[e] = ours.get(e).intValue();
            }
        }
        return widths;
    }

    /** Experts named {@code <prefix>.<e>.<gate|up|down>.weight}. */
    static List<ExpertTensors> experts(int layer, String prefix, int[] widths, int hidden, String gate, String up, String down) {
        List<ExpertTensors> experts = new ArrayList<>(widths.length);
        for (int e = 0; e < widths.length; e++) {
            String at = prefix + "." + e + ".";
            experts.add(
                    ExpertTensors.named(layer, e, widths[e], hidden, at + gate + ".weight", at + up + ".weight", at + down + ".weight"));
        }
        return experts;
    }

    private static void requireSense(DecoderSpec spec, ConfigReader config) {
        DecoderSpec.AttentionSpec attention = spec.attention();
        if (attention.heads() % attention.kvHeads() != 0) {
            config.refuse("num_key_value_heads: " + attention.kvHeads() + " (expected: a divisor of num_attention_heads "
                    + attention.heads() + ")");
        }
        if (attention.headDim() % 2 != 0) {
            config.refuse("head_dim: " + attention.headDim() + " (expected: an even number, rotary positions turn pairs)");
        }
        spec.layers().stream().map(DecoderSpec.LayerSpec::mlp).filter(DecoderSpec.Moe.class::isInstance).map(DecoderSpec.Moe.class::cast)
                .filter(moe -> moe.topK() > moe.experts().size()).findFirst()
                .ifPresent(moe -> config.refuse("num_experts_per_tok: " + moe.topK()
                        + " (expected: at most the " + moe.experts().size() + " experts of a layer)"));
    }
}
