package io.espalier.transformer;

import ai.djl.ndarray.NDArray;

/**
 * Numbers of some routed experts of a layer for the tokens that a micro-batch sent to them, expert after expert.
 *
 * @param layer decoder layer
 * @param experts indices in that layer
 * @param counts rows of each expert
 * @param values [rows, width]; the experts have one width
 */
public record ExpertRows(int layer, int[] experts, long[] counts, NDArray values) {

    /** Squares summed over the rows of each expert, in float64, [expert][width]. */
    public double[][] sumsOfSquares() {
        try (Scratch _ = new Scratch()) {
            double[] sums = Kernels.sumsOfSquares(values, counts).toDoubleArray();
            int width = sums.length / experts.length;
            double[][] each = new double[experts.length][];
            for (int i = 0; i < each.length; i++) {
                each[i] = java.util.Arrays.copyOfRange(sums, i * width, (i + 1) * width);
            }
            return each;
        }
    }
}
