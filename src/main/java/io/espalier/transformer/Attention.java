package io.espalier.transformer;

import java.util.function.IntFunction;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.espalier.architecture.DecoderSpec.AttentionSpec;
import io.espalier.architecture.DecoderSpec.QkNorm;

/**
 * Causal grouped-query attention: {@code y = W_o concat_h softmax(q_h k' / sqrt(D)) v + b_o}, queries and keys optionally normed, then rotated.
 * Letters: B sequences, S positions, H query heads, K key/value heads, G = H / K queries a key head, D head width.
 *
 * @param q [H D, hidden], k and v [K D, hidden], o [hidden, H D]
 * @param qBias [H D] or {@code null}; the other biases likewise
 * @param qNorm norm of the queries or {@code null}
 */
record Attention(AttentionSpec spec, NDArray q, NDArray k, NDArray v, NDArray o, NDArray qBias, NDArray kBias, NDArray vBias, NDArray oBias,
        RmsNorm qNorm, RmsNorm kNorm) {

    /** Scores of as many key heads at once as fit into this many numbers, each with the queries of {@link Positions#QUERIES_AT_ONCE} positions. */
    private static final long SCORES_AT_ONCE = 1 << 20;

    static Attention load(Weights weights, String prefix, AttentionSpec spec, double eps) {
        String at = prefix + ".self_attn.";
        boolean bias = spec.qkvBias();
        boolean norm = spec.qkNorm() != QkNorm.NONE;
        return new Attention(spec, weights.matrix(at + "q_proj.weight"), weights.matrix(at + "k_proj.weight"),
                weights.matrix(at + "v_proj.weight"),
                weights.matrix(at + "o_proj.weight"), bias ? weights.vector(at + "q_proj.bias") : null,
                bias ? weights.vector(at + "k_proj.bias") : null, bias ? weights.vector(at + "v_proj.bias") : null,
                spec.outputBias() ? weights.vector(at + "o_proj.bias") : null,
                norm ? new RmsNorm(weights.vector(at + "q_norm.weight"), eps) : null,
                norm ? new RmsNorm(weights.vector(at + "k_norm.weight"), eps) : null);
    }

    /**
     * What the backward pass needs of the forward pass. The probabilities are not in it: they are S times larger than the rest.
     *
     * @param rawQueries before norm and rotation, [B S, H D]; {@code null} when there is no norm, which alone looks at them again; rawKeys likewise
     * @param queries rotated and divided by sqrt(D), because D numbers are fewer than the S scores of a query, [B K, G S, D]
     * @param keys rotated, [B K, S, D]; values likewise
     * @param mixed concat_h p v, [B K, G S, D], for the output alone
     */
    record Tape(NDArray rawQueries, NDArray rawKeys, NDArray queries, NDArray keys, NDArray values, NDArray mixed) {

        /** What the backward pass needs, as a list that ends with what became of the output. */
        NDList withResult(NDArray h) {
            NDList list = new NDList(queries, keys, values);
            if (rawQueries != null) {
                list.add(rawQueries);
                list.add(rawKeys);
            }
            list.add(h);
            return list;
        }

        /** Of such a list. */
        static Tape of(NDList list) {
            boolean raw = list.size() > 4;
            return new Tape(raw ? list.get(3) : null, raw ? list.get(4) : null, list.get(0), list.get(1), list.get(2), null);
        }
    }

    /** x [B S, hidden] to everything but y. */
    Tape record(NDArray x, int batch, Positions positions) {
        try (Scratch scratch = new Scratch()) {
            NDArray rawQueries = linear(x, q, qBias);
            NDArray rawKeys = linear(x, k, kBias);
            NDArray queries = scratch.keep(byKeyHead(rotated(rawQueries, qNorm, spec.heads(), batch, positions), batch).muli(scale()));
            NDArray keys = scratch.keep(byKeyHead(rotated(rawKeys, kNorm, spec.kvHeads(), batch, positions), batch));
            NDArray values = scratch.keep(byKeyHead(linear(x, v, vBias).reshape(batch, -1, spec.kvHeads(), spec.headDim()), batch));
            NDList mixed = new NDList();
            for (NDIndex heads : blocks(keys)) {
                mixed.add(Kernels.attend(queries.get(heads), keys.get(heads), values.get(heads), positions.mask()));
            }
            boolean norm = qNorm != null;
            return new Tape(norm ? scratch.keep(rawQueries) : null, norm ? scratch.keep(rawKeys) : null, queries, keys, values,
                    scratch.keep(NDArrays.concat(mixed, 0)));
        }
    }

    /** y, [B S, hidden]. */
    NDArray output(Tape tape, int batch) {
        try (Scratch scratch = new Scratch()) {
            return scratch.keep(linear(byToken(tape.mixed(), spec.heads(), batch), o, oBias));
        }
    }

    /**
     * y for the next positions of one sequence: all of the first, which see each other as in {@link #record}, or one behind them.
     *
     * @param x [n, hidden]
     * @param positions of a length
     * @param layer whose keys and values these are
     * @param seen of the positions before, which takes these
     */
    NDArray next(NDArray x, IntFunction<Positions> positions, int layer, KeyValues seen) {
        try (Scratch scratch = new Scratch()) {
            int n = (int) x.getShape().get(0);
            if (seen.filled() == 0) {
                Tape tape = record(x, 1, positions.apply(n));
                seen.put(layer, tape.keys(), tape.values());
                return scratch.keep(output(tape, 1));
            }
            int to = seen.filled() + n;
            Positions here = positions.apply(seen.positions()).at(seen.filled());
            NDArray queries = byKeyHead(rotated(linear(x, q, qBias), qNorm, spec.heads(), 1, here), 1).muli(scale());
            seen.put(layer, byKeyHead(rotated(linear(x, k, kBias), kNorm, spec.kvHeads(), 1, here), 1),
                    byKeyHead(linear(x, v, vBias).reshape(1, -1, spec.kvHeads(), spec.headDim()), 1));
            NDArray p = queries.matMul(seen.keys(layer, to).transpose(0, 2, 1)).softmax(-1);
            return scratch.keep(linear(byToken(p.matMul(seen.values(layer, to)), spec.heads(), 1), o, oBias));
        }
    }

    /** dy [B S, hidden] to dx. */
    NDArray backward(Tape tape, NDArray dy, int batch, Positions positions) {
        try (Scratch scratch = new Scratch()) {
            // forward was y = mixed W_o', mixed = p v, p = softmax(q k' + mask), q = c q0, c = 1 / sqrt(D)
            NDArray dMixed = byKeyHead(Kernels.times(dy, o).reshape(batch, -1, spec.heads(), spec.headDim()), batch);
            NDList dQueries = new NDList();
            NDList dKeys = new NDList();
            NDList dValues = new NDList();
            for (NDIndex heads : blocks(tape.keys())) {
                NDList d = Kernels.attendReverse(tape.queries().get(heads), tape.keys().get(heads), tape.values().get(heads),
                        positions.mask(), dMixed.get(heads));
                dQueries.add(d.get(0).muli(scale()));
                dKeys.add(d.get(1));
                dValues.add(d.get(2));
            }
            // back through rotation, norm and projections
            NDArray dx = projectedBack(rotatedBack(dQueries, tape.rawQueries(), qNorm, spec.heads(), batch, positions), q, null);
            projectedBack(rotatedBack(dKeys, tape.rawKeys(), kNorm, spec.kvHeads(), batch, positions), k, dx);
            projectedBack(byToken(NDArrays.concat(dValues, 0), spec.kvHeads(), batch), v, dx);
            return scratch.keep(dx);
        }
    }

    /** Adds d W to dx, or begins it. */
    private static NDArray projectedBack(NDArray d, NDArray weight, NDArray dx) {
        try (Scratch scratch = new Scratch(); d) {
            NDArray part = Kernels.times(d, weight);
            return dx == null ? scratch.keep(part) : dx.addi(part);
        }
    }

    private static NDArray linear(NDArray x, NDArray weight, NDArray bias) {
        NDArray y = Kernels.linear(x, weight);
        return bias == null ? y : y.addi(bias);
    }

    private double scale() {
        return 1 / Math.sqrt(spec.headDim());
    }

    /** Projection [B S, heads D], normed and rotated: [B, S, heads, D]. */
    private NDArray rotated(NDArray raw, RmsNorm norm, int heads, int batch, Positions positions) {
        return positions.rotate(normed(raw, norm, heads).reshape(batch, -1, heads, spec.headDim()));
    }

    private NDArray normed(NDArray raw, RmsNorm norm, int heads) {
        if (norm == null) {
            return raw;
        }
        return norm.forward(spec.qkNorm() == QkNorm.FULL ? raw : raw.reshape(-1, heads, spec.headDim()));
    }

    /** The gradient of {@link #rotated}: blocks of [B K, ..S, D] back to [B S, heads D]. */
    private NDArray rotatedBack(NDList blocks, NDArray raw, RmsNorm norm, int heads, int batch, Positions positions) {
        try (Scratch scratch = new Scratch()) {
            NDArray d = byToken(NDArrays.concat(blocks, 0), heads, batch);
            NDArray dNormed = positions.rotateBack(d.reshape(batch, -1, heads, spec.headDim()));
            Shape flat = d.getShape();
            if (norm == null) {
                return scratch.keep(dNormed.reshape(flat));
            }
            if (spec.qkNorm() == QkNorm.FULL) {
                return scratch.keep(norm.backward(raw, dNormed.reshape(flat)));
            }
            Shape perHead = new Shape(-1, heads, spec.headDim());
            return scratch.keep(norm.backward(raw.reshape(perHead), dNormed.reshape(perHead)).reshape(flat));
        }
    }

    /** [B, S, heads, D] to [B K, heads / K * S, D]: the queries of one key head lie together. */
    private NDArray byKeyHead(NDArray x, int batch) {
        long s = x.getShape().get(1);
        long group = x.getShape().get(2) / spec.kvHeads();
        return x.transpose(0, 2, 1, 3).reshape((long) batch * spec.kvHeads(), group * s, spec.headDim());
    }

    /** The inverse of {@link #byKeyHead}, flattened: [B S, heads D]. */
    private NDArray byToken(NDArray x, int heads, int batch) {
        return x.reshape(batch, heads, -1, spec.headDim()).transpose(0, 2, 1, 3).reshape(-1, (long) heads * spec.headDim());
    }

    private Iterable<NDIndex> blocks(NDArray keys) {
        long n = keys.getShape().get(0);
        long s = keys.getShape().get(1);
        long group = spec.heads() / spec.kvHeads();
        long atOnce = Math.max(1, SCORES_AT_ONCE / (group * Math.min(s, Positions.QUERIES_AT_ONCE) * s));
        java.util.List<NDIndex> blocks = new java.util.ArrayList<>();
        for (long from = 0; from < n; from += atOnce) {
            blocks.add(new NDIndex().addSliceDim(from, Math.min(n, from + atOnce)));
        }
        return blocks;
    }
}
