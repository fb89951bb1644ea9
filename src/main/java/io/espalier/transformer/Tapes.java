package io.espalier.transformer;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDScope;

/**
 * What the forward pass computed inside the gated MLPs of some layers and the reverse pass would compute again: {@code W_g x} and {@code W_u x}, two of
 * five matrix products. Kept where memory allows, for the last layers first, because the reverse pass needs theirs first and frees them.
 */
final class Tapes implements AutoCloseable {

    /** Several lanes put and take at once, each what belongs to its own micro-batch. */
    private final Map<Key, Tape> kept = new ConcurrentHashMap<>();
    private final int firstLayer;

    private record Key(int layer, int microBatch, int mlp) {}

    /**
     * @param g W_g x, [n, width]
     * @param u W_u x, [n, width]
     */
    record Tape(NDArray g, NDArray u) {

        NDList both() {
            return new NDList(g, u);
        }
    }

    /** @param firstLayer the first of the layers whose tapes are kept; all after it are, too */
    Tapes(int firstLayer) {
        this.firstLayer = firstLayer;
    }

    /** The place of a layer's tapes for one micro-batch, or {@code null} when they are not kept. */
    Slot slot(int layer, int microBatch) {
        return layer < firstLayer ? null : new Slot(layer, microBatch);
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
        void put(int mlp, Tape tape) {
            NDScope.unregister(tape.g(), tape.u());
            kept.put(new Key(layer, microBatch, mlp), tape);
        }

        /** Gives a tape to the scratch that is open now, which frees it. */
        Tape take(int mlp) {
            Tape tape = kept.remove(new Key(layer, microBatch, mlp));
            NDScope.register(tape.g());
            NDScope.register(tape.u());
            return tape;
        }
    }

    @Override
    public void close() {
        kept.values().forEach(tape -> {
            tape.g().close();
            tape.u().close();
        });
        kept.clear();
    }
}
