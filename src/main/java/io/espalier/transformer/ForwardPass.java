package io.espalier.transformer;

import java.util.List;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;

/**
 * A model streamed over micro-batches: each layer is loaded once and sees all of them before the next one is loaded. Where a reverse pass follows, it keeps
 * what that one needs: of the lowest layer it goes down to, the routing; of the layers above, their inputs and, where memory allows, their {@link Tapes}.
 */
public final class ForwardPass implements AutoCloseable {

    /** Hears of each micro-batch that a layer has finished, on the thread that runs the pass. */
    @FunctionalInterface
    public interface Watch {
        void finished(int layer, int microBatch);
    }

    /** A slot that holds nothing any more once the pass is through. */
    public static final int FREE = 0;

    private final Decoder decoder;
    private final List<TokenBatch> batches;
    private final HiddenStates states;
    private final Tapes tapes;
    private final int lowest;

    /** A pass that nothing follows. */
    public ForwardPass(Decoder decoder, List<TokenBatch> batches, HiddenStates states) {
        this(decoder, batches, states, decoder.spec().layers().size(), 0);
    }

    /**
     * @param states with {@link #slots}
     * @param lowest the lowest layer of a reverse pass; the number of layers for none
     * @param tapedLayers of how many of the last layers, and above the lowest, the inside is kept for it
     */
    public ForwardPass(Decoder decoder, List<TokenBatch> batches, HiddenStates states, int lowest, int tapedLayers) {
        this.decoder = decoder;
        this.batches = batches;
        this.states = states;
        this.lowest = lowest;
        this.tapes = new Tapes(Math.max(lowest + 1, decoder.spec().layers().size() - tapedLayers));
    }

    /**
     * Places for the residual stream: the inputs of the layers above the lowest, the last one's output, and two for all below, which take turns. One of the
     * two, {@link #FREE}, is free after the pass.
     *
     * @param layers that the pass goes through
     * @param lowest the lowest layer of the reverse pass; the number of layers for none
     */
    public static int slots(int layers, int lowest) {
        return layers <= lowest ? 2 : slot(layers, lowest) + 1;
    }

    /**
     * @param observer called by several lanes at once
     * @return the experts selected, [layer][micro-batch], as {@link DecoderLayer.Result#selected}
     */
    public int[][][] run(ExpertObserver observer, Watch watch) {
        return run(decoder.spec().layers().size(), observer, watch);
    }

    /** As above, through the first layers only. */
    public int[][][] run(int layers, ExpertObserver observer, Watch watch) {
        int[][][] selected = new int[layers][batches.size()][];
        decoder.lanes().forEach(batches.size(), b -> {
            try (Scratch _ = new Scratch()) {
                states.put(0, b, decoder.embed(batches.get(b)));
            }
        }, _ -> {});
        for (int l = 0; l < layers; l++) {
            DecoderLayer layer = decoder.layer(l);
            if (l + 1 < layers) {
                decoder.expect(l + 1);
            }
            int at = l;
            decoder.lanes().forEach(batches.size(), b -> {
                try (Scratch _ = new Scratch()) {
                    DecoderLayer.Result result = layer.forward(input(at, b), batches.get(b), observer, tapes.slot(at, b));
                    states.put(slot(at + 1, lowest), b, result.y());
                    if (at == lowest) {
                        tapes.place(at, b).put(Tapes.ROUTER, new NDList(result.routerWeights()));
                    }
                    selected[at][b] = result.selected();
                }
            }, b -> watch.finished(at, b));
        }
        return selected;
    }

    /** The output of the last layer for a micro-batch, after {@link #run}. */
    public NDArray output(int microBatch) {
        return input(decoder.spec().layers().size(), microBatch);
    }

    /**
     * One layer of the reverse pass for a micro-batch, after {@link #run}; not the lowest.
     *
     * @param dy gradient of the layer's output, [B S, hidden]
     * @return the gradient of its input
     */
    public NDArray backward(DecoderLayer layer, int microBatch, NDArray dy, int[] selected, ExpertObserver observer) {
        int index = layer.spec().index();
        return layer.backward(input(index, microBatch), dy, batches.get(microBatch), selected, observer, tapes.slot(index, microBatch));
    }

    /**
     * The lowest layer of the reverse pass, after {@link #run}.
     *
     * @param layer of which the down projections are enough
     * @param dy gradient of the layer's output, [B S, hidden]
     * @param observer hears {@link ExpertObserver#gradient}
     */
    public void backwardToExperts(DecoderLayer layer, int microBatch, NDArray dy, int[] selected, ExpertObserver observer) {
        NDArray routerWeights = tapes.place(layer.spec().index(), microBatch).take(Tapes.ROUTER).getFirst();
        layer.backwardToExperts(dy, selected, routerWeights, observer);
    }

    @Override
    public void close() {
        tapes.close();
    }

    /** Of a layer; of the number of layers, the last one's output. */
    private NDArray input(int layer, int microBatch) {
        TokenBatch batch = batches.get(microBatch);
        return states.get(slot(layer, lowest), microBatch, batch.sequences() * batch.sequenceLength(), decoder.spec().hiddenSize(),
                decoder.manager());
    }

    private static int slot(int layer, int lowest) {
        return layer <= lowest ? layer % 2 : layer - lowest + Math.min(lowest, 1);
    }
}
