package io.espalier.transformer;

import java.util.List;

import ai.djl.ndarray.NDArray;

/**
 * A model streamed over micro-batches: each layer is loaded once and sees all of them before the next one is loaded.
 */
public final class ForwardPass {

    /** Hears of each micro-batch that a layer has finished, on the thread that runs the pass. */
    @FunctionalInterface
    public interface Watch {
        void finished(int layer, int microBatch);
    }

    private final Decoder decoder;
    private final List<TokenBatch> batches;
    private final HiddenStates states;

    /** @param states with slots for all layers and one more when inputs are kept, else two */
    public ForwardPass(Decoder decoder, List<TokenBatch> batches, HiddenStates states) {
        this.decoder = decoder;
        this.batches = batches;
        this.states = states;
    }

    /**
     * @param observer called by several lanes at once
     * @param keepInputs whether slot l keeps the input of layer l (the last slot: the output of the last layer); else two slots are used in turn
     * @return the experts selected, [layer][micro-batch], as {@link DecoderLayer.Result#selected}
     */
    public int[][][] run(boolean keepInputs, ExpertObserver observer, Watch watch) {
        int layers = decoder.spec().layers().size();
        int[][][] selected = new int[layers][batches.size()][];
        decoder.lanes().forEach(batches.size(), b -> {
            try (Scratch _ = new Scratch()) {
                states.put(0, b, decoder.embed(batches.get(b)));
            }
        }, _ -> {});
        for (int l = 0; l < layers; l++) {
            DecoderLayer layer = decoder.layer(l);
            decoder.expect(l + 1);
            int at = l;
            decoder.lanes().forEach(batches.size(), b -> {
                try (Scratch _ = new Scratch()) {
                    DecoderLayer.Result result = layer.forward(input(slot(at, keepInputs), b), batches.get(b), observer);
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

    private NDArray input(int slot, int microBatch) {
        TokenBatch batch = batches.get(microBatch);
        return states.get(slot, microBatch, batch.sequences() * batch.sequenceLength(), decoder.spec().hiddenSize(), decoder.manager());
    }

    private static int slot(int layer, boolean keepInputs) {
        return keepInputs ? layer : layer % 2;
    }
}
