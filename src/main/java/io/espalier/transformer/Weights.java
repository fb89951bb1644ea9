package io.espalier.transformer;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.StoredMatrix;

/**
 * One part of a model (a layer, the head) as numbers on a device, loaded from the mapped checkpoint and dropped again. On the CPU the arrays lie
 * directly on the {@link WeightBuffer}; on a GPU they are copies. Weights never require gradients.
 */
final class Weights implements AutoCloseable {

    private final Checkpoint checkpoint;
    private final KeptAtoms kept;
    private final Device device;
    private final DataType compute;
    private final WeightBuffer buffer;
    private final List<NDArray> loaded = new ArrayList<>();
    private NDManager manager;

    /** @param bytes the most that is held at once, as {@link WeightBuffer#bytesFor} counts */
    Weights(Checkpoint checkpoint, KeptAtoms kept, Device device, DataType compute, long bytes) {
        this.checkpoint = checkpoint;
        this.kept = kept;
        this.device = device;
        this.compute = compute;
        this.buffer = new WeightBuffer(bytes, compute == DataType.FLOAT64);
        this.manager = NDManager.newBaseManager(device);
    }

    /** A whole tensor in the compute type. */
    NDArray load(String name) {
        return load(checkpoint.matrix(name), checkpoint.tensor(name).rank() == 1, null, null);
    }

    /** One expert's gate, up [kept width, hidden] and down [hidden, kept width]. */
    GatedMlp expert(ExpertTensors expert) {
        int[] atoms = kept.of(expert.layer(), expert.expert());
        return new GatedMlp(load(checkpoint.matrix(expert.gate()), false, atoms, null),
                load(checkpoint.matrix(expert.up()), false, atoms, null), load(checkpoint.matrix(expert.down()), false, null, atoms));
    }

    GatedMlp mlp(DecoderSpec.MlpTensors mlp) {
        return new GatedMlp(load(mlp.gate()), load(mlp.up()), load(mlp.down()));
    }

    private NDArray load(StoredMatrix matrix, boolean vector, int[] rows, int[] columns) {
        MemorySegment numbers = buffer.convert(matrix, rows, columns);
        int rowCount = rows == null ? matrix.rows() : rows.length;
        int columnCount = columns == null ? matrix.columns() : columns.length;
        Shape shape = vector ? new Shape(columnCount) : new Shape(rowCount, columnCount);
        NDArray array = shape.size() == 0
                ? manager.zeros(shape, compute)
                : manager.create(numbers.asByteBuffer().order(ByteOrder.nativeOrder()), shape, compute);
        loaded.add(array);
        return array;
    }

    /** Drops what is loaded, so that the memory can be filled again. */
    void drop() {
        loaded.clear();
        manager.close();
        manager = NDManager.newBaseManager(device);
        buffer.reset();
    }

    @Override
    public void close() {
        loaded.clear();
        manager.close();
        buffer.close();
    }
}
