package io.espalier.transformer;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.espalier.architecture.DecoderSpec.Dense;
import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.architecture.DecoderSpec.Moe;

/**
 * One decoder layer: {@code h = x + attention(norm1(x))}, {@code y = h + mlp(norm2(h))}.
 */
public final class DecoderLayer {

    /**
     * What a layer makes of a micro-batch.
     *
     * @param y the next layer's input, [B S, hidden]
     * @param selected experts of each row, [B S * K], -1 for padding; {@code null} for a dense layer
     * @param routerWeights of those, [B S * K, 1]; {@code null} for a dense layer
     */
    public record Result(NDArray y, int[] selected, NDArray routerWeights) {}

    /** How much of a layer is loaded. */
    public enum Part {
        WHOLE,
        /** The routed experts' down projections: all that {@link #backwardToExperts} looks at, and all that may be called then. */
        DOWN
    }

    private final LayerSpec spec;
    private final Decoder decoder;
    private final RmsNorm norm1;
    private final Attention attention;
    private final RmsNorm norm2;
    private final GatedMlp dense;
    private final MoeBlock moe;

    DecoderLayer(Decoder decoder, LayerSpec spec, Weights weights) {
        this.spec = spec;
        this.decoder = decoder;
        double eps = decoder.spec().rmsNormEps();
        this.norm1 = new RmsNorm(weights.vector(spec.prefix() + ".input_layernorm.weight"), eps);
        this.attention = Attention.load(weights, spec.prefix(), decoder.spec().attention(), eps);
        this.norm2 = new RmsNorm(weights.vector(spec.prefix() + ".post_attention_layernorm.weight"), eps);
        switch (spec.mlp()) {
            case Dense one -> {
                this.dense = weights.mlp(one.mlp());
                this.moe = null;
            }
            case Moe many -> {
                this.dense = null;
                this.moe = new MoeBlock(weights.vector(many.router()), weights.removed(many.experts()), many,
                        weights.experts(many.experts(), false),
                        many.shared() == null ? null : weights.mlp(many.shared()),
                        many.sharedGate() == null ? null : weights.vector(many.sharedGate()), spec.index(), ExpertGroup.WEIGHTS_AT_ONCE);
            }
        }
    }

    private DecoderLayer(Decoder decoder, LayerSpec spec, MoeBlock moe) {
        this.spec = spec;
        this.decoder = decoder;
        this.norm1 = null;
        this.attention = null;
        this.norm2 = null;
        this.dense = null;
        this.moe = moe;
    }

    static DecoderLayer downOnly(Decoder decoder, LayerSpec spec, Weights weights) {
        Moe many = (Moe) spec.mlp();
        return new DecoderLayer(decoder, spec, new MoeBlock(null, null, many, weights.experts(many.experts(), true), null, null,
                spec.index(), ExpertGroup.WEIGHTS_AT_ONCE));
    }

    public LayerSpec spec() {
        return spec;
    }

    /**
     * Forward.
     *
     * @param x [B S, hidden]
     * @throws NotFiniteException when the output is not a number
     */
    public Result forward(NDArray x, TokenBatch batch, ExpertObserver observer) {
        return forward(x, batch, observer, null);
    }

    /** @param tapes where to leave what {@link #backward} needs again, or {@code null} */
    Result forward(NDArray x, TokenBatch batch, ExpertObserver observer, Tapes.Slot tapes) {
        try (Scratch scratch = new Scratch()) {
            Result mlp = behindAttention(attended(x, batch, tapes), batch, observer, tapes);
            return new Result(scratch.keep(mlp.y()), mlp.selected(), moe == null ? null : scratch.keep(mlp.routerWeights()));
        }
    }

    /**
     * Forward for the next positions of one sequence.
     *
     * @param x of those positions, [n, hidden]
     * @param batch their tokens
     * @param seen of the positions before, which is told these
     * @return the next layer's input, [n, hidden]
     * @throws NotFiniteException when the output is not a number
     */
    NDArray next(NDArray x, TokenBatch batch, KeyValues seen) {
        try (Scratch scratch = new Scratch()) {
            NDArray h = attention.next(norm1.forward(x), decoder::positions, spec.index(), seen).addi(x);
            return scratch.keep(behindAttention(h, batch, ExpertObserver.NONE, null).y());
        }
    }

    /** y of h, and the routing. */
    private Result behindAttention(NDArray h, TokenBatch batch, ExpertObserver observer, Tapes.Slot tapes) {
        NDArray n = norm2.forward(h);
        Result mlp = moe == null ? new Result(dense.forward(n, tapes, 0), null, null) : moe.forward(n, batch, observer, tapes);
        NDArray y = mlp.y().addi(h);
        NotFiniteException.requireFinite(y.abs().max().toType(DataType.FLOAT64, false).getDouble(), "output of layer " + spec.index());
        return new Result(y, mlp.selected(), mlp.routerWeights());
    }

    /** h; with tapes, it belongs to them together with what was made on the way to it. */
    private NDArray attended(NDArray x, TokenBatch batch, Tapes.Slot tapes) {
        try (Scratch scratch = new Scratch()) {
            Attention.Tape tape = attention.record(norm1.forward(x), batch.sequences(), decoder.positions(batch.sequenceLength()));
            NDArray h = attention.output(tape, batch.sequences()).addi(x);
            if (tapes == null) {
                return scratch.keep(h);
            }
            tapes.put(Tapes.ATTENTION, tape.withResult(h));
            return h;
        }
    }

    /**
     * The vector-Jacobian product, everything between x and y computed anew but for what is on tapes.
     *
     * @param x what went forward, [B S, hidden]
     * @param dy gradient of the sum-reduced loss with respect to y
     * @param selected as {@link #forward} returned it
     * @return the gradient with respect to x
     */
    public NDArray backward(NDArray x, NDArray dy, TokenBatch batch, int[] selected, ExpertObserver observer) {
        return backward(x, dy, batch, selected, observer, null);
    }

    /** @param tapes what {@link #forward} left, or {@code null} */
    NDArray backward(NDArray x, NDArray dy, TokenBatch batch, int[] selected, ExpertObserver observer, Tapes.Slot tapes) {
        try (Scratch scratch = new Scratch()) {
            Positions positions = decoder.positions(batch.sequenceLength());
            // forward was h = x + attention(n1), n1 = norm1(x)
            Attention.Tape tape;
            NDArray h;
            if (tapes == null) {
                tape = attention.record(norm1.forward(x), batch.sequences(), positions);
                h = attention.output(tape, batch.sequences()).addi(x);
            } else {
                NDList kept = tapes.take(Tapes.ATTENTION);
                tape = Attention.Tape.of(kept);
                h = kept.getLast();
            }
            // forward was y = h + mlp(n2), n2 = norm2(h)
            NDArray n2 = norm2.forward(h);
            NDArray dh;
            try (Scratch half = new Scratch()) {
                NDArray dn2 = moe == null
                        ? dense.reverse(n2, dy, ones(n2), tapes, 0).dx()
                        : moe.backward(n2, dy, selected, observer, tapes);
                dh = half.keep(norm2.backward(h, dn2).addi(dy));
            }
            NDArray dn1 = attention.backward(tape, dh, batch.sequences(), positions);
            return scratch.keep(norm1.backward(x, dn1).addi(dh));
        }
    }

    /**
     * Reverse in the lowest layer that has routed experts: as far as their da, because nothing below looks at a gradient.
     *
     * @param dy gradient of the sum-reduced loss with respect to y
     * @param selected as {@link #forward} returned it, routerWeights likewise
     * @param observer hears {@link ExpertObserver#gradient}
     */
    void backwardToExperts(NDArray dy, int[] selected, NDArray routerWeights, ExpertObserver observer) {
        try (Scratch _ = new Scratch()) {
            moe.backwardToExperts(dy, selected, routerWeights, observer);
        }
    }

    /** A router weight of one for every row of x, [n, 1]. */
    static NDArray ones(NDArray x) {
        return x.getManager().ones(new Shape(x.getShape().get(0), 1), x.getDataType());
    }
}
