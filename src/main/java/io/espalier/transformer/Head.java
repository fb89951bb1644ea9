package io.espalier.transformer;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;

/**
 * Final norm, language-model head and loss: {@code L = - sum over predicted t of log softmax(W n(x_t))[id_(t+1)]}, a sum, not a mean, so that
 * gradients neither underflow nor depend on how the tokens are cut into batches. Logits exist for a few rows at a time only.
 */
public final class Head {

    /** Logits alive at once. */
    private static final long LOGITS_AT_ONCE = 16L << 20;

    private final RmsNorm norm;
    private final NDArray weight;

    Head(RmsNorm norm, NDArray weight) {
        this.norm = norm;
        this.weight = weight;
    }

    /**
     * The loss of a micro-batch.
     *
     * @param negativeLogLikelihood summed over the predicted tokens (nats)
     * @param dx its gradient with respect to the last layer's output, [B S, hidden]; {@code null} when not asked for
     */
    public record Loss(double negativeLogLikelihood, NDArray dx) {}

    /** Final norm of x, [n, hidden]. */
    public NDArray normed(NDArray x) {
        return norm.forward(x);
    }

    /** Logits of x, [n, hidden] to [n, vocabulary]; for a few rows. */
    public NDArray logits(NDArray x) {
        return Kernels.linear(norm.forward(x), weight);
    }

    /**
     * @param x output of the last layer, [B S, hidden]
     * @param withGradient whether dx is wanted
     * @throws NotFiniteException when the loss is not a number
     */
    public Loss loss(NDArray x, TokenBatch batch, boolean withGradient) {
        try (Scratch scratch = new Scratch()) {
            NDArray n = norm.forward(x);
            long rows = n.getShape().get(0);
            long atOnce = Math.max(1, LOGITS_AT_ONCE / weight.getShape().get(0));
            double sum = 0;
            NDList dn = new NDList();
            for (long from = 0; from < rows; from += atOnce) {
                NDIndex chunk = new NDIndex().addSliceDim(from, Math.min(rows, from + atOnce));
                try (Scratch inner = new Scratch()) {
                    Targets targets = Targets.of(batch, (int) from, (int) Math.min(rows, from + atOnce), x.getManager(), x.getDataType());
                    NDArray logProbabilities = Kernels.linear(n.get(chunk), weight).logSoftmax(-1);
                    NDArray chosen = logProbabilities.gather(targets.ids(), 1).muli(targets.counts());
                    sum -= chosen.toType(DataType.FLOAT64, false).sum().getDouble();
                    if (withGradient) {
                        // dL/dlogits = softmax - onehot(target), nothing where nothing is predicted
                        NDArray p = logProbabilities.exp();
                        NDArray dLogits = p.scatter(targets.ids(), p.gather(targets.ids(), 1).sub(1), 1).muli(targets.counts());
                        dn.add(inner.keep(Kernels.times(dLogits, weight)));
                    }
                }
            }
            NotFiniteException.requireFinite(sum, "loss");
            NDArray dx = withGradient ? scratch.keep(norm.backward(x, NDArrays.concat(dn, 0))) : null;
            return new Loss(sum, dx);
        }
    }

    /**
     * Which token each row is asked for.
     *
     * @param ids the next token, [n, 1]
     * @param counts 1 where there is one, else 0, [n, 1]
     */
    private record Targets(NDArray ids, NDArray counts) {

        static Targets of(TokenBatch batch, int from, int to, NDManager manager, DataType compute) {
            int s = batch.sequenceLength();
            long[] ids = new long[to - from];
            float[] counts = new float[to - from];
            for (int row = from; row < to; row++) {
                boolean predicts = row % s + 1 < batch.lengths()[row / s];
                ids[row - from] = predicts ? batch.ids()[row / s][row % s + 1] : 0;
                counts[row - from] = predicts ? 1 : 0;
            }
            Shape column = new Shape(to - from, 1);
            return new Targets(manager.create(ids, column), manager.create(counts, column).toType(compute, false));
        }
    }
}
