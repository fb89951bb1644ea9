package io.espalier.transformer;

import ai.djl.ndarray.NDArray;
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
     */
    public record Result(NDArray y, int[] selected) {}

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
                        weights.experts(many.experts()),
                        many.shared() == null ? null : weights.mlp(many.shared()),
                        many.sharedGate() == null ? null : weights.vector(many.sharedGate()), spec.index(), ExpertGroup.WEIGHTS_AT_ONCE);
            }
        }
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
            NDArray h = attention.forward(norm1.forward(x), batch.sequences(), decoder.positions(batch.sequenceLength())).addi(x);
            NDArray n = norm2.forward(h);
            Result mlp = moe == null ? new Result(dense.forward(n, tapes, 0), null) : moe.forward(n, batch, observer, tapes);
            NDArray y = mlp.y().addi(h);
            NotFiniteException.requireFinite(y.abs().max().toType(DataType.FLOAT64, false).getDouble(),
                    "output of layer " + spec.index());
            return new Result(scratch.keep(y), mlp.selected());
        }
    }

    /**
     * The vector-Jacobian product, everything between x and y computed anew.
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
            NDArray n1 = norm1.forward(x);
            Attention.Tape tape = attention.record(n1, batch.sequences(), positions);
            NDArray h = attention.output(tape, batch.sequences()).addi(x);
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

    /** A router weight of one for every row of x, [n, 1]. */
    static NDArray ones(NDArray x) {
        return x.getManager().ones(new Shape(x.getShape().get(0), 1), x.getDataType());
    }
}
