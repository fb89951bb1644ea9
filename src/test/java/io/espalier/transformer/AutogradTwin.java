package io.espalier.transformer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.Tensor;
import tools.jackson.databind.JsonNode;

/**
 * The slow, obviously right twin of the decoder: one sequence, the whole graph at once, every expert on every token with a weight that is zero where it
 * was not selected, float64, gradients by the engine's autograd through a zero added to each expert's activations. Written from the architectures'
 * published definitions and config.json, not from the bricks.
 */
public final class AutogradTwin {

    /** What one expert saw: activations and their gradients at the tokens routed to it. */
    public record Seen(List<double[]> a, List<double[]> da) {}

    private final Checkpoint checkpoint;
    private final JsonNode config;
    private final NDManager manager;
    private final String type;
    private final int heads;
    private final int kvHeads;
    private final int headDim;
    private final double eps;

    public AutogradTwin(Checkpoint checkpoint, NDManager manager) {
        this.checkpoint = checkpoint;
        this.config = checkpoint.config();
        this.manager = manager;
        this.type = config.get("model_type").stringValue();
        this.heads = config.get("num_attention_heads").intValue();
        this.kvHeads = config.get("num_key_value_heads").intValue();
        this.headDim = config.path("head_dim").intValue(config.get("hidden_size").intValue() / heads);
        this.eps = config.get("rms_norm_eps").doubleValue();
    }

    /** The loss of a sequence, and what each "layer:expert" saw, added to what is there. */
    public double run(int[] ids, Map<String, Seen> seen) {
        JniUtils.setGradMode(true);
        try {
            NDArray x = weight("model.embed_tokens.weight").get(manager.create(longs(ids, 0, ids.length)));
            Map<String, NDArray> probes = new LinkedHashMap<>();
            Map<String, NDArray> activations = new LinkedHashMap<>();
            Map<String, double[]> routed = new LinkedHashMap<>();
            for (int l = 0; l < config.get("num_hidden_layers").intValue(); l++) {
                String at = "model.layers." + l;
                x = x.add(attention(at + ".self_attn", norm(x, at + ".input_layernorm.weight")));
                NDArray n = norm(x, at + ".post_attention_layernorm.weight");
                x = x.add(
                        sparse(l) ? moe(l, at, n, probes, activations, routed) : mlp(n, at + ".mlp", "gate_proj", "up_proj", "down_proj"));
            }
            NDArray h = norm(x, "model.norm.weight");
            boolean tied = config.path("tie_word_embeddings").booleanValue(false);
            NDArray logits = h.matMul(weight(tied ? "model.embed_tokens.weight" : "lm_head.weight").transpose());
            NDArray logP = logits.get("0:" + (ids.length - 1)).logSoftmax(-1);
            NDArray loss = logP.gather(manager.create(longs(ids, 1, ids.length)).reshape(-1, 1), 1).sum().neg();
            if (!probes.isEmpty()) {
                JniUtils.backward((PtNDArray) loss, (PtNDArray) manager.ones(loss.getShape(), DataType.FLOAT64), false, false);
            }
            for (String key : probes.keySet()) {
                Seen of = seen.computeIfAbsent(key, _ -> new Seen(new ArrayList<>(), new ArrayList<>()));
                NDArray a = activations.get(key).stopGradient();
                NDArray da = probes.get(key).getGradient();
                for (int t = 0; t < ids.length; t++) {
                    if (routed.get(key)[t] > 0) {
                        of.a().add(a.get(t).toDoubleArray());
                        of.da().add(da.get(t).toDoubleArray());
                    }
                }
            }
            return loss.stopGradient().getDouble();
        } finally {
            JniUtils.setGradMode(false);
        }
    }

    private boolean sparse(int l) {
        return switch (type) {
            case "llama" -> false;
            case "deepseek" -> l >= config.path("first_k_dense_replace").intValue(0) && l % config.path("moe_layer_freq").intValue(1) == 0;
            case "qwen2_moe", "qwen3_moe" -> (l + 1) % config.path("decoder_sparse_step").intValue(1) == 0
                    && config.path("mlp_only_layers").valueStream().noneMatch(i -> i.intValue() == l);
            default -> true;
        };
    }

    private NDArray moe(int l, String at, NDArray x, Map<String, NDArray> probes, Map<String, NDArray> activations,
            Map<String, double[]> routed) {
        boolean mixtral = type.equals("mixtral");
        String block = at + (mixtral ? ".block_sparse_moe" : ".mlp");
        NDArray logits = x.matMul(weight(block + ".gate.weight").transpose());
        int experts = (int) logits.getShape().get(1);
        NDArray selected = mask(logits.stopGradient(), config.get("num_experts_per_tok").intValue());
        NDArray r;
        if (mixtral) {
            // as published: softmax over the selected logits only
            r = logits.add(selected.sub(1).mul(1e30)).softmax(-1);
        } else {
            NDArray p = logits.softmax(-1).mul(selected);
            boolean alone = type.equals("deepseek") && config.get("num_experts_per_tok").intValue() == 1;
            r = config.path("norm_topk_prob").booleanValue(false) && !alone ? p.div(p.sum(new int[]{-1}, true)) : p;
        }
        NDArray y = null;
        for (int e = 0; e < experts; e++) {
            String expert = block + ".experts." + e + ".";
            NDArray g = x.matMul(weight(expert + (mixtral ? "w1" : "gate_proj") + ".weight").transpose());
            NDArray u = x.matMul(weight(expert + (mixtral ? "w3" : "up_proj") + ".weight").transpose());
            NDArray a = g.mul(g.getNDArrayInternal().sigmoid()).mul(u);
            NDArray probe = manager.zeros(a.getShape(), DataType.FLOAT64);
            probe.setRequiresGradient(true);
            NDArray out = a.add(probe).matMul(weight(expert + (mixtral ? "w2" : "down_proj") + ".weight").transpose());
            NDArray part = out.mul(r.get(":, " + e + ":" + (e + 1)));
            y = y == null ? part : y.add(part);
            probes.put(l + ":" + e, probe);
            activations.put(l + ":" + e, a);
            routed.put(l + ":" + e, selected.get(":, " + e).toDoubleArray());
        }
        if (config.hasNonNull("n_shared_experts")) {
            y = y.add(mlp(x, block + ".shared_experts", "gate_proj", "up_proj", "down_proj"));
        } else if (type.equals("qwen2_moe")) {
            NDArray gate = x.matMul(weight(block + ".shared_expert_gate.weight").transpose()).getNDArrayInternal().sigmoid();
            y = y.add(mlp(x, block + ".shared_expert", "gate_proj", "up_proj", "down_proj").mul(gate));
        }
        return y;
    }

    /** 1 at the k largest of each row, else 0. */
    private NDArray mask(NDArray logits, int k) {
        double[] values = logits.toDoubleArray();
        int experts = (int) logits.getShape().get(1);
        double[] mask = new double[values.length];
        for (int t = 0; t < values.length / experts; t++) {
            for (int picked = 0; picked < k; picked++) {
                int best = -1;
                for (int e = 0; e < experts; e++) {
                    int i = t * experts + e;
                    if (mask[i] == 0 && (best < 0 || values[i] > values[best])) {
                        best = i;
                    }
                }
                mask[best] = 1;
            }
        }
        return manager.create(mask, logits.getShape());
    }

    private NDArray mlp(NDArray x, String at, String gate, String up, String down) {
        NDArray g = x.matMul(weight(at + "." + gate + ".weight").transpose());
        NDArray u = x.matMul(weight(at + "." + up + ".weight").transpose());
        return g.mul(g.getNDArrayInternal().sigmoid()).mul(u).matMul(weight(at + "." + down + ".weight").transpose());
    }

    private NDArray attention(String at, NDArray x) {
        NDArray q = project(x, at + ".q_proj");
        NDArray k = project(x, at + ".k_proj");
        NDArray v = project(x, at + ".v_proj");
        if (type.equals("olmoe")) {
            q = norm(q, at + ".q_norm.weight");
            k = norm(k, at + ".k_norm.weight");
        }
        long s = x.getShape().get(0);
        double[] hide = new double[(int) (s * s)];
        for (int i = 0; i < s; i++) {
            for (int j = i + 1; j < s; j++) {
                hide[(int) (i * s + j)] = Double.NEGATIVE_INFINITY;
            }
        }
        NDArray mask = manager.create(hide, new Shape(s, s));
        NDList mixed = new NDList();
        for (int h = 0; h < heads; h++) {
            int kv = h / (heads / kvHeads);
            NDArray qh = head(q, h, at + ".q_norm.weight");
            NDArray kh = head(k, kv, at + ".k_norm.weight");
            NDArray p = qh.matMul(kh.transpose()).div(constant(Math.sqrt(headDim))).add(mask).softmax(-1);
            mixed.add(p.matMul(v.get(":, " + kv * headDim + ":" + (kv + 1) * headDim)));
        }
        return project(NDArrays.concat(mixed, 1), at + ".o_proj");
    }

    private NDArray head(NDArray all, int h, String norm) {
        NDArray one = all.get(":, " + h * headDim + ":" + (h + 1) * headDim);
        return rotate(type.equals("qwen3_moe") ? norm(one, norm) : one);
    }

    private NDArray rotate(NDArray x) {
        int s = (int) x.getShape().get(0);
        double[] cos = new double[s * headDim];
        double[] sin = new double[s * headDim];
        for (int t = 0; t < s; t++) {
            for (int i = 0; i < headDim; i++) {
                double angle = t / Math.pow(config.get("rope_theta").doubleValue(), (2.0 * (i % (headDim / 2))) / headDim);
                cos[t * headDim + i] = Math.cos(angle);
                sin[t * headDim + i] = Math.sin(angle);
            }
        }
        NDArray half = NDArrays.concat(new NDList(x.get(":, " + headDim / 2 + ":").neg(), x.get(":, 0:" + headDim / 2)), 1);
        Shape shape = new Shape(s, headDim);
        return x.mul(manager.create(cos, shape)).add(half.mul(manager.create(sin, shape)));
    }

    private NDArray project(NDArray x, String at) {
        NDArray y = x.matMul(weight(at + ".weight").transpose());
        return checkpoint.tensors().containsKey(at + ".bias") ? y.add(weight(at + ".bias")) : y;
    }

    private NDArray norm(NDArray x, String name) {
        return x.mul(x.mul(x).mean(new int[]{-1}, true).add(eps).pow(constant(-0.5))).mul(weight(name));
    }

    /** A number that the graph keeps for its backward: one that DJL makes on the way lends its memory and may be collected before. */
    private NDArray constant(double value) {
        return manager.create(new double[]{value}, new Shape(1));
    }

    private NDArray weight(String name) {
        Tensor tensor = checkpoint.tensor(name);
        float[] values = checkpoint.bytes(tensor).toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED);
        return manager.create(values, new Shape(tensor.shape().stream().mapToLong(Long::longValue).toArray())).toType(DataType.FLOAT64,
                false);
    }

    private static long[] longs(int[] ids, int from, int to) {
        long[] some = new long[to - from];
        for (int i = from; i < to; i++) {
            some[i - from] = ids[i];
        }
        return some;
    }
}
