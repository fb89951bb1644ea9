package io.espalier.architecture;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Slab;

/**
 * A decoder as sizes and names: everything about a model but its numbers. Written by an architecture's page, read by the bricks.
 *
 * @param modelType the architecture's name in {@code config.json}
 * @param hiddenSize d, width of the residual stream
 * @param vocabSize rows of the embedding and of the head
 * @param maxPositions longest sequence the model is made for (tokens)
 * @param rmsNormEps added to the mean square under the root
 * @param attention shape of every attention block
 * @param tiedEmbeddings whether the head is the embedding
 * @param layers in order
 */
public record DecoderSpec(String modelType, int hiddenSize, int vocabSize, int maxPositions, double rmsNormEps, AttentionSpec attention,
        boolean tiedEmbeddings, List<LayerSpec> layers) {

    public static final String EMBEDDING = "model.embed_tokens.weight";
    public static final String FINAL_NORM = "model.norm.weight";
    public static final String HEAD = "lm_head.weight";

    /** Which RMS norm, if any, stands between the query/key projections and the rotation. */
    public enum QkNorm {
        NONE,
        /** One weight of headDim for every head (Qwen3). */
        PER_HEAD,
        /** One weight over all heads together (OLMoE). */
        FULL
    }

    /**
     * @param heads query heads
     * @param kvHeads key and value heads; divides heads
     * @param headDim width of one head
     * @param ropeTheta base of the rotary frequencies
     * @param qkvBias whether query, key and value projections add a bias
     * @param outputBias whether the output projection does
     * @param qkNorm norm of queries and keys
     */
    public record AttentionSpec(int heads, int kvHeads, int headDim, double ropeTheta, boolean qkvBias, boolean outputBias,
            QkNorm qkNorm) {}

    /**
     * @param index from 0
     * @param prefix of its tensor names, {@code model.layers.3}
     * @param mlp what follows the attention
     */
    public record LayerSpec(int index, String prefix, MlpSpec mlp) {}

    /** The feed-forward half of a layer. */
    public sealed interface MlpSpec {}

    /** One gated MLP for every token. */
    public record Dense(MlpTensors mlp) implements MlpSpec {}

    /**
     * Routed experts, and perhaps a shared one.
     *
     * @param router name of the router's weight [experts, hidden]
     * @param topK experts a token
     * @param normTopK whether the selected probabilities are divided by their sum
     * @param normEps added to that sum
     * @param experts where each one's atoms lie, in order
     * @param shared an MLP that every token passes, or {@code null}
     * @param sharedGate name of the weight [1, hidden] whose sigmoid scales the shared MLP, or {@code null}
     */
    public record Moe(String router, int topK, boolean normTopK, double normEps, List<ExpertTensors> experts, MlpTensors shared,
            String sharedGate) implements MlpSpec {

        /** Names of the tensors whose first dimension is the experts: they are cut with the experts that go whole. */
        public List<String> perExpert() {
            return List.of(router);
        }
    }

    /** Names of a gated MLP: gate and up [width, hidden], down [hidden, width]. */
    public record MlpTensors(int width, String gate, String up, String down) {

        static MlpTensors at(String prefix, int width) {
            return new MlpTensors(width, prefix + ".gate_proj.weight", prefix + ".up_proj.weight", prefix + ".down_proj.weight");
        }
    }

    /** Every routed expert of every MoE layer, in (layer, expert) order; empty for a dense model. */
    public List<ExpertTensors> experts() {
        return layers.stream().flatMap(layer -> layer.mlp() instanceof Moe moe ? moe.experts().stream() : java.util.stream.Stream.empty())
                .toList();
    }

    /** The first layer that has routed experts; the number of layers when none has. */
    public int lowestRouted() {
        return layers.stream().filter(layer -> !experts(layer).isEmpty()).mapToInt(LayerSpec::index).findFirst().orElse(layers.size());
    }

    /** By MoE layer, the tensors whose first dimension is the layer's experts. */
    public Map<Integer, List<String>> perExpert() {
        Map<Integer, List<String>> all = new LinkedHashMap<>();
        layers.forEach(layer -> {
            if (layer.mlp() instanceof Moe moe) {
                all.put(layer.index(), moe.perExpert());
            }
        });
        return all;
    }

    /** The routed experts of one layer; empty for a dense one. */
    public List<ExpertTensors> experts(LayerSpec layer) {
        return layer.mlp() instanceof Moe moe ? moe.experts() : List.of();
    }

    /** Names of a layer's tensors, those of its routed experts aside. */
    public List<String> commonTensors(LayerSpec layer) {
        return List.copyOf(common(layer).keySet());
    }

    /** How many numbers those hold. */
    public long commonElements(LayerSpec layer) {
        return common(layer).values().stream().mapToLong(shape -> java.util.Arrays.stream(shape).reduce(1, (a, b) -> a * b)).sum();
    }

    private SequencedMap<String, long[]> common(LayerSpec layer) {
        SequencedMap<String, long[]> all = new LinkedHashMap<>();
        attentionTensors(layer.prefix(), all);
        switch (layer.mlp()) {
            case Dense dense -> mlpTensors(dense.mlp(), all);
            case Moe moe -> moeCommonTensors(moe, all);
        }
        return all;
    }

    public DecoderSpec withLayers(List<LayerSpec> others) {
        return new DecoderSpec(modelType, hiddenSize, vocabSize, maxPositions, rmsNormEps, attention, tiedEmbeddings, others);
    }

    public String headTensor() {
        return tiedEmbeddings ? EMBEDDING : HEAD;
    }

    /** Every tensor the model is made of, with its shape. */
    public SequencedMap<String, long[]> tensors() {
        SequencedMap<String, long[]> all = new LinkedHashMap<>();
        all.put(EMBEDDING, new long[]{vocabSize, hiddenSize});
        for (LayerSpec layer : layers) {
            attentionTensors(layer.prefix(), all);
            switch (layer.mlp()) {
                case Dense dense -> mlpTensors(dense.mlp(), all);
                case Moe moe -> moeTensors(moe, all);
            }
        }
        all.put(FINAL_NORM, new long[]{hiddenSize});
        if (!tiedEmbeddings) {
            all.put(HEAD, new long[]{vocabSize, hiddenSize});
        }
        return all;
    }

    private void attentionTensors(String prefix, SequencedMap<String, long[]> all) {
        long queries = (long) attention.heads() * attention.headDim();
        long keys = (long) attention.kvHeads() * attention.headDim();
        String at = prefix + ".self_attn.";
        all.put(prefix + ".input_layernorm.weight", new long[]{hiddenSize});
        all.put(at + "q_proj.weight", new long[]{queries, hiddenSize});
        all.put(at + "k_proj.weight", new long[]{keys, hiddenSize});
        all.put(at + "v_proj.weight", new long[]{keys, hiddenSize});
        all.put(at + "o_proj.weight", new long[]{hiddenSize, queries});
        if (attention.qkvBias()) {
            all.put(at + "q_proj.bias", new long[]{queries});
            all.put(at + "k_proj.bias", new long[]{keys});
            all.put(at + "v_proj.bias", new long[]{keys});
        }
        if (attention.outputBias()) {
            all.put(at + "o_proj.bias", new long[]{hiddenSize});
        }
        if (attention.qkNorm() != QkNorm.NONE) {
            boolean full = attention.qkNorm() == QkNorm.FULL;
            all.put(at + "q_norm.weight", new long[]{full ? queries : attention.headDim()});
            all.put(at + "k_norm.weight", new long[]{full ? keys : attention.headDim()});
        }
        all.put(prefix + ".post_attention_layernorm.weight", new long[]{hiddenSize});
    }

    private void moeTensors(Moe moe, SequencedMap<String, long[]> all) {
        moeCommonTensors(moe, all);
        for (ExpertTensors expert : moe.experts()) {
            for (Slab slab : List.of(expert.gate(), expert.up(), expert.down())) {
                all.put(slab.tensor(), slab.shape().stream().mapToLong(Long::longValue).toArray());
            }
        }
    }

    private void moeCommonTensors(Moe moe, SequencedMap<String, long[]> all) {
        all.put(moe.router(), new long[]{moe.experts().size(), hiddenSize});
        if (moe.shared() != null) {
            mlpTensors(moe.shared(), all);
        }
        if (moe.sharedGate() != null) {
            all.put(moe.sharedGate(), new long[]{1, hiddenSize});
        }
    }

    private void mlpTensors(MlpTensors mlp, SequencedMap<String, long[]> all) {
        all.put(mlp.gate(), new long[]{mlp.width(), hiddenSize});
        all.put(mlp.up(), new long[]{mlp.width(), hiddenSize});
        all.put(mlp.down(), new long[]{hiddenSize, mlp.width()});
    }
}
