package io.espalier.transformer;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.StoredMatrix;
import io.espalier.transformer.DecoderSpec.LayerSpec;

/**
 * A decoder model opened for streaming: one part (a layer or the head) has its weights in memory at a time, whatever the size of the model. Belongs to
 * one thread; several decoders may work on several threads at once, because nothing here uses the engine's global gradient collector.
 */
public final class Decoder implements AutoCloseable {

    private final Checkpoint checkpoint;
    private final DecoderSpec spec;
    private final DataType compute;
    private final NDManager manager;
    private final Weights weights;
    private final Map<Integer, Positions> positions = new HashMap<>();

    private Decoder(Checkpoint checkpoint, DecoderSpec spec, KeptAtoms kept, Device device, DataType compute) {
        this.checkpoint = checkpoint;
        this.spec = spec;
        this.compute = compute;
        this.manager = NDManager.newBaseManager(device);
        this.weights = new Weights(checkpoint, kept, device, compute, largestPart(spec, compute == DataType.FLOAT64));
    }

    /**
     * Opens a model.
     *
     * @param checkpoint stays the caller's to close, after this
     * @param spec of the checkpoint
     * @param kept the atoms that take part
     * @param device where the arithmetic happens
     * @param compute FLOAT32, or FLOAT64 for checking gradients
     */
    public static Decoder open(Checkpoint checkpoint, DecoderSpec spec, KeptAtoms kept, Device device, DataType compute) {
        Engine.getInstance();
        return new Decoder(checkpoint, spec, kept, device, compute);
    }

    public DecoderSpec spec() {
        return spec;
    }

    /** FLOAT32 or FLOAT64. */
    public DataType compute() {
        return compute;
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
        StoredMatrix table = checkpoint.matrix(DecoderSpec.EMBEDDING);
        int hidden = spec.hiddenSize();
        int tokens = batch.sequences() * batch.sequenceLength();
        int[] rows = new int[tokens];
        for (int i = 0; i < tokens; i++) {
            rows[i] = batch.ids()[i / batch.sequenceLength()][i % batch.sequenceLength()];
        }
        boolean wide = compute == DataType.FLOAT64;
        try (WeightBuffer buffer = new WeightBuffer(WeightBuffer.bytesFor((long) tokens * hidden, wide), wide);
                Scratch scratch = new Scratch()) {
            MemorySegment numbers = buffer.convert(table, rows, null);
            NDArray borrowed = manager.create(numbers.asByteBuffer().order(java.nio.ByteOrder.nativeOrder()), new Shape(tokens, hidden),
                    compute);
            return scratch.keep(borrowed.duplicate());
        }
    }

    /** Loads a layer; the part loaded before is dropped and must not be used again. */
    public DecoderLayer layer(int index) {
        weights.drop();
        LayerSpec layer = spec.layers().get(index);
        return new DecoderLayer(this, layer, weights);
    }

    /** Loads the head; the part loaded before is dropped and must not be used again. */
    public Head head() {
        weights.drop();
        return new Head(new RmsNorm(weights.load(DecoderSpec.FINAL_NORM), spec.rmsNormEps()), weights.load(spec.headTensor()));
    }

    Positions positions(int length) {
        return positions.computeIfAbsent(length, s -> {
            Positions made = Positions.of(s, spec.attention().headDim(), spec.attention().ropeTheta(), compute, manager);
            // they outlive the scratch of the call that asked first
            ai.djl.ndarray.NDScope.unregister(made.cos(), made.sin(), made.mask());
            return made;
        });
    }

    private static long largestPart(DecoderSpec spec, boolean wide) {
        Map<String, Long> parts = new HashMap<>();
        spec.matrices().forEach((name, elements) -> {
            String part = spec.layers().stream().map(LayerSpec::prefix).filter(p -> name.startsWith(p + ".")).findFirst().orElse("head");
            if (part.equals("head") && !name.equals(spec.headTensor()) && !name.equals(DecoderSpec.FINAL_NORM)) {
                return;
            }
            parts.merge(part, WeightBuffer.bytesFor(elements, wide), Long::sum);
        });
        return parts.values().stream().mapToLong(Long::longValue).max().orElse(0);
    }

    @Override
    public void close() {
        weights.close();
        manager.close();
    }
}
