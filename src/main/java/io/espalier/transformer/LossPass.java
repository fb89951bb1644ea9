package io.espalier.transformer;

import java.util.List;
import java.util.function.IntFunction;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;

/**
 * The loss at the top, {@code L = - sum over predicted t of log softmax(W n(x_t))[id_(t+1)]}, and its gradient: a sum, not a mean, so that gradients neither
 * underflow nor depend on how the tokens are cut into batches. Logits exist for a few rows at a time only. Where the head is too large to be loaded whole,
 * it comes in pieces of the vocabulary, twice: once for the normaliser {@code log sum exp}, once for the gradient.
 */
public final class LossPass {

    /** Logits alive at once. */
    private static final long LOGITS_AT_ONCE = 4L << 20;

    private static final int[] LAST = {-1};

    private final Decoder decoder;
    private final List<TokenBatch> batches;
    private final IntFunction<NDArray> outputs;
    private final HiddenStates states;
    private final int gradientSlot;
    private final int pieces;
    private final int piece;

    /**
     * @param outputs of the last layer by micro-batch, [B S, hidden]; called within a scratch
     * @param states where gradients go, or {@code null} when none are wanted
     * @param gradientSlot the slot there
     */
    public LossPass(Decoder decoder, List<TokenBatch> batches, IntFunction<NDArray> outputs, HiddenStates states, int gradientSlot) {
        this.decoder = decoder;
        this.batches = batches;
        this.outputs = outputs;
        this.states = states;
        this.gradientSlot = gradientSlot;
        this.piece = Math.min(decoder.spec().vocabSize(), decoder.compute().headRows());
        this.pieces = Math.ceilDiv(decoder.spec().vocabSize(), piece);
    }

    /**
     * @return negative log-likelihood of each micro-batch, summed over its predicted tokens (nats)
     * @throws NotFiniteException when one is not a number
     */
    public double[] run() {
        double[] losses = new double[batches.size()];
        if (pieces == 1) {
            Head head = decoder.head();
            eachBatch((b, x) -> losses[b] = whole(head, b, x));
        } else {
            NDArray[] normalisers = normalisers(losses);
            if (states != null) {
                gradients(normalisers);
            }
            for (NDArray normaliser : normalisers) {
                normaliser.close();
            }
        }
        for (int b = 0; b < losses.length; b++) {
            NotFiniteException.requireFinite(losses[b], "loss of micro-batch " + b);
        }
        return losses;
    }

    /** With the whole head at hand, loss and gradient come from the same logits. */
    private double whole(Head head, int b, NDArray x) {
        NDArray n = head.normed(x);
        double sum = 0;
        NDList dn = new NDList();
        for (Rows rows : rows(b, x, head)) {
            try (Scratch scratch = new Scratch()) {
                NDArray logP = head.logitsOfNormed(n.get(Head.rows(rows.from(), rows.to()))).logSoftmax(-1);
                Targets targets = targets(b, rows, head, x);
                sum -= wide(logP.gather(targets.ids(), 1).muli(targets.here())).sum().getDouble();
                if (states != null) {
                    dn.add(scratch.keep(head.normedGradient(logitGradient(logP.exp(), targets))));
                }
            }
        }
        if (states != null) {
            states.put(gradientSlot, b, head.inputGradient(x, NDArrays.concat(dn, 0)));
        }
        return sum;
    }

    /** log sum exp of every row over all pieces, [B S, 1] in float64; and the losses. */
    private NDArray[] normalisers(double[] losses) {
        NDArray[] normalisers = new NDArray[batches.size()];
        for (int p = 0; p < pieces; p++) {
            Head head = head(p);
            boolean first = p == 0;
            eachBatch((b, x) -> {
                NDArray n = head.normed(x);
                NDList parts = new NDList();
                for (Rows rows : rows(b, x, head)) {
                    try (Scratch scratch = new Scratch()) {
                        NDArray logits = wide(head.logitsOfNormed(n.get(Head.rows(rows.from(), rows.to()))));
                        Targets targets = targets(b, rows, head, x);
                        losses[b] -= logits.gather(targets.ids(), 1).mul(wide(targets.here())).sum().getDouble();
                        NDArray max = logits.max(LAST, true);
                        parts.add(scratch.keep(logits.sub(max).exp().sum(LAST, true).log().add(max)));
                    }
                }
                NDArray here = NDArrays.concat(parts, 0);
                NDArray both = here;
                if (!first) {
                    // log(e^a + e^b) = max + log(1 + e^-|a - b|)
                    NDArray before = normalisers[b];
                    both = NDArrays.maximum(here, before).add(here.sub(before).abs().neg().exp().add(1).log());
                    before.close();
                }
                ai.djl.ndarray.NDScope.unregister(both);
                normalisers[b] = both;
            });
        }
        eachBatch((b,
                x) -> losses[b] += normalisers[b].mul(wide(predicting(batches.get(b), x.getManager(), x.getDataType()))).sum().getDouble());
        return normalisers;
    }

    private void gradients(NDArray[] normalisers) {
        for (int p = 0; p < pieces; p++) {
            Head head = head(p);
            boolean first = p == 0;
            boolean last = p == pieces - 1;
            eachBatch((b, x) -> {
                NDArray n = head.normed(x);
                NDList dn = new NDList();
                for (Rows rows : rows(b, x, head)) {
                    try (Scratch scratch = new Scratch()) {
                        NDArray logits = head.logitsOfNormed(n.get(Head.rows(rows.from(), rows.to())));
                        NDArray normaliser = normalisers[b].get(Head.rows(rows.from(), rows.to())).toType(x.getDataType(), false);
                        dn.add(scratch.keep(
                                head.normedGradient(logitGradient(logits.sub(normaliser).exp(), targets(b, rows, head, x)))));
                    }
                }
                NDArray sum = NDArrays.concat(dn, 0);
                if (!first) {
                    NDArray before = states.get(gradientSlot, b, (int) x.getShape().get(0), decoder.spec().hiddenSize(), decoder.manager());
                    sum.addi(before);
                    before.close();
                }
                states.put(gradientSlot, b, last ? head.inputGradient(x, sum) : sum);
            });
        }
    }

    /** dL/dlogits = softmax - onehot(target), nothing where nothing is predicted; p is changed. */
    private static NDArray logitGradient(NDArray p, Targets targets) {
        NDArray chosen = p.gather(targets.ids(), 1).sub(targets.here());
        return p.scatter(targets.ids(), chosen, 1).muli(targets.predicting());
    }

    private Head head(int p) {
        return decoder.head(p * piece, Math.min(decoder.spec().vocabSize(), (p + 1) * piece));
    }

    private interface Each {
        void of(int batch, NDArray x);
    }

    private void eachBatch(Each task) {
        decoder.lanes().forEach(batches.size(), b -> {
            try (Scratch _ = new Scratch()) {
                task.of(b, outputs.apply(b));
            }
        }, _ -> {});
    }

    private record Rows(int from, int to) {}

    private List<Rows> rows(int b, NDArray x, Head head) {
        int all = (int) x.getShape().get(0);
        int atOnce = (int) Math.max(1, LOGITS_AT_ONCE / head.tokens());
        return java.util.stream.IntStream.iterate(0, from -> from < all, from -> from + atOnce)
                .mapToObj(from -> new Rows(from, Math.min(all, from + atOnce))).toList();
    }

    /**
     * Which token each row is asked for.
     *
     * @param ids the next token counted from the head's first one, 0 where it is not among the head's, [n, 1]
     * @param here 1 where there is a next token and it is among the head's, else 0, [n, 1]
     * @param predicting 1 where there is a next token, else 0, [n, 1]
     */
    private record Targets(NDArray ids, NDArray here, NDArray predicting) {}

    private Targets targets(int b, Rows rows, Head head, NDArray x) {
        TokenBatch batch = batches.get(b);
        int s = batch.sequenceLength();
        int count = rows.to() - rows.from();
        long[] ids = new long[count];
        float[] here = new float[count];
        for (int row = rows.from(); row < rows.to(); row++) {
            if (predicts(batch, row)) {
                int id = batch.ids()[row / s][row % s + 1] - head.firstToken();
                boolean among = id >= 0 && id < head.tokens();
                ids[row - rows.from()] = among ? id : 0;
                here[row - rows.from()] = among ? 1 : 0;
            }
        }
        Shape column = new Shape(count, 1);
        NDManager manager = x.getManager();
        return new Targets(manager.create(ids, column), manager.create(here, column).toType(x.getDataType(), false),
                predicting(batch, manager, x.getDataType()).get(Head.rows(rows.from(), rows.to())));
    }

    private static NDArray predicting(TokenBatch batch, NDManager manager, DataType type) {
        float[] predicting = new float[batch.sequences() * batch.sequenceLength()];
        for (int row = 0; row < predicting.length; row++) {
            predicting[row] = predicts(batch, row) ? 1 : 0;
        }
        return manager.create(predicting, new Shape(predicting.length, 1)).toType(type, false);
    }

    private static boolean predicts(TokenBatch batch, int row) {
        return row % batch.sequenceLength() + 1 < batch.lengths()[row / batch.sequenceLength()];
    }

    private static NDArray wide(NDArray x) {
        return x.toType(DataType.FLOAT64, false);
    }
}
