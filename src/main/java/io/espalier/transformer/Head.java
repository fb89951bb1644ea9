package io.espalier.transformer;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.index.NDIndex;

/**
 * Final norm and language-model head, or some rows of it: {@code logits = W n(x)}. {@link LossPass} makes the loss of it.
 */
public final class Head {

    private final RmsNorm norm;
    private final NDArray weight;
    private final int firstToken;

    /** @param firstToken id of the token that row 0 of the weight stands for */
    Head(RmsNorm norm, NDArray weight, int firstToken) {
        this.norm = norm;
        this.weight = weight;
        this.firstToken = firstToken;
    }

    /** Final norm of x, [n, hidden]. */
    public NDArray normed(NDArray x) {
        return norm.forward(x);
    }

    /** Logits of x, [n, hidden] to [n, tokens of this head]; for a few rows. */
    public NDArray logits(NDArray x) {
        return logitsOfNormed(norm.forward(x));
    }

    NDArray logitsOfNormed(NDArray n) {
        return Kernels.linear(n, weight);
    }

    /** Back from logits to n. */
    NDArray normedGradient(NDArray dLogits) {
        return Kernels.times(dLogits, weight);
    }

    /** Back from n to x. */
    NDArray inputGradient(NDArray x, NDArray dn) {
        return norm.backward(x, dn);
    }

    int firstToken() {
        return firstToken;
    }

    int tokens() {
        return (int) weight.getShape().get(0);
    }

    static NDIndex rows(long from, long to) {
        return new NDIndex().addSliceDim(from, to);
    }
}
