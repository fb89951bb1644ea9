package io.espalier.transformer;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.Tensor;
import io.espalier.transformer.DecoderSpec.LayerSpec;

/**
 * A decoder model opened for streaming: one part (a layer or the head) has its weights in memory at a time, whatever the size of the model. Parts are
 * loaded by one thread, and then used by all lanes; several decoders may work at once, because nothing here uses the engine's global gradient collector.
 */
public final class Decoder implements AutoCloseable {

    private final Checkpoint checkpoint;
    private final DecoderSpec spec;
    private final Compute compute;
    private final NDManager manager;
    private final Weights weights;
    private final Lanes lanes;
    private final Map<Integer, Positions> positions = new ConcurrentHashMap<>();

    private Decoder(Checkpoint checkpoint, DecoderSpec spec, KeptAtoms kept, Compute compute) {
        this.checkpoint = checkpoint;
        this.spec = spec;
        this.compute = compute;
        this.manager = NDManager.newBaseManager(compute.device());
        this.weights = new Weights(checkpoint, kept, compute);
        this.lanes = new Lanes(compute.lanes());
    }

    /**
     * Opens a model.
     *
     * @param checkpoint stays the caller's to close, after this
     * @param spec of the checkpoint
     * @param kept the atoms that take part
     * @param compute where and how the arithmetic happens
     */
    public static Decoder open(Checkpoint checkpoint, DecoderSpec spec, KeptAtoms kept, Compute compute) {
        Torch.start();
        return new Decoder(checkpoint, spec, kept, compute);
    }

    public DecoderSpec spec() {
        return spec;
    }

    /** Where and how the arithmetic happens. */
    public Compute compute() {
        return compute;
    }

    /** The cores that micro-batches are spread over. */
    public Lanes lanes() {
        return lanes;
    }

    /** Where activations belong. */
    public NDManager manager() {
        return manager;
    }

    /**
     * The residual stream before the first layer.
     *
     * @return [B S, hidden]; the rows are read from the mapped file, the table is never loaded
     */
    public NDArray embed(TokenBatch batch) {
        Tensor table = checkpoint.tensor(DecoderSpec.EMBEDDING);
        MemorySegment stored = checkpoint.bytes(table);
        int hidden = spec.hiddenSize();
        int tokens = batch.sequences() * batch.sequenceLength();
        int[] rows = new int[tokens];
        for (int i = 0; i < tokens; i++) {
            rows[i] = batch.ids()[i / batch.sequenceLength()][i % batch.sequenceLength()];
        }
        NativeTensor.Type type = compute.precision().vectors();
        try (WeightBuffer buffer = new WeightBuffer(); Scratch scratch = new Scratch()) {
            buffer.reset(WeightBuffer.aligned((long) tokens * hidden * type.bytes()));
            MemorySegment numbers = buffer.convert(stored, table.dtype(), type, spec.vocabSize(), hidden, rows, null, table.name());
            NDArray borrowed = NativeTensor.on(numbers, type, manager, tokens, hidden);
            if (compute.device().equals(Device.cpu())) {
                return scratch.keep(borrowed.duplicate());
            }
            return scratch.keep(borrowed.toDevice(compute.device(), true));
        }
    }

    /** Loads a layer; the part loaded before is dropped and must not be used again. */
    public DecoderLayer layer(int index) {
        LayerSpec layer = spec.layers().get(index);
        weights.begin(spec.commonTensors(layer), spec.experts(layer));
        return new DecoderLayer(this, layer, weights);
    }

    /** Loads the head; the part loaded before is dropped and must not be used again. */
    public Head head() {
        weights.begin(List.of(DecoderSpec.FINAL_NORM, spec.headTensor()), List.of());
        return new Head(new RmsNorm(weights.vector(DecoderSpec.FINAL_NORM), spec.rmsNormEps()), weights.matrix(spec.headTensor()));
    }

    Positions positions(int length) {
        return positions.computeIfAbsent(length, s -> {
            Positions made = Positions.of(s, spec.attention().headDim(), spec.attention().ropeTheta(), compute.precision().activations(),
                    manager);
            // they outlive the scratch of the call that asked first
            ai.djl.ndarray.NDScope.unregister(made.cos(), made.sin(), made.mask());
            return made;
        });
    }

    @Override
    public void close() {
        lanes.close();
        weights.close();
        manager.close();
    }
}
