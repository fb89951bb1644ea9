package io.espalier.benchmark;

import java.util.LinkedHashMap;
import java.util.SequencedMap;

import io.espalier.checkpoint.DType;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A model to be made up: its sizes, and from them its configuration and its tensors as the architecture's publisher names them. Every layer has
 * routed experts.
 *
 * @param architecture {@code qwen2_moe} (a shared expert, biases on queries, keys and values) or {@code qwen3_moe} (normed queries and keys)
 * @param width atoms of a routed expert
 * @param sharedWidth of the shared expert; 0 for {@code qwen3_moe}
 * @param dtype F32 or BF16
 * @param fused whether the experts of a layer lie in two tensors, as transformers 5 writes them
 */
record ModelShape(String architecture, int hidden, int layers, int experts, int topK, int width, int sharedWidth, int heads, int kvHeads,
        int headDim, int vocabulary, DType dtype, boolean fused) {

    /** Qwen1.5-MoE-A2.7B's layers, two of them, under a small vocabulary: what the official implementation was measured on. */
    static final ModelShape REFERENCE = new ModelShape("qwen2_moe", 2048, 2, 60, 4, 1408, 5632, 16, 16, 128, 8192, DType.BF16, false);

    /** Qwen3-30B-A3B: 48 layers. */
    static final ModelShape QWEN3_30B = new ModelShape("qwen3_moe", 2048, 48, 128, 8, 768, 0, 32, 4, 128, 151_936, DType.BF16, false);

    /** Every large tensor above 2 GiB but for the down projections: embedding, head, and the fused experts' gate and up. */
    static final ModelShape LARGE_TENSORS = new ModelShape("qwen3_moe", 2048, 2, 384, 8, 768, 0, 32, 4, 128, 530_000, DType.BF16, true);

    static final ModelShape TINY_QWEN2 = new ModelShape("qwen2_moe", 64, 2, 12, 4, 44, 176, 4, 4, 16, 256, DType.BF16, false);

    static final ModelShape TINY_QWEN3 = new ModelShape("qwen3_moe", 64, 4, 16, 4, 24, 0, 4, 2, 16, 512, DType.BF16, false);

    ModelShape withLayers(int count) {
        return new ModelShape(architecture, hidden, count, experts, topK, width, sharedWidth, heads, kvHeads, headDim, vocabulary, dtype,
                fused);
    }

    ModelShape withExperts(int count) {
        return new ModelShape(architecture, hidden, layers, count, topK, width, sharedWidth, heads, kvHeads, headDim, vocabulary, dtype,
                fused);
    }

    ModelShape withVocabulary(int count) {
        return new ModelShape(architecture, hidden, layers, experts, topK, width, sharedWidth, heads, kvHeads, headDim, count, dtype,
                fused);
    }

    ModelShape withDtype(DType other) {
        return new ModelShape(architecture, hidden, layers, experts, topK, width, sharedWidth, heads, kvHeads, headDim, vocabulary, other,
                fused);
    }

    private boolean qwen2() {
        return architecture.equals("qwen2_moe");
    }

    /** {@code config.json}. */
    ObjectNode config() {
        ObjectNode config = JsonMapper.shared().createObjectNode();
        config.put("model_type", architecture).put("hidden_size", hidden).put("num_hidden_layers", layers)
                .put("num_attention_heads", heads).put("num_key_value_heads", kvHeads).put("head_dim", headDim)
                .put("vocab_size", vocabulary).put("num_experts", experts).put("num_experts_per_tok", topK)
                .put("moe_intermediate_size", width).put("intermediate_size", Math.max(1, sharedWidth)).put("norm_topk_prob", !qwen2())
                .put("hidden_act", "silu").put("max_position_embeddings", 32_768).put("rms_norm_eps", 1e-6)
                .put("rope_theta", 1_000_000.0).put("tie_word_embeddings", false)
                .put("torch_dtype", dtype == DType.BF16 ? "bfloat16" : "float32");
        if (qwen2()) {
            config.put("shared_expert_intermediate_size", sharedWidth);
        }
        return config;
    }

    /** Every tensor with its shape, in the order in which publishers write them. */
    SequencedMap<String, long[]> tensors() {
        SequencedMap<String, long[]> all = new LinkedHashMap<>();
        all.put("model.embed_tokens.weight", new long[]{vocabulary, hidden});
        for (int l = 0; l < layers; l++) {
            layer("model.layers." + l, all);
        }
        all.put("model.norm.weight", new long[]{hidden});
        all.put("lm_head.weight", new long[]{vocabulary, hidden});
        return all;
    }

    private void layer(String at, SequencedMap<String, long[]> all) {
        long queries = (long) heads * headDim;
        long keys = (long) kvHeads * headDim;
        all.put(at + ".input_layernorm.weight", new long[]{hidden});
        all.put(at + ".self_attn.q_proj.weight", new long[]{queries, hidden});
        all.put(at + ".self_attn.k_proj.weight", new long[]{keys, hidden});
        all.put(at + ".self_attn.v_proj.weight", new long[]{keys, hidden});
        all.put(at + ".self_attn.o_proj.weight", new long[]{hidden, queries});
        if (qwen2()) {
            all.put(at + ".self_attn.q_proj.bias", new long[]{queries});
            all.put(at + ".self_attn.k_proj.bias", new long[]{keys});
            all.put(at + ".self_attn.v_proj.bias", new long[]{keys});
        } else {
            all.put(at + ".self_attn.q_norm.weight", new long[]{headDim});
            all.put(at + ".self_attn.k_norm.weight", new long[]{headDim});
        }
        all.put(at + ".post_attention_layernorm.weight", new long[]{hidden});
        all.put(at + ".mlp.gate.weight", new long[]{experts, hidden});
        if (fused) {
            all.put(at + ".mlp.experts.gate_up_proj", new long[]{experts, 2L * width, hidden});
            all.put(at + ".mlp.experts.down_proj", new long[]{experts, hidden, width});
        }
        for (int e = 0; e < (fused ? 0 : experts); e++) {
            mlp(at + ".mlp.experts." + e, width, all);
        }
        if (qwen2()) {
            mlp(at + ".mlp.shared_expert", sharedWidth, all);
            all.put(at + ".mlp.shared_expert_gate.weight", new long[]{1, hidden});
        }
    }

    private void mlp(String at, int atoms, SequencedMap<String, long[]> all) {
        all.put(at + ".gate_proj.weight", new long[]{atoms, hidden});
        all.put(at + ".up_proj.weight", new long[]{atoms, hidden});
        all.put(at + ".down_proj.weight", new long[]{hidden, atoms});
    }

    long parameters() {
        return tensors().values().stream().mapToLong(ModelShape::elements).sum();
    }

    /** Bytes on disk. */
    long bytes() {
        return parameters() * dtype.bytes();
    }

    /** Bytes on disk of one decoder layer. */
    long layerBytes() {
        return withLayers(1).bytes() - withLayers(0).bytes();
    }

    static long elements(long[] shape) {
        return java.util.Arrays.stream(shape).reduce(1, Math::multiplyExact);
    }

    /** One word that tells shapes apart. */
    String slug() {
        return architecture + "-h" + hidden + "-l" + layers + "-e" + experts + "k" + topK + "-w" + width + "-s" + sharedWidth + "-a" + heads
                + "kv" + kvHeads + "x" + headDim + "-v" + vocabulary + (fused ? "-fused-" : "-")
                + dtype.name().toLowerCase(java.util.Locale.ROOT);
    }

    @Override
    public String toString() {
        return architecture + ", hidden " + hidden + ", " + layers + " layers, " + experts + " experts top-" + topK + " of width " + width
                + (sharedWidth > 0 ? ", shared " + sharedWidth : "") + ", " + heads + "/" + kvHeads + " heads of " + headDim
                + ", vocabulary " + vocabulary + ", " + dtype
                + (fused ? ", experts fused" : "");
    }
}
