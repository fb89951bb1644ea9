package io.espalier.transformer;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

import ai.djl.Device;
import io.espalier.architecture.DecoderSpec;
import io.espalier.architecture.DecoderSpec.Dense;
import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.architecture.DecoderSpec.Moe;
import io.espalier.architecture.DecoderSpec.QkNorm;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.transformer.Compute.Precision;

/**
 * How a pass over a model is fitted into a memory budget, decided before the first token: the first of these that fits, best first.
 *
 * <ol>
 * <li>on a GPU two layers at once, so that one is copied while the other computes; then one layer; then one expert a lane. On the CPU a lane that has one or
 * two micro-batches reads expert by expert anyway: converting an expert twice costs less than touching the memory of a whole layer</li>
 * <li>the residual stream between layers in memory; then in a spill file</li>
 * <li>micro-batches of about 2048 tokens; then fewer sequences, down to one</li>
 * <li>every core a lane; then fewer</li>
 * </ol>
 *
 * What is left of the budget then goes to {@link Tapes}: where they are kept, a layer's reverse pass computes nothing of its forward pass again.
 *
 * <p>
 * The estimate counts weights, activations and the residual stream, from the shapes, with a quarter more for what the allocator keeps. Java's own heap and
 * the mapped files, which the system can take back at any time, are not in it.
 *
 * @param compute what was decided for the arithmetic
 * @param sequencesPerBatch sequences of a micro-batch
 * @param spill whether the residual stream goes to a file
 * @param tapedLayers of how many of the last layers the reverse sweep finds what the forward one computed inside; the lowest that it reaches needs nothing
 * @param bytes the estimate
 */
public record MemoryPlan(Compute compute, int sequencesPerBatch, boolean spill, int tapedLayers, long bytes) {

    /** Tokens of a micro-batch, unless one sequence alone is longer: enough for matrix products to run at their peak. */
    private static final int MICRO_BATCH_TOKENS = 2048;

    /** The largest piece of the head that is loaded at once, where the whole does not fit beside the rest. */
    private static final long HEAD_PIECE_BYTES = 256L << 20;

    /** Blocks of scores or logits that live at once, see Attention and LossPass. */
    private static final long BLOCKS = 5 * (16L << 20);

    /**
     * What is to be computed.
     *
     * @param sequences of the pass
     * @param sequenceLength tokens each
     * @param kind what happens to them
     */
    public record Work(int sequences, int sequenceLength, Kind kind) {

        /** A forward pass, perhaps with a reverse sweep, which keeps every layer's input. */
        public Work(int sequences, int sequenceLength, boolean reverse) {
            this(sequences, sequenceLength, reverse ? Kind.REVERSE : Kind.FORWARD);
        }

        boolean reverse() {
            return kind == Kind.REVERSE;
        }

        boolean decodes() {
            return kind == Kind.DECODE;
        }
    }

    /** What is done with sequences. */
    public enum Kind {
        FORWARD, REVERSE,
        /** {@link GreedyDecoding}: one sequence a micro-batch, keys and values of all positions in memory, of a layer what is selected. */
        DECODE
    }

    /** The budget cannot hold even one expert and one sequence. */
    public static final class BudgetTooSmallException extends RuntimeException {

        private final long smallest;

        BudgetTooSmallException(long budget, long smallest) {
            super("memory budget: " + budget + " bytes (expected: at least " + smallest
                    + ", which hold one expert and one sequence of this model)");
            this.smallest = smallest;
        }

        /** Bytes that would do. */
        public long smallest() {
            return smallest;
        }
    }

    private enum Residency {
        TWO_LAYERS, ONE_LAYER, ONE_EXPERT
    }

    /**
     * Decides.
     *
     * @param lanes the most there may be: cores, or 1 for a GPU
     * @param budget bytes
     * @throws BudgetTooSmallException naming the smallest budget that would do
     */
    public static MemoryPlan of(DecoderSpec spec, Work work, Device device, Precision precision, int lanes, long budget) {
        Estimate estimate = new Estimate(spec, work, precision);
        MemoryPlan smallest = null;
        int most = work.decodes() ? 1 : Math.max(1, Math.min(work.sequences(), MICRO_BATCH_TOKENS / work.sequenceLength()));
        for (int lane = lanes; lane >= 1; lane = lane == 1 ? 0 : lane / 2) {
            for (int sequences = most; sequences >= 1; sequences /= 2) {
                for (boolean spill : new boolean[]{false, true}) {
                    for (Residency residency : Residency.values()) {
                        if (!suits(work, device, residency, Math.ceilDiv(work.sequences(), sequences), lane)) {
                            continue;
                        }
                        MemoryPlan plan = estimate.plan(device, lane, sequences, spill, residency);
                        if (plan.bytes <= budget) {
                            return estimate.taped(plan, budget);
                        }
                        smallest = plan;
                    }
                }
            }
        }
        throw new BudgetTooSmallException(budget, smallest.bytes);
    }

    /**
     * On the CPU, converting ahead takes the very cores that compute; and where few micro-batches use a layer, loading it whole does not pay. A single
     * position uses few experts of a layer on any device.
     */
    private static boolean suits(Work work, Device device, Residency residency, int microBatches, int lanes) {
        boolean cpu = device.equals(Device.cpu());
        return switch (residency) {
            case TWO_LAYERS -> !cpu && !work.decodes();
            case ONE_LAYER -> !work.decodes() && (!cpu || microBatches > 2 * lanes);
            case ONE_EXPERT -> true;
        };
    }

    /**
     * The same with the micro-batches that others used before: sums of other micro-batches have other last bits. Where this plan's are smaller because
     * memory is short, they stay.
     */
    public MemoryPlan withSequencesPerBatch(int sequences) {
        return sequences >= sequencesPerBatch ? this : new MemoryPlan(compute, sequences, spill, tapedLayers, bytes);
    }

    /** The same with micro-batches of half the sequences, for a device that ran out of memory all the same; {@code null} when one is the least. */
    public MemoryPlan halved() {
        return sequencesPerBatch == 1 ? null : new MemoryPlan(compute, sequencesPerBatch / 2, spill, 0, bytes);
    }

    /** What was decided, as words and numbers for a job's history. */
    public SequencedMap<String, Object> facts() {
        SequencedMap<String, Object> facts = new LinkedHashMap<>();
        facts.put("estimated_bytes", bytes);
        facts.put("weights", compute.ahead() ? "two layers" : compute.wholeLayers() ? "one layer" : "one expert a lane");
        facts.put("residual_stream", spill ? "spill file" : "memory");
        facts.put("sequences_per_micro_batch", sequencesPerBatch);
        facts.put("taped_layers", tapedLayers);
        facts.put("lanes", compute.lanes());
        facts.put("head_rows_at_once", compute.headRows());
        return facts;
    }

    /** Bytes of everything, from the shapes. Letters: t tokens of a micro-batch, d hidden, a bytes of an activation, m of a weight in a matrix. */
    private record Estimate(DecoderSpec spec, Work work, Precision precision) {

        MemoryPlan plan(Device device, int lanes, int sequences, boolean spill, Residency residency) {
            long m = precision.matrices().bytes();
            long a = precision.vectors().bytes();
            long common = 0;
            long experts = 0;
            long largest = 0;
            for (LayerSpec layer : spec.layers()) {
                common = Math.max(common, spec.commonElements(layer) * a);
                experts = Math.max(experts, spec.experts(layer).stream().mapToLong(e -> 3L * e.width() * spec.hiddenSize()).sum() * m);
                largest = Math.max(largest,
                        spec.experts(layer).stream().mapToLong(e -> 3L * e.width() * spec.hiddenSize()).max().orElse(0) * m);
            }
            long wholeHead = (long) spec.vocabSize() * spec.hiddenSize() * m;
            long layer = common + (residency == Residency.ONE_EXPERT ? 0 : experts);
            long head = Math.min(wholeHead, Math.max(HEAD_PIECE_BYTES, layer));
            long weights = (residency == Residency.TWO_LAYERS ? 2 : 1) * Math.max(layer, head)
                    + (residency == Residency.ONE_EXPERT
                            ? lanes * Math.max(largest, Math.min(experts, ExpertGroup.WEIGHTS_AT_ONCE * m))
                            : 0);
            long states = work.decodes()
                    ? decoding(a)
                    : spill
                            ? 0
                            : (long) ForwardPass.slots(spec.layers().size(), lowest()) * work.sequences() * work.sequenceLength()
                                    * spec.hiddenSize() * a;
            states += routerWeights(a);
            long activations = lanes * activations(Math.min(sequences, work.sequences()) * (long) work.sequenceLength(), a, m);
            int headRows = (int) Math.max(1, Math.min(spec.vocabSize(), head / (spec.hiddenSize() * m)));
            Compute compute = new Compute(device, precision, lanes, residency != Residency.ONE_EXPERT, residency == Residency.TWO_LAYERS,
                    headRows);
            return new MemoryPlan(compute, sequences, spill, 0, weights + states + activations + activations / 4);
        }

        /** What the lowest layer of the reverse sweep keeps of every token. */
        private long routerWeights(long a) {
            long positions = (long) work.sequences() * work.sequenceLength();
            return lowest() < spec.layers().size() && spec.layers().get(lowest()).mlp() instanceof Moe moe ? positions * moe.topK() * a : 0;
        }

        /** Keys and values of all positions, and the residual stream going into a layer and coming out. */
        private long decoding(long a) {
            long positions = (long) work.sequences() * work.sequenceLength();
            return KeyValues.bytes(spec, positions, (int) a) + 2 * positions * spec.hiddenSize() * a;
        }

        /** The lowest layer of the reverse sweep; the number of layers for none. */
        private int lowest() {
            return work.reverse() ? spec.lowestRouted() : spec.layers().size();
        }

        /** The same with tapes of as many of the last layers above the lowest as fit. */
        MemoryPlan taped(MemoryPlan plan, long budget) {
            List<LayerSpec> above = spec.layers().subList(Math.min(lowest() + 1, spec.layers().size()), spec.layers().size());
            long taken = 0;
            int layers = 0;
            for (LayerSpec layer : above.reversed()) {
                if (tape(layer) > budget - plan.bytes - taken) {
                    break;
                }
                taken += tape(layer);
                layers++;
            }
            return new MemoryPlan(plan.compute, plan.sequencesPerBatch, plan.spill, layers, plan.bytes + taken);
        }

        /** g and u of every token that passes an MLP of the layer, what attention keeps, and a quarter more. */
        private long tape(LayerSpec layer) {
            long heads = spec.attention().heads()
                    + (spec.attention().qkNorm() == QkNorm.NONE ? 0L : spec.attention().heads() + spec.attention().kvHeads())
                    + 2L * spec.attention().kvHeads();
            long attention = (heads * spec.attention().headDim() + spec.hiddenSize()) * precision.vectors().bytes();
            long widths = switch (layer.mlp()) {
                case Dense dense -> dense.mlp().width();
                case Moe moe -> (moe.shared() == null ? 0 : moe.shared().width())
                        + (long) moe.topK() * moe.experts().stream().mapToInt(ExpertTensors::width).max().orElse(0);
            };
            long bytes = (2 * widths * precision.matrices().bytes() + attention) * work.sequences() * work.sequenceLength();
            return bytes + bytes / 4;
        }

        /** The most that one lane holds: what lives through a whole layer, and the larger of its two halves. */
        private long activations(long t, long a, long m) {
            long d = spec.hiddenSize();
            long queries = (long) spec.attention().heads() * spec.attention().headDim();
            long keys = (long) spec.attention().kvHeads() * spec.attention().headDim();
            long through = t * a * (8 * d + 4 * queries + 4 * keys);
            long attention = t * a * (8 * queries + 4 * keys + 3 * d) + Math.max(BLOCKS, scores(a));
            long mlp = 0;
            for (LayerSpec layer : spec.layers()) {
                mlp = Math.max(mlp, switch (layer.mlp()) {
                    case Dense dense -> inPieces(t, dense.mlp().width(), a, m);
                    case Moe moe -> Math.max(moe.shared() == null ? 0 : inPieces(t, moe.shared().width(), a, m),
                            gated(t, moe.experts().stream().mapToInt(ExpertTensors::width).max().orElse(0), a, m))
                            + t * a * (4L * moe.experts().size() + 2 * d);
                });
            }
            return through + Math.max(attention, mlp);
        }

        /** p, dp and dscores of a block of queries of one key head. */
        private long scores(long a) {
            long queries = Math.min(work.sequenceLength(), Positions.QUERIES_AT_ONCE);
            return 3 * queries * work.sequenceLength() * (spec.attention().heads() / spec.attention().kvHeads()) * a;
        }

        /** Of a GatedMlp computed piece by piece: those of one, and the sum of the pieces before. What of it goes on a tape is counted there. */
        private long inPieces(long t, long width, long a, long m) {
            return gated(t, Math.min(width, GatedMlp.ATOMS_AT_ONCE), a, m) + t * spec.hiddenSize() * a;
        }

        /** g, u, silu(g), a, da and two temporaries of the width; x, dy, dx and two temporaries of the residual stream; at worst all tokens go here. */
        private long gated(long t, long width, long a, long m) {
            return t * (7 * width * m + 5 * spec.hiddenSize() * a);
        }
    }
}
