package io.espalier.architecture;

import java.util.ArrayList;
import java.util.List;

import io.espalier.architecture.DecoderSpec.AttentionSpec;
import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.architecture.DecoderSpec.Moe;
import io.espalier.architecture.DecoderSpec.QkNorm;

/**
 * Mixtral (arXiv 2401.04088). What is its own: the router's softmax runs over the selected experts only, which is the same as dividing the selected
 * probabilities by their sum; and the names {@code block_sparse_moe}, {@code w1} (gate), {@code w3} (up), {@code w2} (down).
 */
record Mixtral() implements Architecture {

    @Override
    public String modelType() {
        return "mixtral";
    }

    @Override
    public String expertWidthKey() {
        return "intermediate_size";
    }

    @Override
    public String expertCountKey() {
        return "num_local_experts";
    }

    @Override
    public DecoderSpec read(ConfigReader config) {
        int hidden = config.positive("hidden_size");
        int heads = config.positive("num_attention_heads");
        int positions = config.positive("max_position_embeddings", 131_072);
        config.silu("hidden_act");
        config.noSlidingWindow(null, positions);
        AttentionSpec attention = new AttentionSpec(heads, config.positive("num_key_value_heads", 8),
                config.positive("head_dim", Math.max(1, hidden / heads)), config.ropeTheta(1_000_000), false, false, QkNorm.NONE);
        List<LayerSpec> layers = new ArrayList<>();
        for (int l = 0; l < config.layers(); l++) {
            String prefix = "model.layers." + l;
            int[] widths = Architecture.expertWidths(config, l, config.experts("num_local_experts", 8), "intermediate_size");
            layers.add(new LayerSpec(l, prefix,
                    new Moe(prefix + ".block_sparse_moe.gate.weight", config.positive("num_experts_per_tok", 2), true, 0,
                            Architecture.experts(l, prefix + ".block_sparse_moe.experts", widths, hidden, "w1", "w3", "w2"), null, null)));
        }
        return new DecoderSpec(modelType(), hidden, config.positive("vocab_size"), positions, config.positiveNumber("rms_norm_eps", 1e-5),
                attention, config.flag("tie_word_embeddings", false), layers);
    }
}
