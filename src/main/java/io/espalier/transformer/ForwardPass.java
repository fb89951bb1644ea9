package io.espalier.transformer;

import java.util.List;

import ai.djl.ndarray.NDArray;

/**
 * A model streamed over micro-batches: each layer is loaded once and sees all of them before the next one is loaded.
 */
public final class ForwardPass implements AutoCloseable {

    /** Hears of each micro-batch that a layer has finished, on the thread that runs the pass. */
    @FunctionalInterface
    public interface Watch {
        void finished(int layer, int microBatch);
    }

    private final Decoder decoder;
    private final List<TokenBatch> batches;
    private final HiddenStates states;
    private final Tapes tapes;

    /**
     * @param states with slots for all layers and one more when inputs are kept, else two
     * @param tapedLayers of how many of the last layers the inside is kept for a reverse pass
     */
    public ForwardPass(Decoder decoder, List<TokenBatch> batches, HiddenStates states, int tapedLayers) {
        this.decoder = decoder;
        this.batches = batches;
        this.states = states;
        this.tapes = new Tapes(decoder.spec().layers().size() - tapedLayers);
    }

    /**
     * @param observer called by several lanes at once
     * @param keepInputs whether slot l keeps the input of layer l (the last slot: the output of the last layer); else two slots are used in turn
     * @return the experts selected, [layer][micro-batch], as {@link DecoderLayer.Result#selected}
     */
    public int[][][] run(boolean keepInputs, ExpertObserver observer, Watch watch) {
        return run(decoder.spec().layers().size(), keepInputs, observer, watch);
    }

    /** As above, through the first layers only. */
    public int[][][] run(int layers, boolean keepInputs, ExpertObserver observer, Watch watch) {
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
                    DecoderLayer.Result result = layer.forward(input(slot(at, keepInputs), b), batches.get(b), observer, tapes.slot(at, b));
                    states.put(slot(at + 1, keepInputs), b, result.y());
                    selected[at][b] = result.selected();
                }
            }, b -> watch.finished(at, b));
        }
        return selected;
    }

    /** The output of the last layer for a micro-batch, after {@link #run}. */
    public NDArray output(int microBatch, boolean keepInputs) {
        return input(slot(decoder.spec().layers().size(), keepInputs), microBatch);
    }

    /**
     * One layer of the reverse pass for a micro-batch, after {@link #run} with inputs kept.
     *
     * @param dy gradient of the layer's output, [B S, hidden]
     * @return the gradient of its input
     */
    public NDArray backward(DecoderLayer layer, int microBatch, NDArray dy, int[] selected, ExpertObserver observer) {
        int index = layer.spec().index();
        return layer.backward(input(index, microBatch), dy, batches.get(microBatch), selected, observer, tapes.slot(index, microBatch));
    }

    @Override
    public void close() {
        tapes.close();
    }

    private NDArray input(int slot, int microBatch) {
        TokenBatch batch = batches.get(microBatch);
        return states.get(slot, microBatch, batch.sequences() * batch.sequenceLength(), decoder.spec().hiddenSize(), decoder.manager());
    }

    private static int slot(int layer, boolean keepInputs) {
        return keepInputs ? layer : layer % 2;
    }
}
