package io.espalier.transformer;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;

/**
 * Gated MLP, {@code E(x) = W_d a(x)} with {@code a(x) = silu(W_g x) * (W_u x)}: an expert, a shared expert, or a dense layer's MLP. Its arithmetic is in
 * {@link Kernels}.
 *
 * @param gate W_g, [width, hidden]; {@code null} where only the down projection was loaded
 * @param up W_u, [width, hidden]; likewise
 * @param down W_d, [hidden, width]
 */
record GatedMlp(NDArray gate, NDArray up, NDArray down) {

    /** Input of the down projection: x [n, hidden] to a [n, width], in the weights' type. */
    NDArray activations(NDArray x) {
        return Kernels.activations(x, gate, up);
    }

    /** The same, leaving on the tape what it was made of. */
    NDArray activations(NDArray x, Tapes.Slot tapes, int mlp) {
        if (tapes == null) {
            return activations(x);
        }
        NDList taped = Kernels.taped(x, gate, up);
        tapes.put(mlp, new NDList(taped.get(1), taped.get(2)));
        return taped.get(0);
    }

    /** E(x), [n, hidden]. */
    NDArray forward(NDArray x) {
        return forward(x, null, 0);
    }

    /** The same, leaving a tape. */
    NDArray forward(NDArray x, Tapes.Slot tapes, int mlp) {
        return Kernels.project(activations(x, tapes, mlp), down, x);
    }

    /**
     * What the reverse pass gives.
     *
     * @param a input of the down projection, [n, width]
     * @param da its gradient, r included, [n, width]
     * @param dr gradient of r, [n, 1]
     * @param dx gradient of x, [n, hidden]
     */
    record Reverse(NDArray a, NDArray da, NDArray dr, NDArray dx) {}

    /**
     * Forward was {@code y += r E(x)}; what is not on the tape is computed anew.
     *
     * <pre>
     *   g = W_g x, u = W_u x                            from the tape, or as forward
     *   s = silu(g), a = s u                            as forward
     *   da0 = W_d' dy                                   so dr = dy . E = a . da0, and E itself is not needed again
     *   da = r da0
     *   du = da s,  dg = da u silu'(g)
     *   dx = W_g' dg + W_u' du
     * </pre>
     *
     * @param x [n, hidden]
     * @param dy gradient of y, [n, hidden]
     * @param r [n, 1]
     * @param tapes where forward left g and u, or {@code null} when it did not
     */
    Reverse reverse(NDArray x, NDArray dy, NDArray r, Tapes.Slot tapes, int mlp) {
        NDList gu = tapes == null ? record(x) : tapes.take(mlp);
        NDList results = Kernels.reverse(gu.get(0), gu.get(1), dy, r, gate, up, down);
        return new Reverse(results.get(0), results.get(1), results.get(2), results.get(3));
    }

    /** g and u computed anew, the same operations in the same order. */
    private NDList record(NDArray x) {
        NDArray xw = Kernels.cast(x, gate);
        return new NDList(Kernels.linear(xw, gate), Kernels.linear(xw, up));
    }
}
