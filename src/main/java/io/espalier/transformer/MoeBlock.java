package io.espalier.transformer;

import java.util.List;
import java.util.function.Consumer;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.espalier.architecture.DecoderSpec;

/**
 * Mixture of experts: {@code y = sum over the K experts e with the largest p_e of r_e E_e(x)}, {@code p = softmax(W_r x)}, {@code r_e = p_e} or
 * {@code p_e / sum of the selected}; plus, where there is one, a shared expert, perhaps scaled by {@code sigmoid(w x)}.
 *
 * @param router W_r, [experts, hidden]; {@code null} where nothing is asked but {@link #backwardToExperts}
 * @param removed added to W_r x, [experts]: minus infinity for experts that a plan has removed; {@code null} when it removes none
 * @param spec how many are selected and whether their probabilities are normalised
 * @param experts lends them, some at a time
 * @param shared the MLP every token passes, or {@code null}
 * @param sharedGate w, [1, hidden], or {@code null}
 * @param weightsAtOnce how large a group of experts may be, see {@link ExpertGroup}
 */
record MoeBlock(NDArray router, NDArray removed, DecoderSpec.Moe spec, Experts experts, GatedMlp shared, NDArray sharedGate, int layer,
        long weightsAtOnce) {

    private static final int[] LAST = {-1};

    /** The routed experts of a layer. Several lanes may borrow at once. */
    interface Experts {

        /** Atoms of an expert. */
        int width(int expert);

        /** Lends some experts for the length of the call. */
        void use(int[] experts, Consumer<List<GatedMlp>> borrower);
    }

    /** What happens to some experts and their tokens. */
    @FunctionalInterface
    private interface Visit {
        void of(ExpertGroup group, Kernels.Routed routed, List<GatedMlp> experts);
    }

    /**
     * @param x [T, hidden]
     * @param batch says which rows are padding
     * @param tapes where to leave what the reverse pass needs again, or {@code null}
     * @return y [T, hidden], the selected experts, [T * K], -1 for padding, and r, [T * K, 1]
     */
    DecoderLayer.Result forward(NDArray x, TokenBatch batch, ExpertObserver observer, Tapes.Slot tapes) {
        NDArray p = probabilities(x);
        int[] selected = select(p, batch);
        NDArray r = weights(p, selected).reshape(-1, 1);
        NDArray y = x.zerosLike();
        eachGroup(selected, x, (group, routed, some) -> {
            NDList gu = Kernels.gated(x, routed, some);
            NDArray a = Kernels.gate(gu.get(0), gu.get(1), tapes != null);
            observer.forward(seen(group, a));
            Kernels.projectRows(y, a, routed, some, r);
            if (tapes != null) {
                tapes.put(group.first(), gu);
            }
        });
        if (shared != null) {
            try (Scratch _ = new Scratch()) {
                NDArray s = shared.forward(x, tapes, sharedTape());
                y.addi(sharedGate == null ? s : s.muli(sharedWeight(x)));
            }
        }
        return new DecoderLayer.Result(y, selected, r);
    }

    /**
     * @param x what went forward
     * @param dy gradient of y
     * @param selected as the forward pass chose; recomputed probabilities could tie differently
     * @param tapes what the forward pass left, or {@code null}
     * @return gradient of x, [T, hidden]
     */
    NDArray backward(NDArray x, NDArray dy, int[] selected, ExpertObserver observer, Tapes.Slot tapes) {
        NDArray p = probabilities(x);
        NDArray r = weights(p, selected).reshape(-1, 1);
        NDArray dx = x.zerosLike();
        NDArray dr = r.zerosLike();
        eachGroup(selected, x, (group, routed, some) -> {
            NDList gu = tapes == null ? Kernels.gated(x, routed, some) : tapes.take(group.first());
            NDList reverse = Kernels.reverseRows(dx, dr, gu, dy, routed, some, r);
            observer.backward(seen(group, reverse.get(0)), seen(group, reverse.get(1)));
        });
        dx.addi(Kernels.times(routerGradient(p, selected, dr), router));
        if (shared != null) {
            try (Scratch _ = new Scratch()) {
                dx.addi(sharedGradient(x, dy, tapes));
            }
        }
        return dx;
    }

    /**
     * Reverse no further than to the routed experts' da, where nothing below wants a gradient: one product an expert instead of three (five without a tape),
     * and neither router nor shared expert.
     *
     * @param r the router's weights as {@link #forward} returned them
     */
    void backwardToExperts(NDArray dy, int[] selected, NDArray r, ExpertObserver observer) {
        eachGroup(selected, dy, (group, routed, some) -> observer
                .gradient(seen(group, Kernels.reverseToActivations(dy, routed, some, r))));
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

    /** p, [T, experts]. */
    private NDArray probabilities(NDArray x) {
        NDArray logits = Kernels.linear(x, router);
        return (removed == null ? logits : logits.addi(removed)).softmax(-1);
    }

    /** The shared expert's tape comes after the routed ones'. */
    private int sharedTape() {
        return spec.experts().size();
    }

    private NDArray sharedWeight(NDArray x) {
        return Kernels.linear(x, sharedGate).getNDArrayInternal().sigmoid();
    }

    /** Forward was y += g E(x), g = sigmoid(w x) or 1; the sigmoid's slope is g (1 - g). */
    private NDArray sharedGradient(NDArray x, NDArray dy, Tapes.Slot tapes) {
        if (sharedGate == null) {
            return shared.reverse(x, dy, DecoderLayer.ones(x), tapes, sharedTape()).dx();
        }
        NDArray g = sharedWeight(x);
        GatedMlp.Reverse reverse = shared.reverse(x, dy, g, tapes, sharedTape());
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

    private ExpertRows seen(ExpertGroup group, NDArray values) {
        return new ExpertRows(layer, group.experts(), group.counts(), values);
    }

    /** Visits every expert that some token selected, some at a time. */
    private void eachGroup(int[] selected, NDArray x, Visit visit) {
        NDManager manager = x.getManager();
        int hidden = (int) x.getShape().get(1);
        for (ExpertGroup group : ExpertGroup.of(selected, spec.topK(), spec.experts().size(), experts::width, hidden, weightsAtOnce)) {
            try (Scratch _ = new Scratch()) {
                Kernels.Routed routed = new Kernels.Routed(manager.create(group.rows()), manager.create(group.slots()), group.counts());
                experts.use(group.experts(), some -> visit.of(group, routed, some));
            }
        }
    }
}
