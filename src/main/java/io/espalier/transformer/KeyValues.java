package io.espalier.transformer;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.espalier.architecture.DecoderSpec;

/**
 * Rotated keys, and values, of the positions of one sequence that a decoder has seen, for every layer: with them the next position is computed alone. Room
 * for all positions is taken at once. Letters as in {@link Attention}.
 */
final class KeyValues implements AutoCloseable {

    /** Of one layer: keys and values, [K, positions, D], of which the first are filled. */
    private record Layer(NDArray keys, NDArray values) {}

    private final NDManager manager;
    private final Layer[] layers;
    private int filled;

    /**
     * @param positions that there is room for
     * @param parent where the arrays belong, until this is closed
     */
    KeyValues(DecoderSpec spec, int positions, DataType type, NDManager parent) {
        this.manager = parent.newSubManager();
        this.layers = new Layer[spec.layers().size()];
        Shape shape = new Shape(spec.attention().kvHeads(), positions, spec.attention().headDim());
        for (int l = 0; l < layers.length; l++) {
            layers[l] = new Layer(manager.zeros(shape, type), manager.zeros(shape, type));
        }
    }

    /** Bytes of such arrays. */
    static long bytes(DecoderSpec spec, long positions, int bytesEach) {
        return 2L * spec.layers().size() * spec.attention().kvHeads() * spec.attention().headDim() * positions * bytesEach;
    }

    /** Positions that there is room for. */
    int positions() {
        return (int) layers[0].keys.getShape().get(1);
    }

    /** Positions that every layer has seen. */
    int filled() {
        return filled;
    }

    /** Takes keys and values, [K, n, D], of a layer's next n positions. */
    void put(int layer, NDArray keys, NDArray values) {
        NDIndex next = positions(filled, filled + keys.getShape().get(1));
        layers[layer].keys.set(next, keys);
        layers[layer].values.set(next, values);
    }

    /** A layer's keys of all positions up to one, [K, to, D]. */
    NDArray keys(int layer, long to) {
        return layers[layer].keys.get(positions(0, to));
    }

    /** A layer's values likewise. */
    NDArray values(int layer, long to) {
        return layers[layer].values.get(positions(0, to));
    }

    /** Says that the last layer has seen n more positions. */
    void advance(int n) {
        filled += n;
    }

    private static NDIndex positions(long from, long to) {
        return new NDIndex().addAllDim().addSliceDim(from, to);
    }

    @Override
    public void close() {
        manager.close();
    }
}
