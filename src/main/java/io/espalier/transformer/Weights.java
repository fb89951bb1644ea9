package io.espalier.transformer;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Tensor;

/**
 * One part of a model (a layer, the head) as numbers on a device, loaded from the mapped checkpoint and dropped again. On the CPU the arrays lie directly
 * on the {@link WeightBuffer}, or on the mapped file itself where the stored type is the one computed in; on a GPU they are copies. Weights never require
 * gradients.
 */
final class Weights implements AutoCloseable {

    private final Checkpoint checkpoint;
    private final KeptAtoms kept;
    private final Compute compute;
    private final WeightBuffer buffer = new WeightBuffer();
    /** For experts that are read one by one: a buffer a lane. */
    private final BlockingQueue<WeightBuffer> spare;
    private NDManager manager;

    Weights(Checkpoint checkpoint, KeptAtoms kept, Compute compute) {
        this.checkpoint = checkpoint;
        this.kept = kept;
        this.compute = compute;
        this.manager = NDManager.newBaseManager(compute.device());
        this.spare = new ArrayBlockingQueue<>(compute.lanes());
        for (int lane = 0; lane < compute.lanes(); lane++) {
            spare.add(new WeightBuffer());
        }
    }

    /** Drops what is loaded and makes room for the next part. */
    void begin(List<String> tensors, List<ExpertTensors> experts) {
        manager.close();
        manager = NDManager.newBaseManager(compute.device());
        long bytes = 0;
        for (String name : tensors) {
            bytes += WeightBuffer.aligned(checkpoint.tensor(name).elements() * Double.BYTES);
        }
        if (compute.wholeLayers()) {
            for (ExpertTensors expert : experts) {
                bytes += bytesOf(expert);
            }
        }
        buffer.reset(bytes);
    }

    /** A tensor in the activations' type: norms, biases, the router. */
    NDArray vector(String name) {
        return load(name, compute.precision().vectors(), null, null, buffer, manager);
    }

    /** A tensor in the type that matrix products are computed in. */
    NDArray matrix(String name) {
        return load(name, compute.precision().matrices(), null, null, buffer, manager);
    }

    GatedMlp mlp(DecoderSpec.MlpTensors mlp) {
        return new GatedMlp(matrix(mlp.gate()), matrix(mlp.up()), matrix(mlp.down()));
    }

    /** The routed experts of a layer: all loaded now, or each when it is borrowed. */
    MoeBlock.Experts experts(List<ExpertTensors> experts) {
        if (compute.wholeLayers()) {
            List<GatedMlp> loaded = new ArrayList<>(experts.size());
            experts.forEach(expert -> loaded.add(expert(expert, buffer, manager)));
            return (index, borrower) -> borrower.accept(loaded.get(index));
        }
        return (index, borrower) -> {
            ExpertTensors expert = experts.get(index);
            WeightBuffer own = take();
            try (Scratch _ = new Scratch()) {
                own.reset(bytesOf(expert));
                borrower.accept(expert(expert, own, manager));
            } finally {
                spare.add(own);
            }
        };
    }

    private WeightBuffer take() {
        try {
            return spare.take();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while an expert was loaded", e);
        }
    }

    private GatedMlp expert(ExpertTensors expert, WeightBuffer into, NDManager owner) {
        int[] atoms = kept.of(expert.layer(), expert.expert());
        NativeTensor.Type type = compute.precision().matrices();
        return new GatedMlp(load(expert.gate(), type, atoms, null, into, owner), load(expert.up(), type, atoms, null, into, owner),
                load(expert.down(), type, null, atoms, into, owner));
    }

    private long bytesOf(ExpertTensors expert) {
        int each = compute.precision().matrices().bytes();
        return WeightBuffer.aligned(checkpoint.tensor(expert.gate()).elements() * each)
                + WeightBuffer.aligned(checkpoint.tensor(expert.up()).elements() * each)
                + WeightBuffer.aligned(checkpoint.tensor(expert.down()).elements() * each);
    }

    private NDArray load(String name, NativeTensor.Type type, int[] rows, int[] columns, WeightBuffer into, NDManager owner) {
        Tensor tensor = checkpoint.tensor(name);
        int storedRows = tensor.rank() == 1 ? 1 : Math.toIntExact(tensor.dim(0));
        int storedColumns = Math.toIntExact(tensor.dim(tensor.rank() - 1));
        int rowCount = rows == null ? storedRows : rows.length;
        int columnCount = columns == null ? storedColumns : columns.length;
        long[] shape = tensor.rank() == 1 ? new long[]{columnCount} : new long[]{rowCount, columnCount};
        if ((long) rowCount * columnCount == 0) {
            return Kernels.cast(owner.zeros(new Shape(shape), compute.precision().activations()), pattern(type, owner));
        }
        MemorySegment stored = checkpoint.bytes(tensor);
        MemorySegment numbers;
        if (type == NativeTensor.Type.BFLOAT16 && tensor.dtype() == DType.BF16 && rows == null && columns == null) {
            WeightBuffer.requireFinite(stored, name);
            numbers = stored;
        } else {
            numbers = into.convert(stored, tensor.dtype(), type, storedRows, storedColumns, rows, columns, name);
        }
        NDArray onCpu = NativeTensor.on(numbers, type, owner, shape);
        if (compute.device().equals(Device.cpu())) {
            return onCpu;
        }
        try (onCpu) {
            return Kernels.cast(onCpu, pattern(type, owner));
        }
    }

    /** One number of a type, on the device: what a cast is to be like. */
    private NDArray pattern(NativeTensor.Type type, NDManager owner) {
        NDArray one = owner.zeros(new Shape(1), type == NativeTensor.Type.FLOAT64 ? DataType.FLOAT64 : DataType.FLOAT32);
        return type == NativeTensor.Type.BFLOAT16 ? Kernels.bfloat16(one) : one;
    }

    @Override
    public void close() {
        manager.close();
        buffer.close();
        spare.forEach(WeightBuffer::close);
    }
}
