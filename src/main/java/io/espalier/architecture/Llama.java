package io.espalier.architecture;

import java.util.ArrayList;
import java.util.List;

import io.espalier.architecture.DecoderSpec.AttentionSpec;
import io.espalier.architecture.DecoderSpec.Dense;
import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.architecture.DecoderSpec.MlpTensors;
import io.espalier.architecture.DecoderSpec.QkNorm;

/** Llama (arXiv 2302.13971 and its successors): dense, grouped-query attention, one gated MLP a layer. */
record Llama() implements Architecture {

    @Override
    public String modelType() {
        return "llama";
    }

    @Override
    public String expertWidthKey() {
        return null;
    }

    @Override
    public String expertCountKey() {
        return null;
    }

    @Override
    public DecoderSpec read(ConfigReader config) {
        int hidden = config.positive("hidden_size");
        int heads = config.positive("num_attention_heads");
        int positions = config.positive("max_position_embeddings", 2048);
        boolean bias = config.flag("attention_bias", false);
        config.silu("hidden_act");
        config.only("mlp_bias", "false", value -> value.isBoolean() && !value.booleanValue());
        AttentionSpec attention = new AttentionSpec(heads, config.positive("num_key_value_heads", heads),
                config.positive("head_dim", Math.max(1, hidden / heads)), config.ropeTheta(10_000), bias, bias, QkNorm.NONE);
        List<LayerSpec> layers = new ArrayList<>();
        for (int l = 0; l < config.layers(); l++) {
            String prefix = "model.layers." + l;
            layers.add(new LayerSpec(l, prefix, new Dense(MlpTensors.at(prefix + ".mlp", config.positive("intermediate_size")))));
        }
        return new DecoderSpec(modelType(), hidden, config.positive("vocab_size"), positions, config.positiveNumber("rms_norm_eps", 1e-6),
                attention, config.flag("tie_word_embeddings", false), layers);
    }
}
