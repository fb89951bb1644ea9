package io.espalier.transformer;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.espalier.architecture.DecoderSpec;
import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.StoredMatrix;

/**
 * A decoder model opened for streaming: one part (a layer or the head) has its weights in memory at a time, whatever the size of the model. Parts are
 * loaded by one thread, and then used by all lanes; several decoders may work at once, because nothing here uses the engine's global gradient collector.
 */
public final class Decoder implements AutoCloseable {

    /** Tokens of the longest sequence that can be computed, whatever the model and the device. */
    public static final int LONGEST_SEQUENCE = Positions.LONGEST;

    private final Checkpoint checkpoint;
    private final DecoderSpec spec;
    private final Compute compute;
    private final NDManager manager;
    private final Lanes lanes;
    private final ExecutorService loader = Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("weights-ahead").factory());
    private Weights weights;
    /** Where the next layer is made while this one computes; {@code null} when memory is for one only. */
    private Weights spare;
    private int coming = -1;
    private DecoderLayer.Part comingPart;
    private Future<DecoderLayer> arriving;
    private final Map<Integer, Positions> positions = new ConcurrentHashMap<>();

    private Decoder(Checkpoint checkpoint, DecoderSpec spec, KeptAtoms kept, Compute compute) {
        this.checkpoint = checkpoint;
        this.spec = spec;
        this.compute = compute;
        this.manager = NDManager.newBaseManager(compute.device());
        this.lanes = new Lanes(compute.lanes());
        this.weights = new Weights(checkpoint, kept, compute, compute.ahead() ? new Lanes(1) : lanes);
        this.spare = compute.ahead() ? new Weights(checkpoint, kept, compute, new Lanes(1)) : null;
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
        StoredMatrix table = checkpoint.matrix(DecoderSpec.EMBEDDING);
        int hidden = spec.hiddenSize();
        int tokens = batch.sequences() * batch.sequenceLength();
        int[] rows = new int[tokens];
        for (int i = 0; i < tokens; i++) {
            rows[i] = batch.ids()[i / batch.sequenceLength()][i % batch.sequenceLength()];
        }
        NativeTensor.Type type = compute.precision().vectors();
        try (WeightBuffer buffer = new WeightBuffer(); Scratch scratch = new Scratch()) {
            buffer.reset(WeightBuffer.aligned((long) tokens * hidden * type.bytes()));
            MemorySegment numbers = buffer.convert(table, type, rows, null);
            NDArray borrowed = NativeTensor.on(numbers, type, manager, tokens, hidden);
            if (compute.device().equals(Device.cpu())) {
                return scratch.keep(borrowed.duplicate());
            }
            return scratch.keep(borrowed.toDevice(compute.device(), true));
        }
    }

    /** Loads a layer, or takes it where it was loaded ahead; the part loaded before is dropped and must not be used again. */
    public DecoderLayer layer(int index) {
        return layer(index, DecoderLayer.Part.WHOLE);
    }

    /** As above, or only what {@link DecoderLayer#backwardToExperts} needs of a layer. */
    public DecoderLayer layer(int index, DecoderLayer.Part part) {
        if (index == coming && part == comingPart && arriving != null) {
            DecoderLayer ready = arrived();
            Weights done = weights;
            weights = spare;
            spare = done;
            return ready;
        }
        arrived();
        return load(index, part, weights);
    }

    /** Says which layer comes next, so that it can be read, or made, while this one computes. */
    public void expect(int index) {
        expect(index, DecoderLayer.Part.WHOLE);
    }

    /** As above, of a layer that will be loaded in part. */
    public void expect(int index, DecoderLayer.Part part) {
        if (index < 0 || index >= spec.layers().size()) {
            return;
        }
        coming = index;
        comingPart = part;
        if (compute.ahead()) {
            Weights into = spare;
            arriving = loader.submit(() -> load(index, part, into));
        } else {
            LayerSpec layer = spec.layers().get(index);
            loader.submit(() -> weights.readAhead(common(layer, part), spec.experts(layer), part == DecoderLayer.Part.DOWN));
        }
    }

    private DecoderLayer load(int index, DecoderLayer.Part part, Weights into) {
        LayerSpec layer = spec.layers().get(index);
        into.begin(common(layer, part), spec.experts(layer), part == DecoderLayer.Part.DOWN, 0);
        return part == DecoderLayer.Part.DOWN ? DecoderLayer.downOnly(this, layer, into) : new DecoderLayer(this, layer, into);
    }

    private List<String> common(LayerSpec layer, DecoderLayer.Part part) {
        return part == DecoderLayer.Part.DOWN ? List.of() : spec.commonTensors(layer);
    }

    /** Waits for what is on its way; {@code null} when nothing is. */
    private DecoderLayer arrived() {
        if (arriving == null) {
            return null;
        }
        try {
            return arriving.get();
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case RuntimeException cause -> throw cause;
                case Error cause -> throw cause;
                default -> throw new IllegalStateException(e.getCause());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while a layer was loaded", e);
        } finally {
            arriving = null;
            coming = -1;
        }
    }

    /**
     * Loads the final norm and some rows of the head; the part loaded before is dropped and must not be used again.
     *
     * @param from first row, a token id
     * @param to the row after the last
     */
    Head head(int from, int to) {
        arrived();
        weights.begin(List.of(DecoderSpec.FINAL_NORM), List.of(), false, (long) (to - from) * spec.hiddenSize());
        return new Head(new RmsNorm(weights.vector(DecoderSpec.FINAL_NORM), spec.rmsNormEps()),
                weights.matrixRows(spec.headTensor(), from, to),
                from);
    }

    /** Loads the whole head; the part loaded before is dropped and must not be used again. */
    public Head head() {
        return head(0, spec.vocabSize());
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
        loader.shutdown();
        try {
            loader.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        weights.close();
        if (spare != null) {
            spare.close();
        }
        manager.close();
    }
}
