package io.espalier.transformer;

import ai.djl.ndarray.NDArray;

/**
 * Root-mean-square norm (arXiv 1910.07467): {@code y = w * n} with {@code n = x / sqrt(mean(x^2) + eps)} over the last axis.
 *
 * @param weight w, [width]
 * @param eps added under the root
 */
record RmsNorm(NDArray weight, double eps) {

    private static final int[] LAST = {-1};

    /** [.., width] to the same shape. */
    NDArray forward(NDArray x) {
        try (Scratch scratch = new Scratch()) {
            return scratch.keep(x.div(root(x)).muli(weight));
        }
    }

    /** {@code dx = (dn - n * mean(dn * n)) / sqrt(mean(x^2) + eps)} with {@code dn = dy * w}. */
    NDArray backward(NDArray x, NDArray dy) {
        try (Scratch scratch = new Scratch()) {
            NDArray root = root(x);
            NDArray n = x.div(root);
            NDArray dn = dy.mul(weight);
            NDArray mean = dn.mul(n).mean(LAST, true);
            return scratch.keep(dn.subi(n.muli(mean)).divi(root));
        }
    }

    private NDArray root(NDArray x) {
        return x.square().mean(LAST, true).add(eps).sqrt();
    }
}
