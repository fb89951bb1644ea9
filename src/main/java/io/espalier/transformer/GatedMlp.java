package io.espalier.transformer;

import ai.djl.ndarray.NDArray;

/**
 * Gated MLP, {@code E(x) = W_d a(x)} with {@code a(x) = silu(W_g x) * (W_u x)}: an expert, a shared expert, or a dense layer's MLP.
 *
 * @param gate W_g, [width, hidden]
 * @param up W_u, [width, hidden]
 * @param down W_d, [hidden, width]
 */
record GatedMlp(NDArray gate, NDArray up, NDArray down) {

    /** @param width atoms */
    boolean isEmpty() {
        return gate.getShape().get(0) == 0;
    }

    /** Input of the down projection: x [n, hidden] to a [n, width]. */
    NDArray activations(NDArray x) {
        NDArray g = linear(x, gate);
        return g.mul(sigmoid(g)).muli(linear(x, up));
    }

    /** a [n, width] to E [n, hidden]. */
    NDArray project(NDArray a) {
        return linear(a, down);
    }

    /**
     * What the backward pass needs of the forward pass, computed anew from x.
     *
     * @param g W_g x, [n, width]
     * @param s sigmoid(g)
     * @param u W_u x
     * @param a silu(g) * u
     */
    record Tape(NDArray g, NDArray s, NDArray u, NDArray a) {}

    Tape record(NDArray x) {
        NDArray g = linear(x, gate);
        NDArray s = sigmoid(g);
        NDArray u = linear(x, up);
        return new Tape(g, s, u, g.mul(s).muli(u));
    }

    /** {@code da = W_d' dE}: dE [n, hidden] to [n, width]. */
    NDArray activationGradient(NDArray de) {
        return de.matMul(down);
    }

    /**
     * From da to dx. Forward was {@code a = g s u} with {@code s = sigmoid(g)}, so
     * {@code du = da g s}, {@code dg = da u s (1 + g (1 - s))}, {@code dx = W_g' dg + W_u' du}.
     */
    NDArray inputGradient(Tape tape, NDArray da) {
        NDArray das = da.mul(tape.s());
        NDArray du = das.mul(tape.g());
        NDArray slope = tape.s().neg().addi(1).muli(tape.g()).addi(1);
        NDArray dg = das.muli(tape.u()).muli(slope);
        return dg.matMul(gate).addi(du.matMul(up));
    }

    static NDArray linear(NDArray x, NDArray weight) {
        return x.getNDArrayInternal().linear(x, weight, null).get(0);
    }

    static NDArray linear(NDArray x, NDArray weight, NDArray bias) {
        return x.getNDArrayInternal().linear(x, weight, bias).get(0);
    }

    static NDArray sigmoid(NDArray x) {
        return x.getNDArrayInternal().sigmoid();
    }
}
