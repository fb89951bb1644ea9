package io.espalier.benchmark;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.Tensor;
import io.espalier.transformer.Scratch;
import tools.jackson.databind.JsonNode;

/**
 * A Qwen2-MoE or Qwen3-MoE, whole and resident in float32, and its loss; experts run one after the other over their tokens, as the common implementation
 * does.
 */
final class PlainModel implements AutoCloseable {

    private static final int[] LAST = {-1};

    final JsonNode config;
    private final Arena arena = Arena.ofShared();
    private final NDManager manager = NDManager.newBaseManager(Device.cpu());
    final Map<String, NDArray> weights = new HashMap<>();
    final int layers;
    final int experts;
    private final int topK;
    private final int hidden;
    private final int heads;
    private final int kvHeads;
    private final int headDim;
    private final boolean qwen3;
    private final double eps;

    /** The weights that a pass uses: the resident ones, or in stage 1 what autograd hangs their gradients on. */
    private Map<String, NDArray> current;
    private Tap tap;
    private NDArray cos;
    private NDArray sin;
    private NDArray mask;
    private NDArray scale;

    /** What stands between an expert's activations and its output. */
    @FunctionalInterface
    interface Tap {
        NDArray project(int ordinal, NDArray a, NDArray down);
    }

    /** Loads the whole model. */
    PlainModel(Path directory) {
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            this.config = checkpoint.config();
            MemorySegment memory = arena.allocate(checkpoint.tensors().values().stream().mapToLong(t -> padded(t.elements())).sum(), 64);
            long at = 0;
            for (Tensor tensor : checkpoint.tensors().values()) {
                MemorySegment numbers = memory.asSlice(at, tensor.elements() * Float.BYTES);
                toFloat(checkpoint.bytes(tensor), tensor.dtype(), numbers);
                Shape shape = new Shape(tensor.shape().stream().mapToLong(Long::longValue).toArray());
                weights.put(tensor.name(), manager.create(numbers.asByteBuffer().order(ByteOrder.nativeOrder()), shape, DataType.FLOAT32));
                at += padded(tensor.elements());
            }
        }
        this.layers = config.get("num_hidden_layers").intValue();
        this.experts = config.get("num_experts").intValue();
        this.topK = config.get("num_experts_per_tok").intValue();
        this.hidden = config.get("hidden_size").intValue();
        this.heads = config.get("num_attention_heads").intValue();
        this.kvHeads = config.get("num_key_value_heads").intValue();
        this.headDim = config.get("head_dim").intValue();
        this.qwen3 = config.get("model_type").stringValue().equals("qwen3_moe");
        this.eps = config.get("rms_norm_eps").doubleValue();
    }

    private static long padded(long elements) {
        return (elements * Float.BYTES + 63) / 64 * 64;
    }

    private static void toFloat(MemorySegment stored, DType dtype, MemorySegment target) {
        if (dtype == DType.F32) {
            target.copyFrom(stored);
            return;
        }
        for (long i = 0; i < target.byteSize() / Float.BYTES; i++) {
            target.set(ValueLayout.JAVA_INT, i << 2, stored.get(ValueLayout.JAVA_SHORT_UNALIGNED, i << 1) << 16);
        }
    }

    /**
     * What the passes from now on use.
     *
     * @param weights these, or others in their place by the same names
     */
    void use(Map<String, NDArray> weights, Tap between) {
        current = weights;
        tap = between;
    }

    /** Mean cross entropy over the positions that have a next token. */
    NDArray loss(int[][] ids) {
        try (Scratch scratch = new Scratch()) {
            int s = ids[0].length;
            long[] inputs = new long[ids.length * s];
            long[] targets = new long[ids.length * (s - 1)];
            long[] predicting = new long[targets.length];
            for (int b = 0; b < ids.length; b++) {
                for (int t = 0; t < s; t++) {
                    inputs[b * s + t] = ids[b][t];
                    if (t + 1 < s) {
                        targets[b * (s - 1) + t] = ids[b][t + 1];
                        predicting[b * (s - 1) + t] = (long) b * s + t;
                    }
                }
            }
            NDArray x = current.get("model.embed_tokens.weight").get(index(inputs));
            for (int l = 0; l < layers; l++) {
                x = layer(l, x, ids.length);
            }
            NDArray logits = linear(norm(x, "model.norm.weight"), current.get("lm_head.weight")).get(index(predicting));
            NDArray chosen = logits.logSoftmax(-1).gather(index(targets).reshape(-1, 1), 1);
            return scratch.keep(chosen.mean().neg());
        }
    }

    private NDArray layer(int l, NDArray x, int batch) {
        try (Scratch scratch = new Scratch()) {
            String at = "model.layers." + l;
            NDArray h = x.add(attention(at + ".self_attn", norm(x, at + ".input_layernorm.weight"), batch));
            return scratch.keep(h.add(moe(l, at + ".mlp", norm(h, at + ".post_attention_layernorm.weight"))));
        }
    }

    private NDArray attention(String at, NDArray x, int batch) {
        try (Scratch scratch = new Scratch()) {
            long s = x.getShape().get(0) / batch;
            long group = heads / kvHeads;
            NDArray q = rotated(split(x, at, "q", heads, batch)).reshape(batch, kvHeads, group, s, headDim);
            NDArray k = rotated(split(x, at, "k", kvHeads, batch)).reshape(batch, kvHeads, 1, s, headDim);
            NDArray v = split(x, at, "v", kvHeads, batch).reshape(batch, kvHeads, 1, s, headDim);
            NDArray p = q.matMul(k.transpose(0, 1, 2, 4, 3)).mul(scale).add(mask).softmax(-1);
            NDArray mixed = p.matMul(v).reshape(batch, heads, s, headDim).transpose(0, 2, 1, 3).reshape(batch * s, (long) heads * headDim);
            return scratch.keep(linear(mixed, current.get(at + ".o_proj.weight")));
        }
    }

    /** One projection by head: [batch, heads, s, headDim]. */
    private NDArray split(NDArray x, String at, String which, int count, int batch) {
        try (Scratch scratch = new Scratch()) {
            NDArray y = linear(x, current.get(at + "." + which + "_proj.weight"));
            NDArray bias = current.get(at + "." + which + "_proj.bias");
            y = (bias == null ? y : y.add(bias)).reshape(batch, -1, count, headDim);
            if (qwen3 && !which.equals("v")) {
                y = norm(y, at + "." + which + "_norm.weight");
            }
            return scratch.keep(y.transpose(0, 2, 1, 3));
        }
    }

    private NDArray rotated(NDArray x) {
        try (Scratch scratch = new Scratch()) {
            NDArray half = NDArrays.concat(new NDList(x.get("..., " + headDim / 2 + ":").neg(), x.get("..., :" + headDim / 2)), -1);
            return scratch.keep(x.mul(cos).add(half.mul(sin)));
        }
    }

    private NDArray moe(int l, String at, NDArray x) {
        try (Scratch scratch = new Scratch()) {
            NDArray p = linear(x, current.get(at + ".gate.weight")).softmax(-1);
            NDArray best = p.topK(topK, -1, true, true).get(1);
            NDArray r = p.gather(best, 1);
            if (config.get("norm_topk_prob").booleanValue()) {
                r = r.div(r.sum(LAST, true));
            }
            r = r.reshape(-1, 1);
            long[] selected = best.toLongArray();
            long[] place = new long[selected.length];
            NDList outputs = new NDList();
            int placed = 0;
            for (int e = 0; e < experts; e++) {
                int expert = e;
                long[] slots = java.util.stream.IntStream.range(0, selected.length).filter(i -> selected[i] == expert).asLongStream()
                        .toArray();
                if (slots.length == 0) {
                    continue;
                }
                for (long slot : slots) {
                    place[(int) slot] = placed++;
                }
                try (Scratch inner = new Scratch()) {
                    NDArray rows = x.get(index(Arrays.stream(slots).map(slot -> slot / topK).toArray()));
                    String name = at + ".experts." + e;
                    NDArray a = activations(rows, name);
                    NDArray output = tap.project(l * experts + e, a, current.get(name + ".down_proj.weight"));
                    outputs.add(inner.keep(output.mul(r.get(index(slots)))));
                }
            }
            NDArray y = NDArrays.concat(outputs, 0).get(index(place)).reshape(-1, topK, hidden).sum(new int[]{1});
            if (!qwen3) {
                NDArray shared = linear(activations(x, at + ".shared_expert"), current.get(at + ".shared_expert.down_proj.weight"));
                y = y.add(shared.mul(sigmoid(linear(x, current.get(at + ".shared_expert_gate.weight")))));
            }
            return scratch.keep(y);
        }
    }

    private NDArray activations(NDArray x, String name) {
        try (Scratch scratch = new Scratch()) {
            NDArray gate = linear(x, current.get(name + ".gate_proj.weight"));
            return scratch.keep(gate.mul(sigmoid(gate)).mul(linear(x, current.get(name + ".up_proj.weight"))));
        }
    }

    private NDArray norm(NDArray x, String name) {
        try (Scratch scratch = new Scratch()) {
            return scratch.keep(x.div(x.square().mean(LAST, true).add(eps).sqrt()).mul(current.get(name)));
        }
    }

    /** Memory of the engine's own: an array made from Java lends memory that is gone when it is closed, and the graph may still want it. */
    private NDArray index(long[] values) {
        try (NDArray lent = manager.create(values)) {
            return lent.duplicate();
        }
    }

    static NDArray linear(NDArray x, NDArray weight) {
        return x.getNDArrayInternal().linear(x, weight, null).get(0);
    }

    private static NDArray sigmoid(NDArray x) {
        return x.getNDArrayInternal().sigmoid();
    }

    /** Prepares for sequences of one length. */
    void positions(int s) {
        float[] cosines = new float[s * headDim];
        float[] sines = new float[s * headDim];
        float[] hide = new float[s * s];
        double theta = config.get("rope_theta").doubleValue();
        for (int t = 0; t < s; t++) {
            for (int i = 0; i < headDim; i++) {
                double angle = t / Math.pow(theta, 2.0 * (i % (headDim / 2)) / headDim);
                cosines[t * headDim + i] = (float) Math.cos(angle);
                sines[t * headDim + i] = (float) Math.sin(angle);
            }
            Arrays.fill(hide, t * s + t + 1, (t + 1) * s, Float.NEGATIVE_INFINITY);
        }
        cos = manager.create(cosines, new Shape(s, headDim));
        sin = manager.create(sines, new Shape(s, headDim));
        mask = manager.create(hide, new Shape(s, s));
        scale = manager.create((float) (1 / Math.sqrt(headDim)));
    }

    @Override
    public void close() {
        manager.close();
        arena.close();
    }
}
