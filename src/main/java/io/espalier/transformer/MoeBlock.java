package io.espalier.transformer;

import java.util.List;
import java.util.function.Consumer;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;

/**
 * Mixture of experts: {@code y = sum over the K experts e with the largest p_e of r_e E_e(x)}, {@code p = softmax(W_r x)}, {@code r_e = p_e} or
 * {@code p_e / sum of the selected}; plus, where there is one, a shared expert, perhaps scaled by {@code sigmoid(w x)}.
 *
 * @param router W_r, [experts, hidden]
 * @param spec how many are selected and whether their probabilities are normalised
 * @param experts lends them one by one
 * @param shared the MLP every token passes, or {@code null}
 * @param sharedGate w, [1, hidden], or {@code null}
 */
record MoeBlock(NDArray router, DecoderSpec.Moe spec, Experts experts, GatedMlp shared, NDArray sharedGate, int layer) {

    private static final int[] LAST = {-1};

    /** The routed experts of a layer. Several lanes may borrow at once. */
    @FunctionalInterface
    interface Experts {

        /** Lends an expert for the length of the call. */
        void use(int expert, Consumer<GatedMlp> borrower);
    }

    /** The tokens of one expert: their rows in x, and the slots row * K + rank of their router weights. */
    private record Routed(long[] rows, long[] slots) {}

    /**
     * @param x [T, hidden]
     * @param batch says which rows are padding
     * @return y [T, hidden] and the selected experts, [T * K], -1 for padding
     */
    DecoderLayer.Result forward(NDArray x, TokenBatch batch, ExpertObserver observer) {
        NDArray p = Kernels.linear(x, router).softmax(-1);
        int[] selected = select(p, batch);
        NDArray r = weights(p, selected).reshape(-1, 1);
        NDArray y = x.zerosLike();
        List<Routed> routed = group(selected);
        for (int e = 0; e < routed.size(); e++) {
            if (routed.get(e).rows().length == 0) {
                continue;
            }
            try (Scratch _ = new Scratch()) {
                int index = e;
                NDArray rows = x.getManager().create(routed.get(e).rows());
                NDArray slots = x.getManager().create(routed.get(e).slots());
                NDArray xe = Kernels.rows(x, rows);
                NDArray re = Kernels.rows(r, slots);
                experts.use(e, expert -> {
                    NDArray a = expert.activations(xe);
                    observer.forward(layer, index, a);
                    Kernels.projectRows(y, rows, a, expert.down(), re);
                });
            }
        }
        if (shared != null) {
            NDArray s = shared.forward(x);
            y.addi(sharedGate == null ? s : s.muli(sharedWeight(x)));
        }
        return new DecoderLayer.Result(y, selected);
    }

    /**
     * @param x what went forward
     * @param dy gradient of y
     * @param selected as the forward pass chose; recomputed probabilities could tie differently
     * @return gradient of x, [T, hidden]
     */
    NDArray backward(NDArray x, NDArray dy, int[] selected, ExpertObserver observer) {
        NDArray p = Kernels.linear(x, router).softmax(-1);
        NDArray r = weights(p, selected).reshape(-1, 1);
        NDArray dx = x.zerosLike();
        NDArray dr = r.zerosLike();
        List<Routed> routed = group(selected);
        for (int e = 0; e < routed.size(); e++) {
            if (routed.get(e).rows().length == 0) {
                continue;
            }
            try (Scratch _ = new Scratch()) {
                int index = e;
                NDArray rows = x.getManager().create(routed.get(e).rows());
                NDArray slots = x.getManager().create(routed.get(e).slots());
                NDArray xe = Kernels.rows(x, rows);
                NDArray dye = Kernels.rows(dy, rows);
                NDArray re = Kernels.rows(r, slots);
                experts.use(e, expert -> {
                    GatedMlp.Reverse reverse = expert.reverse(xe, dye, re);
                    observer.backward(layer, index, reverse.a(), reverse.da());
                    Kernels.addRows(dr, slots, reverse.dr());
                    Kernels.addRows(dx, rows, reverse.dx());
                });
            }
        }
        dx.addi(Kernels.times(routerGradient(p, selected, dr), router));
        if (shared != null) {
            dx.addi(sharedGradient(x, dy));
        }
        return dx;
    }

    /** The gradient of W_r x. With normalisation r = p / s: dp = (dr - dr . r) / s; then through the softmax: p (dp - dp . p). */
    private NDArray routerGradient(NDArray p, int[] selected, NDArray dr) {
        NDArray slots = index(p.getManager(), selected);
        NDArray dSelected = dr.reshape(-1, spec.topK());
        if (spec.normTopK()) {
            NDArray chosen = p.gather(slots, 1);
            NDArray sum = chosen.sum(LAST, true).add(spec.normEps());
            NDArray weights = chosen.div(sum);
            dSelected = dSelected.sub(dSelected.mul(weights).sum(LAST, true)).div(sum);
        }
        NDArray dp = p.zerosLike().scatter(slots, dSelected, 1);
        return dp.sub(dp.mul(p).sum(LAST, true)).mul(p);
    }

    private NDArray sharedWeight(NDArray x) {
        return Kernels.linear(x, sharedGate).getNDArrayInternal().sigmoid();
    }

    /** Forward was y += g E(x), g = sigmoid(w x) or 1; the sigmoid's slope is g (1 - g). */
    private NDArray sharedGradient(NDArray x, NDArray dy) {
        if (sharedGate == null) {
            return shared.reverse(x, dy, DecoderLayer.ones(x)).dx();
        }
        NDArray g = sharedWeight(x);
        GatedMlp.Reverse reverse = shared.reverse(x, dy, g);
        NDArray dz = reverse.dr().mul(g).mul(g.neg().add(1));
        return reverse.dx().addi(Kernels.times(dz, sharedGate));
    }

    /** The K most probable experts of each row, best first, [T * K]; -1 for padding. */
    private int[] select(NDArray p, TokenBatch batch) {
        long[] best = p.topK(spec.topK(), -1, true, true).get(1).toLongArray();
        int[] selected = new int[best.length];
        for (int slot = 0; slot < best.length; slot++) {
            selected[slot] = batch.real(slot / spec.topK()) ? (int) best[slot] : -1;
        }
        return selected;
    }

    /** r, [T, K]. */
    private NDArray weights(NDArray p, int[] selected) {
        NDArray chosen = p.gather(index(p.getManager(), selected), 1);
        return spec.normTopK() ? chosen.div(chosen.sum(LAST, true).add(spec.normEps())) : chosen;
    }

    /** Indices for a gather: padding reads expert 0, and nobody looks at what it read. */
    private NDArray index(NDManager manager, int[] selected) {
        long[] index = new long[selected.length];
        for (int i = 0; i < index.length; i++) {
            index[i] = Math.max(0, selected[i]);
        }
        return manager.create(index, new Shape(index.length / spec.topK(), spec.topK()));
    }

    private List<Routed> group(int[] selected) {
        int[] count = new int[spec.experts().size()];
        for (int e : selected) {
            if (e >= 0) {
                count[e]++;
            }
        }
        List<Routed> groups = new java.util.ArrayList<>(spec.experts().size());
        for (int n : count) {
            groups.add(new Routed(new long[n], new long[n]));
        }
        java.util.Arrays.fill(count, 0);
        for (int slot = 0; slot < selected.length; slot++) {
            int e = selected[slot];
            if (e >= 0) {
                groups.get(e).rows()[count[e]] = slot / spec.topK();
                groups.get(e).slots()[count[e]++] = slot;
            }
        }
        return groups;
    }
}
