package io.espalier.architecture;

import java.util.ArrayList;
import java.util.List;

import io.espalier.architecture.DecoderSpec.AttentionSpec;
import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.architecture.DecoderSpec.MlpSpec;
import io.espalier.architecture.DecoderSpec.Moe;
import io.espalier.architecture.DecoderSpec.QkNorm;

/**
 * Qwen3-MoE (Qwen3-30B-A3B, Qwen3-235B-A22B; arXiv 2505.09388). What is its own: an RMS norm on every query and key head before the rotation, a head
 * width that need not be hidden / heads, and no shared expert.
 */
record Qwen3Moe() implements Architecture {

    /** Of a layer, where the configuration does not say. */
    private static final int EXPERTS = 128;

    @Override
    public String modelType() {
        return "qwen3_moe";
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
        boolean bias = config.flag("attention_bias", false);
        config.silu("hidden_act");
        config.noSlidingWindow("use_sliding_window", positions);
        AttentionSpec attention = new AttentionSpec(heads, config.positive("num_key_value_heads", 4),
                config.positive("head_dim", Math.max(1, hidden / heads)), config.ropeTheta(10_000), bias, bias, QkNorm.PER_HEAD);
        List<LayerSpec> layers = new ArrayList<>();
        for (int l = 0; l < config.layers(); l++) {
            String prefix = "model.layers." + l;
            layers.add(new LayerSpec(l, prefix,
                    Qwen2Moe.sparse(config, l, EXPERTS) ? moe(config, l, prefix) : Qwen2Moe.dense(config, prefix)));
        }
        return new DecoderSpec(modelType(), hidden, config.positive("vocab_size"), positions, config.positiveNumber("rms_norm_eps", 1e-6),
                attention, config.flag("tie_word_embeddings", false), layers);
    }

    private static MlpSpec moe(ConfigReader config, int layer, String prefix) {
        int[] widths = Architecture.expertWidths(config, layer, config.experts("num_experts", EXPERTS), "moe_intermediate_size");
        return new Moe(prefix + ".mlp.gate.weight", config.positive("num_experts_per_tok"), config.flag("norm_topk_prob", false), 0,
                Architecture.experts(layer, prefix + ".mlp.experts", widths, config.positive("hidden_size"), "gate_proj", "up_proj",
                        "down_proj"),
                null, null);
    }
}
