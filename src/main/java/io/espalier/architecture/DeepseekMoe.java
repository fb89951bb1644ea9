package io.espalier.architecture;

import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;

import io.espalier.architecture.DecoderSpec.AttentionSpec;
import io.espalier.architecture.DecoderSpec.Dense;
import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.architecture.DecoderSpec.MlpSpec;
import io.espalier.architecture.DecoderSpec.MlpTensors;
import io.espalier.architecture.DecoderSpec.Moe;
import io.espalier.architecture.DecoderSpec.QkNorm;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * DeepSeek-MoE, first version (deepseek-moe-16b; arXiv 2401.06066). What is its own: the first layers are dense, and the shared experts are one MLP
 * whose width the stock class computes as {@code moe_intermediate_size * n_shared_experts}.
 */
record DeepseekMoe() implements Architecture {

    private static final String SHARED_WIDTH = "shared_expert_width";

    @Override
    public String modelType() {
        return "deepseek";
    }

    @Override
    public String expertWidthKey() {
        return "moe_intermediate_size";
    }

    @Override
    public String expertCountKey() {
        return "n_routed_experts";
    }

    @Override
    public DecoderSpec read(ConfigReader config) {
        int hidden = config.positive("hidden_size");
        int heads = config.positive("num_attention_heads");
        boolean bias = config.flag("attention_bias", false);
        config.silu("hidden_act");
        config.only("n_group", "1 (no groups of experts)", DeepseekMoe::isOne);
        config.only("scoring_func", "softmax", value -> "softmax".equals(value.stringValue("")));
        config.only("topk_method", "greedy", value -> "greedy".equals(value.stringValue("")));
        config.only("routed_scaling_factor", "1.0", DeepseekMoe::isOne);
        AttentionSpec attention = new AttentionSpec(heads, config.positive("num_key_value_heads", heads),
                config.positive("head_dim", Math.max(1, hidden / heads)), config.ropeTheta(10_000), bias, bias, QkNorm.NONE);
        List<LayerSpec> layers = new ArrayList<>();
        for (int l = 0; l < config.layers(); l++) {
            String prefix = "model.layers." + l;
            boolean sparse = config.has("n_routed_experts") && l >= config.nonNegative("first_k_dense_replace", 0)
                    && l % config.positive("moe_layer_freq", 1) == 0;
            layers.add(new LayerSpec(l, prefix,
                    sparse ? moe(config, l, prefix) : new Dense(MlpTensors.at(prefix + ".mlp", config.positive("intermediate_size")))));
        }
        return new DecoderSpec(modelType(), hidden, config.positive("vocab_size"), config.positive("max_position_embeddings", 2048),
                config.positiveNumber("rms_norm_eps", 1e-6), attention, config.flag("tie_word_embeddings", false), layers);
    }

    private static MlpSpec moe(ConfigReader config, int layer, String prefix) {
        int stockWidth = config.positive("moe_intermediate_size");
        int[] widths = Architecture.expertWidths(config, layer, config.experts("n_routed_experts", 1), "moe_intermediate_size");
        MlpTensors shared = null;
        if (config.has("n_shared_experts")) {
            shared = MlpTensors.at(prefix + ".mlp.shared_experts", sharedWidth(config, stockWidth));
        }
        int topK = config.positive("num_experts_per_tok");
        // the stock class leaves a single probability as it is
        boolean normalised = config.flag("norm_topk_prob", false) && topK > 1;
        return new Moe(prefix + ".mlp.gate.weight", topK, normalised, 1e-20,
                Architecture.experts(layer, prefix + ".mlp.experts", widths, config.positive("hidden_size"), "gate_proj", "up_proj",
                        "down_proj"),
                shared, null);
    }

    private static int sharedWidth(ConfigReader config, int stockWidth) {
        JsonNode ours = config.node().path(WIDTHS_KEY).path(SHARED_WIDTH);
        if (ours.isIntegralNumber() && ours.canConvertToInt() && ours.intValue() > 0) {
            return ours.intValue();
        }
        if (!ours.isMissingNode()) {
            config.refuse(WIDTHS_KEY + "." + SHARED_WIDTH + ": " + ours + " (expected: a positive integer)");
        }
        return (int) Math.min(Integer.MAX_VALUE, (long) stockWidth * config.positive("n_shared_experts"));
    }

    private static boolean isOne(JsonNode value) {
        return value.isNumber() && value.doubleValue() == 1;
    }

    /**
     * Narrower routed experts must not narrow the shared ones, whose width hangs on the same key: {@code n_shared_experts} is scaled so that the
     * product stays. Where no integer does that, ours says the width and stock loaders will refuse the shapes.
     */
    @Override
    public ObjectNode resized(ObjectNode config, DecoderSpec spec, SequencedMap<Integer, int[]> remaining) {
        int shared = spec.layers().stream().map(LayerSpec::mlp).filter(Moe.class::isInstance).map(Moe.class::cast).map(Moe::shared)
                .filter(java.util.Objects::nonNull).mapToInt(MlpTensors::width).findFirst().orElse(0);
        ObjectNode changed = Architecture.super.resized(config, spec, remaining);
        int stockWidth = changed.get("moe_intermediate_size").intValue();
        if (shared > 0 && stockWidth > 0 && shared % stockWidth == 0) {
            changed.put("n_shared_experts", shared / stockWidth);
        } else if (shared > 0) {
            ObjectNode ours = changed.get(WIDTHS_KEY) instanceof ObjectNode node ? node : changed.putObject(WIDTHS_KEY);
            ours.put(SHARED_WIDTH, shared);
        }
        return changed;
    }
}
