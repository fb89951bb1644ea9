package io.espalier.architecture;

import java.util.ArrayList;
import java.util.List;

import io.espalier.architecture.DecoderSpec.AttentionSpec;
import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.architecture.DecoderSpec.Moe;
import io.espalier.architecture.DecoderSpec.QkNorm;

/**
 * OLMoE (arXiv 2409.02060). What is its own: the RMS norm of queries and keys runs over all heads together, and the experts' width is called
 * {@code intermediate_size}.
 */
record Olmoe() implements Architecture {

    @Override
    public String modelType() {
        return "olmoe";
    }

    @Override
    public String expertWidthKey() {
        return "intermediate_size";
    }

    @Override
    public String expertCountKey() {
        return "num_experts";
    }

    @Override
    public DecoderSpec read(ConfigReader config) {
        int hidden = config.positive("hidden_size");
        int heads = config.positive("num_attention_heads");
        boolean bias = config.flag("attention_bias", false);
        config.silu("hidden_act");
        config.only("clip_qkv", "null", value -> false);
        AttentionSpec attention = new AttentionSpec(heads, config.positive("num_key_value_heads", heads),
                config.positive("head_dim", Math.max(1, hidden / heads)), config.ropeTheta(10_000), bias, bias, QkNorm.FULL);
        List<LayerSpec> layers = new ArrayList<>();
        for (int l = 0; l < config.layers(); l++) {
            String prefix = "model.layers." + l;
            int[] widths = Architecture.expertWidths(config, l, config.experts("num_experts", 64), "intermediate_size");
            layers.add(new LayerSpec(l, prefix, new Moe(prefix + ".mlp.gate.weight", config.positive("num_experts_per_tok", 8),
                    config.flag("norm_topk_prob", false), 0,
                    Architecture.experts(l, prefix + ".mlp.experts", widths, hidden, "gate_proj", "up_proj", "down_proj"), null, null)));
        }
        return new DecoderSpec(modelType(), hidden, config.positive("vocab_size"), config.positive("max_position_embeddings", 4096),
                config.positiveNumber("rms_norm_eps", 1e-5), attention, config.flag("tie_word_embeddings", false), layers);
    }
}
