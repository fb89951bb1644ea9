package io.espalier.transformer;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;

/**
 * What depends on positions alone, for one sequence length S: the rotary tables (arXiv 2104.09864) and the causal mask.
 *
 * @param cos cosines of position * theta^(-2i/headDim), [1, S, 1, headDim / 2]
 * @param sin sines of the same
 * @param mask of the queries of a block of Q = min(S, {@link #QUERIES_AT_ONCE}) positions and the keys of the same: 0 where a query may look, minus
 *        infinity where it may not, [Q, Q]
 */
record Positions(NDArray cos, NDArray sin, NDArray mask) {

    /** The longest sequence that is taken; what is longer was never computed here. */
    static final int LONGEST = 23_170;

    /** Positions whose queries are computed at once: they look at no key behind the block's end, and those products are not computed. */
    static final int QUERIES_AT_ONCE = 128;

    static Positions of(int length, int headDim, double theta, DataType compute, NDManager manager) {
        int half = headDim / 2;
        double[] cos = new double[length * half];
        double[] sin = new double[length * half];
        int block = Math.min(length, QUERIES_AT_ONCE);
        float[] mask = new float[block * block];
        for (int t = 0; t < length; t++) {
            for (int i = 0; i < half; i++) {
                double angle = t * Math.pow(theta, -2.0 * i / headDim);
                cos[t * half + i] = Math.cos(angle);
                sin[t * half + i] = Math.sin(angle);
            }
        }
        for (int t = 0; t < block; t++) {
            java.util.Arrays.fill(mask, t * block + t + 1, (t + 1) * block, Float.NEGATIVE_INFINITY);
        }
        Shape table = new Shape(1, length, 1, half);
        try (Scratch scratch = new Scratch()) {
            return new Positions(scratch.keep(manager.create(cos, table).toType(compute, false)),
                    scratch.keep(manager.create(sin, table).toType(compute, false)),
                    scratch.keep(manager.create(mask, new Shape(block, block)).toType(compute, false)));
        }
    }

    /** The tables of one position, for a query that looks everywhere. */
    Positions at(int position) {
        NDIndex one = new NDIndex().addAllDim().addSliceDim(position, position + 1);
        return new Positions(cos.get(one), sin.get(one), null);
    }

    /** Rotates the two halves of every head: {@code (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin)}; x is [B, S, heads, headDim]. */
    NDArray rotate(NDArray x) {
        try (Scratch scratch = new Scratch()) {
            NDList halves = x.split(2, 3);
            NDArray x1 = halves.get(0);
            NDArray x2 = halves.get(1);
            return scratch.keep(NDArrays.concat(new NDList(x1.mul(cos).subi(x2.mul(sin)), x2.mul(cos).addi(x1.mul(sin))), 3));
        }
    }

    /** The gradient of {@link #rotate}: rotation is orthogonal, so it is the rotation back. */
    NDArray rotateBack(NDArray dy) {
        try (Scratch scratch = new Scratch()) {
            NDList halves = dy.split(2, 3);
            NDArray d1 = halves.get(0);
            NDArray d2 = halves.get(1);
            return scratch.keep(NDArrays.concat(new NDList(d1.mul(cos).addi(d2.mul(sin)), d2.mul(cos).subi(d1.mul(sin))), 3));
        }
    }
}
