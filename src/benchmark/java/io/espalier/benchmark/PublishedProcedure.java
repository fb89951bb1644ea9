package io.espalier.benchmark;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.Tensor;
import io.espalier.transformer.Scratch;
import tools.jackson.databind.JsonNode;

/**
 * HEAPr as its paper writes it (arXiv 2509.22299), plainly, from the mathematics; what our sweep is measured against.
 *
 * <pre>
 *   stage 1   loss = mean cross entropy of a batch, backward through everything, weights' gradients included and then thrown away;
 *             at every expert's output E(x), g = dloss/dE:   G += g' g   [hidden, hidden], float32
 *   stage 2   forward again:   s_k += (sum over tokens of a_k^2) * (w_k' M w_k),   M = G / tokens
 *   score     s_k / tokens
 * </pre>
 *
 * The whole model is resident in float32; experts run one after the other over their tokens, as the common implementation does. Qwen2-MoE and
 * Qwen3-MoE.
 */
final class PublishedProcedure implements AutoCloseable {

    private static final int[] LAST = {-1};

    /**
     * What the procedure costs, in seconds on the wall.
     *
     * @param scores by expert in (layer, expert) order, of the mean-reduced loss; NaN where no token came
     * @param routedTokens by expert
     */
    record Result(double[][] scores, long[] routedTokens, double forward, double backward, double secondMoments, double secondForward,
            double quadraticForms) {}

    private final JsonNode config;
    private final Arena arena = Arena.ofShared();
    private final NDManager manager = NDManager.newBaseManager(Device.cpu());
    private final Map<String, NDArray> weights = new HashMap<>();
    private final int layers;
    private final int experts;
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

    /** What stands between an expert's activations and its output. */
    @FunctionalInterface
    private interface Tap {
        NDArray project(int ordinal, NDArray a, NDArray down);
    }

    /** Loads the whole model. */
    PublishedProcedure(Path directory) {
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
     * Both stages.
     *
     * @param ids [sequences][length]
     * @param batch sequences a batch
     * @param everyBatch whether the quadratic forms are computed anew for each batch of stage 2, as published, or once at its end
     */
    Result run(int[][] ids, int batch, boolean everyBatch) {
        List<int[][]> batches = new ArrayList<>();
        for (int from = 0; from < ids.length; from += batch) {
            batches.add(Arrays.copyOfRange(ids, from, Math.min(ids.length, from + batch)));
        }
        try (NDScope _ = new NDScope()) {
            positions(ids[0].length);
            return new Stages(everyBatch).run(batches);
        } finally {
            JniUtils.setGradMode(false);
        }
    }

    private final class Stages {

        private final boolean everyBatch;
        private final NDArray[] secondMoments = new NDArray[layers * experts];
        private final NDArray[] sums = new NDArray[layers * experts];
        private final long[] tokens = new long[layers * experts];
        private double forward;
        private double backward;
        private double moments;
        private double secondForward;
        private double forms;

        private Stages(boolean everyBatch) {
            this.everyBatch = everyBatch;
        }

        private Result run(List<int[][]> batches) {
            batches.forEach(this::stageOne);
            batches.forEach(this::stageTwo);
            double[][] scores = new double[sums.length][];
            for (int e = 0; e < sums.length; e++) {
                scores[e] = new double[config.get("moe_intermediate_size").intValue()];
                Arrays.fill(scores[e], Double.NaN);
                if (tokens[e] > 0) {
                    NDArray sum = everyBatch ? sums[e] : sums[e].mul(quadraticForm(e));
                    float[] values = sum.toFloatArray();
                    for (int k = 0; k < values.length; k++) {
                        scores[e][k] = (double) values[k] / tokens[e];
                    }
                }
            }
            return new Result(scores, tokens, forward, backward, moments, secondForward, forms);
        }

        private void stageOne(int[][] ids) {
            Map<Integer, NDArray> probes = new HashMap<>();
            try (Scratch _ = new Scratch()) {
                JniUtils.setGradMode(true);
                current = new HashMap<>();
                weights.forEach((name, weight) -> {
                    // why: gradients hang on these and go away with them at the end of the batch
                    NDArray learnt = weight.stopGradient();
                    learnt.setRequiresGradient(true);
                    current.put(name, learnt);
                });
                tap = (ordinal, a, down) -> {
                    NDArray output = linear(a, down);
                    NDArray probe = output.zerosLike();
                    probe.setRequiresGradient(true);
                    NDScope.unregister(probe);
                    probes.put(ordinal, probe);
                    return output.add(probe);
                };
                long began = System.nanoTime();
                NDArray loss = loss(ids);
                forward += since(began);
                began = System.nanoTime();
                JniUtils.backward((PtNDArray) loss, (PtNDArray) loss.onesLike(), false, false);
                backward += since(began);
                JniUtils.setGradMode(false);
                long counted = System.nanoTime();
                probes.forEach((ordinal, probe) -> {
                    try (Scratch _ = new Scratch()) {
                        NDArray g = probe.getGradient();
                        NDArray gg = g.transpose().matMul(g);
                        tokens[ordinal] += g.getShape().get(0);
                        if (secondMoments[ordinal] == null) {
                            NDScope.unregister(gg);
                            secondMoments[ordinal] = gg;
                        } else {
                            secondMoments[ordinal].addi(gg);
                        }
                    }
                    probe.close();
                });
                moments += since(counted);
            }
        }

        private void stageTwo(int[][] ids) {
            try (Scratch _ = new Scratch()) {
                current = weights;
                double formsBefore = forms;
                tap = (ordinal, a, down) -> {
                    try (Scratch inner = new Scratch()) {
                        NDArray sum = a.square().sum(new int[]{0});
                        NDArray addend = everyBatch ? sum.mul(quadraticForm(ordinal)) : sum;
                        if (sums[ordinal] == null) {
                            sums[ordinal] = addend == sum ? sum.duplicate() : addend;
                            NDScope.unregister(sums[ordinal]);
                        } else {
                            sums[ordinal].addi(addend);
                        }
                        return inner.keep(linear(a, down));
                    }
                };
                long began = System.nanoTime();
                loss(ids);
                secondForward += since(began) - (forms - formsBefore);
            }
        }

        /** {@code w_k' M w_k} for every atom k, [width]. */
        private NDArray quadraticForm(int ordinal) {
            long began = System.nanoTime();
            String down = "model.layers." + ordinal / experts + ".mlp.experts." + ordinal % experts + ".down_proj.weight";
            NDArray w = weights.get(down);
            NDArray m = secondMoments[ordinal].div(tokens[ordinal]);
            NDArray form = m.matMul(w).mul(w).sum(new int[]{0});
            forms += since(began);
            return form;
        }
    }

    private static double since(long began) {
        return (System.nanoTime() - began) * 1e-9;
    }

    /** Mean cross entropy over the positions that have a next token. */
    private NDArray loss(int[][] ids) {
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
            NDArray x = current.get("model.embed_tokens.weight").get(manager.create(inputs));
            for (int l = 0; l < layers; l++) {
                x = layer(l, x, ids.length);
            }
            NDArray logits = linear(norm(x, "model.norm.weight"), current.get("lm_head.weight")).get(manager.create(predicting));
            NDArray chosen = logits.logSoftmax(-1).gather(manager.create(targets).reshape(-1, 1), 1);
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
            NDArray p = q.matMul(k.transpose(0, 1, 2, 4, 3)).div(Math.sqrt(headDim)).add(mask).softmax(-1);
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
                    NDArray rows = x.get(manager.create(Arrays.stream(slots).map(slot -> slot / topK).toArray()));
                    String name = at + ".experts." + e;
                    NDArray a = activations(rows, name);
                    NDArray output = tap.project(l * experts + e, a, current.get(name + ".down_proj.weight"));
                    outputs.add(inner.keep(output.mul(r.get(manager.create(slots)))));
                }
            }
            NDArray y = NDArrays.concat(outputs, 0).get(manager.create(place)).reshape(-1, topK, hidden).sum(new int[]{1});
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
            return scratch.keep(x.square().mean(LAST, true).add(eps).pow(-0.5).mul(x).mul(current.get(name)));
        }
    }

    private static NDArray linear(NDArray x, NDArray weight) {
        return x.getNDArrayInternal().linear(x, weight, null).get(0);
    }

    private static NDArray sigmoid(NDArray x) {
        return x.getNDArrayInternal().sigmoid();
    }

    private void positions(int s) {
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
    }

    @Override
    public void close() {
        manager.close();
        arena.close();
    }
}
