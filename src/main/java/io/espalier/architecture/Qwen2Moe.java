package io.espalier.architecture;

import java.util.ArrayList;
import java.util.List;

import io.espalier.architecture.DecoderSpec.AttentionSpec;
import io.espalier.architecture.DecoderSpec.Dense;
import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.architecture.DecoderSpec.MlpSpec;
import io.espalier.architecture.DecoderSpec.MlpTensors;
import io.espalier.architecture.DecoderSpec.Moe;
import io.espalier.architecture.DecoderSpec.QkNorm;

/**
 * Qwen2-MoE (Qwen1.5-MoE-A2.7B, Qwen2-57B-A14B; arXiv 2407.10671). What is its own: biases on query, key and value, and beside the routed experts a
 * shared one scaled by the sigmoid of its own gate.
 */
record Qwen2Moe() implements Architecture {

    /** Of a layer, where the configuration does not say. */
    private static final int EXPERTS = 60;

    @Override
    public String modelType() {
        return "qwen2_moe";
    }

    @Override
    public String expertWidthKey() {
        return "moe_intermediate_size";
    }

    @Override
    public String expertCountKey() {
        return "num_experts";
    }

    @Override
    public DecoderSpec read(ConfigReader config) {
        int hidden = config.positive("hidden_size");
        int heads = config.positive("num_attention_heads");
        int positions = config.positive("max_position_embeddings", 32_768);
        config.silu("hidden_act");
        config.noSlidingWindow("use_sliding_window", positions);
        AttentionSpec attention = new AttentionSpec(heads, config.positive("num_key_value_heads", heads),
                config.positive("head_dim", Math.max(1, hidden / heads)), config.ropeTheta(10_000), config.flag("qkv_bias", true), false,
                QkNorm.NONE);
        List<LayerSpec> layers = new ArrayList<>();
        for (int l = 0; l < config.layers(); l++) {
            String prefix = "model.layers." + l;
            layers.add(new LayerSpec(l, prefix, sparse(config, l, EXPERTS) ? moe(config, l, prefix) : dense(config, prefix)));
        }
        return new DecoderSpec(modelType(), hidden, config.positive("vocab_size"), positions, config.positiveNumber("rms_norm_eps", 1e-6),
                attention, config.flag("tie_word_embeddings", false), layers);
    }

    /** @param experts of a layer, where the configuration does not say */
    static boolean sparse(ConfigReader config, int layer, int experts) {
        return config.nonNegative("num_experts", experts) > 0 && !config.layerSet("mlp_only_layers").contains(layer)
                && (layer + 1) % config.positive("decoder_sparse_step", 1) == 0;
    }

    static MlpSpec dense(ConfigReader config, String prefix) {
        return new Dense(MlpTensors.at(prefix + ".mlp", config.positive("intermediate_size")));
    }

    private static MlpSpec moe(ConfigReader config, int layer, String prefix) {
        int[] widths = Architecture.expertWidths(config, layer, config.experts("num_experts", EXPERTS), "moe_intermediate_size");
        MlpTensors shared = MlpTensors.at(prefix + ".mlp.shared_expert", config.positive("shared_expert_intermediate_size"));
        return new Moe(prefix + ".mlp.gate.weight", config.positive("num_experts_per_tok"), config.flag("norm_topk_prob", false), 0,
                Architecture.experts(layer, prefix + ".mlp.experts", widths, config.positive("hidden_size"), "gate_proj", "up_proj",
                        "down_proj"),
                shared,
                prefix + ".mlp.shared_expert_gate.weight");
    }
}
