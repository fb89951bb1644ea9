package io.espalier.transformer;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;

/**
 * Gated MLP, {@code E(x) = W_d a(x)} with {@code a(x) = silu(W_g x) * (W_u x)}: an expert, a shared expert, or a dense layer's MLP. Its arithmetic is in
 * {@link Kernels}.
 *
 * @param gate W_g, [width, hidden]
 * @param up W_u, [width, hidden]
 * @param down W_d, [hidden, width]
 */
record GatedMlp(NDArray gate, NDArray up, NDArray down) {

    /** Input of the down projection: x [n, hidden] to a [n, width], in the weights' type. */
    NDArray activations(NDArray x) {
        return Kernels.activations(x, gate, up);
    }

    /** E(x), [n, hidden]. */
    NDArray forward(NDArray x) {
        return Kernels.project(activations(x), down, x);
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
     * Forward was {@code y += r E(x)}; everything between x and y is computed anew.
     *
     * <pre>
     *   g = W_g x, u = W_u x, s = silu(g), a = s u      as forward
     *   da0 = W_d' dy                                   so dr = dy . E = a . da0, and E itself is not needed again
     *   da = r da0
     *   du = da s,  dg = da u silu'(g)
     *   dx = W_g' dg + W_u' du
     * </pre>
     *
     * @param x [n, hidden]
     * @param dy gradient of y, [n, hidden]
     * @param r [n, 1]
     */
    Reverse reverse(NDArray x, NDArray dy, NDArray r) {
        NDList results = Kernels.reverse(x, dy, r, gate, up, down);
        return new Reverse(results.get(0), results.get(1), results.get(2), results.get(3));
    }
}
