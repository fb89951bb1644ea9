package io.espalier.transformer;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.function.Consumer;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Slab;
import io.espalier.checkpoint.StoredMatrix;

/**
 * One part of a model (a layer, the head) as numbers on a device, loaded from the mapped checkpoint and dropped again. On the CPU the arrays lie directly
 * on the {@link WeightBuffer}; on a GPU they are copies. Weights never require gradients.
 */
final class Weights implements AutoCloseable {

    private final Checkpoint checkpoint;
    private final KeptAtoms kept;
    private final Lanes converters;
    private final Compute compute;
    private final WeightBuffer buffer = new WeightBuffer();
    /** For experts that are read one by one: a buffer a lane. */
    private final BlockingQueue<WeightBuffer> spare;
    private NDManager manager;

    /** @param converters the lanes that convert experts side by side, while none of them computes */
    Weights(Checkpoint checkpoint, KeptAtoms kept, Compute compute, Lanes converters) {
        this.converters = converters;
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
        begin(tensors, experts, false, 0);
    }

    /**
     * @param downOnly whether the down projections are all that will be loaded of the experts
     * @param more elements of a matrix that is loaded in part
     */
    void begin(List<String> tensors, List<ExpertTensors> experts, boolean downOnly, long more) {
        manager.close();
        manager = NDManager.newBaseManager(compute.device());
        checkpoint.verifyUnchanged();
        long bytes = WeightBuffer.aligned(more * compute.precision().matrices().bytes());
        for (String name : tensors) {
            bytes += WeightBuffer.aligned(checkpoint.tensor(name).elements() * compute.precision().vectors().bytes());
        }
        if (compute.wholeLayers()) {
            for (ExpertTensors expert : experts) {
                bytes += bytesOf(expert, downOnly);
            }
        }
        buffer.reset(bytes);
    }

    /** A tensor in the activations' type: norms, biases, the router. */
    NDArray vector(String name) {
        return load(name, compute.precision().vectors());
    }

    /** A tensor in the type that matrix products are computed in. */
    NDArray matrix(String name) {
        return load(name, compute.precision().matrices());
    }

    /** Consecutive rows of a matrix. */
    NDArray matrixRows(String name, int from, int to) {
        StoredMatrix all = checkpoint.matrix(name);
        if (from == 0 && to == all.rows()) {
            return matrix(name);
        }
        StoredMatrix some = new StoredMatrix(name, all.dtype(), to - from, all.columns(),
                all.bytes().asSlice(from * all.rowBytes(), (to - from) * all.rowBytes()), null);
        return load(some, false, compute.precision().matrices(), null, null, buffer, manager);
    }

    /** Touches the pages of what comes next, so that the disk works while the processor does. */
    void readAhead(List<String> tensors, List<ExpertTensors> experts, boolean downOnly) {
        try {
            tensors.forEach(name -> checkpoint.matrix(name).bytes().load());
            for (ExpertTensors expert : experts) {
                slabs(expert, downOnly).forEach(slab -> checkpoint.matrix(slab).bytes().load());
            }
        } catch (InternalError e) {
            // why: a file cut short is reported by the load that needs it, with the tensor's name
            return;
        }
    }

    GatedMlp mlp(DecoderSpec.MlpTensors mlp) {
        return new GatedMlp(matrix(mlp.gate()), matrix(mlp.up()), matrix(mlp.down()));
    }

    /**
     * The routed experts of a layer: all loaded now, or each when it is borrowed.
     *
     * @param downOnly whether their gates and ups are left out
     */
    MoeBlock.Experts experts(List<ExpertTensors> experts, boolean downOnly) {
        GatedMlp[] loaded = compute.wholeLayers() ? new GatedMlp[experts.size()] : null;
        NDManager owner = manager;
        if (loaded != null) {
            converters.forEach(loaded.length, index -> loaded[index] = expert(experts.get(index), downOnly, buffer, owner), _ -> {});
        }
        return new MoeBlock.Experts() {

            @Override
            public int width(int expert) {
                int[] atoms = kept.of(experts.get(expert).layer(), experts.get(expert).expert());
                return atoms == null ? experts.get(expert).width() : atoms.length;
            }

            @Override
            public void use(int[] some, Consumer<List<GatedMlp>> borrower) {
                if (loaded != null) {
                    borrower.accept(Arrays.stream(some).mapToObj(index -> loaded[index]).toList());
                } else {
                    lend(Arrays.stream(some).mapToObj(experts::get).toList(), downOnly, owner, borrower);
                }
            }
        };
    }

    private void lend(List<ExpertTensors> experts, boolean downOnly, NDManager owner, Consumer<List<GatedMlp>> borrower) {
        WeightBuffer own = take();
        try (Scratch _ = new Scratch()) {
            own.reset(experts.stream().mapToLong(expert -> bytesOf(expert, downOnly)).sum());
            borrower.accept(experts.stream().map(expert -> expert(expert, downOnly, own, owner)).toList());
        } finally {
            spare.add(own);
        }
    }

    /** What is added to the router's logits, [experts]: minus infinity for an expert that is gone, else 0; {@code null} when none is. */
    NDArray removed(List<ExpertTensors> experts) {
        float[] mask = new float[experts.size()];
        boolean any = false;
        for (int e = 0; e < mask.length; e++) {
            boolean gone = kept.removed(experts.get(e).layer(), experts.get(e).expert());
            mask[e] = gone ? Float.NEGATIVE_INFINITY : 0;
            any |= gone;
        }
        return any ? manager.create(mask).toType(compute.precision().activations(), false) : null;
    }

    private WeightBuffer take() {
        try {
            return spare.take();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while an expert was loaded", e);
        }
    }

    private GatedMlp expert(ExpertTensors expert, boolean downOnly, WeightBuffer into, NDManager owner) {
        int[] atoms = kept.of(expert.layer(), expert.expert());
        return new GatedMlp(downOnly ? null : load(expert.gate(), atoms, null, into, owner),
                downOnly ? null : load(expert.up(), atoms, null, into, owner), load(expert.down(), null, atoms, into, owner));
    }

    private long bytesOf(ExpertTensors expert, boolean downOnly) {
        return slabs(expert, downOnly).stream().mapToLong(this::bytesOf).sum();
    }

    private static List<Slab> slabs(ExpertTensors expert, boolean downOnly) {
        return downOnly ? List.of(expert.down()) : List.of(expert.gate(), expert.up(), expert.down());
    }

    private long bytesOf(Slab slab) {
        return WeightBuffer.aligned((long) slab.rows() * slab.columns() * compute.precision().matrices().bytes());
    }

    private NDArray load(Slab slab, int[] rows, int[] columns, WeightBuffer into, NDManager owner) {
        return load(checkpoint.matrix(slab), false, compute.precision().matrices(), rows, columns, into, owner);
    }

    private NDArray load(String name, NativeTensor.Type type) {
        return load(checkpoint.matrix(name), checkpoint.tensor(name).rank() == 1, type, null, null, buffer, manager);
    }

    private NDArray load(StoredMatrix matrix, boolean vector, NativeTensor.Type type, int[] rows, int[] columns, WeightBuffer into,
            NDManager owner) {
        int rowCount = rows == null ? matrix.rows() : rows.length;
        int columnCount = columns == null ? matrix.columns() : columns.length;
        checkpoint.wasRead((long) rowCount * columnCount * matrix.dtype().bytes());
        long[] shape = vector ? new long[]{columnCount} : new long[]{rowCount, columnCount};
        if ((long) rowCount * columnCount == 0) {
            return Kernels.cast(owner.zeros(new Shape(shape), compute.precision().activations()), pattern(type, owner));
        }
        NDArray onCpu = NativeTensor.on(converted(matrix, type, rows, columns, into), type, owner, shape);
        if (compute.device().equals(Device.cpu())) {
            return onCpu;
        }
        try (onCpu) {
            return Kernels.cast(onCpu, pattern(type, owner));
        }
    }

    /**
     * Always a copy, even where the stored type is the one computed in: a file that is cut short under a mapping is an error that Java can catch when Java
     * reads it, and the end of the process when the engine does.
     */
    private MemorySegment converted(StoredMatrix matrix, NativeTensor.Type type, int[] rows, int[] columns, WeightBuffer into) {
        try {
            return into.convert(matrix, type, rows, columns);
        } catch (InternalError e) {
            checkpoint.verifyUnchanged();
            throw new IllegalStateException(matrix.name() + ": could not be read from the mapped file", e);
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
