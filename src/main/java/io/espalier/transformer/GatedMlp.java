package io.espalier.transformer;

import java.util.ArrayList;
import java.util.List;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;

/**
 * Gated MLP, {@code E(x) = W_d a(x)} with {@code a(x) = silu(W_g x) * (W_u x)}: an expert, a shared expert, or a dense layer's MLP. Its arithmetic is in
 * {@link Kernels}.
 *
 * <p>
 * A wide one is computed as the sum of narrow ones, {@code E(x) = sum over p of W_d[:, p] a_p(x)}, p the {@link #ATOMS_AT_ONCE} atoms of a piece: what is
 * made of one and the same activations then stays in the processor's cache, and the memory for it is a piece's.
 *
 * @param gate W_g, [width, hidden]; {@code null} where only the down projection was loaded
 * @param up W_u, [width, hidden]; likewise
 * @param down W_d, [hidden, width]
 */
record GatedMlp(NDArray gate, NDArray up, NDArray down) {

    /** Width of a piece. Of the width alone, so that neither lanes nor memory change a bit. */
    static final int ATOMS_AT_ONCE = 1408;

    /** Input of the down projection: x [n, hidden] to a [n, width], in the weights' type. */
    NDArray activations(NDArray x) {
        return Kernels.activations(x, gate, up);
    }

    /** E(x), [n, hidden]. */
    NDArray forward(NDArray x) {
        return forward(x, null, 0);
    }

    /** The same, leaving g and u of each piece on a tape, the first as part {@code mlp}. */
    NDArray forward(NDArray x, Tapes.Slot tapes, int mlp) {
        try (Scratch scratch = new Scratch()) {
            NDArray xw = Kernels.cast(x, gate);
            NDArray y = null;
            int part = mlp;
            for (GatedMlp piece : pieces()) {
                try (Scratch inner = new Scratch()) {
                    NDArray a = tapes == null ? piece.activations(xw) : piece.activations(xw, tapes, part++);
                    NDArray e = Kernels.project(a, piece.down, x);
                    y = y == null ? inner.keep(e) : y.addi(e);
                }
            }
            return scratch.keep(y);
        }
    }

    private NDArray activations(NDArray xw, Tapes.Slot tapes, int part) {
        NDList taped = Kernels.taped(xw, gate, up);
        tapes.put(part, new NDList(taped.get(1), taped.get(2)));
        return taped.get(0);
    }

    /**
     * What the reverse pass gives.
     *
     * @param dr gradient of r, [n, 1]
     * @param dx gradient of x, [n, hidden]
     */
    record Reverse(NDArray dr, NDArray dx) {}

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
        try (Scratch scratch = new Scratch()) {
            NDArray xw = Kernels.cast(x, gate);
            NDArray dyw = Kernels.cast(dy, gate);
            NDArray dr = null;
            NDArray dx = null;
            int part = mlp;
            for (GatedMlp piece : pieces()) {
                try (Scratch inner = new Scratch()) {
                    NDList gu = tapes == null ? piece.record(xw) : tapes.take(part++);
                    NDList results = Kernels.reverse(gu.get(0), gu.get(1), dyw, r, piece.gate, piece.up, piece.down);
                    dr = dr == null ? inner.keep(results.get(0)) : dr.addi(results.get(0));
                    dx = dx == null ? inner.keep(results.get(1)) : dx.addi(results.get(1));
                }
            }
            return new Reverse(scratch.keep(dr), scratch.keep(dx));
        }
    }

    /** g and u computed anew, the same operations in the same order. */
    private NDList record(NDArray xw) {
        return new NDList(Kernels.linear(xw, gate), Kernels.linear(xw, up));
    }

    private List<GatedMlp> pieces() {
        if (gate.getShape().get(0) <= ATOMS_AT_ONCE) {
            return List.of(this);
        }
        NDList gates = Kernels.split(gate, ATOMS_AT_ONCE, 0);
        NDList ups = Kernels.split(up, ATOMS_AT_ONCE, 0);
        NDList downs = Kernels.split(down, ATOMS_AT_ONCE, 1);
        List<GatedMlp> pieces = new ArrayList<>();
        for (int p = 0; p < gates.size(); p++) {
            pieces.add(new GatedMlp(gates.get(p), ups.get(p), downs.get(p)));
        }
        return pieces;
    }
}
