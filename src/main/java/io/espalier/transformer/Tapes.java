package io.espalier.transformer;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDScope;

/**
 * What the forward pass computed inside some layers and the reverse pass would compute again: {@code W_g x} and {@code W_u x} of the gated MLPs, two of five
 * matrix products, and of attention all that {@link Attention#backward} reads, which spares its forward half. Kept where memory allows, for the last
 * layers first, because the reverse pass needs theirs first and frees them. Of the lowest layer that is reversed only the router's weights are kept.
 */
final class Tapes implements AutoCloseable {

    /** Several lanes put and take at once, each what belongs to its own micro-batch. */
    private final Map<Key, NDList> kept = new ConcurrentHashMap<>();
    private final int firstLayer;

    /** The parts of a layer that are no MLP: those count from 0. */
    static final int ATTENTION = -1;
    static final int ROUTER = -2;

    private record Key(int layer, int microBatch, int part) {}

    /** @param firstLayer the first of the layers whose tapes are kept; all after it are, too */
    Tapes(int firstLayer) {
        this.firstLayer = firstLayer;
    }

    /** The place of a layer's tapes for one micro-batch, or {@code null} when they are not kept. */
    Slot slot(int layer, int microBatch) {
        return layer < firstLayer ? null : place(layer, microBatch);
    }

    /** The same, for what is kept whatever the memory. */
    Slot place(int layer, int microBatch) {
        return new Slot(layer, microBatch);
    }

    /** One layer and micro-batch. */
    final class Slot {

        private final int layer;
        private final int microBatch;

        private Slot(int layer, int microBatch) {
            this.layer = layer;
            this.microBatch = microBatch;
        }

        /** Lets a tape outlive the scratch it was made in. */
        void put(int part, NDList tape) {
            tape.forEach(NDScope::unregister);
            kept.put(new Key(layer, microBatch, part), tape);
        }

        /** Gives a tape to the scratch that is open now, which frees it. */
        NDList take(int part) {
            NDList tape = kept.remove(new Key(layer, microBatch, part));
            tape.forEach(NDScope::register);
            return tape;
        }
    }

    @Override
    public void close() {
        kept.values().forEach(NDList::close);
        kept.clear();
    }
}
