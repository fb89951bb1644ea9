package io.espalier.calibration;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.corpus.TokenWindows;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Slice;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.DecoderLayer;
import io.espalier.transformer.ExpertObserver;
import io.espalier.transformer.ExpertRows;
import io.espalier.transformer.ForwardPass;
import io.espalier.transformer.HiddenStates;
import io.espalier.transformer.LossPass;
import io.espalier.transformer.MemoryPlan;
import io.espalier.transformer.Scratch;
import io.espalier.transformer.TokenBatch;

/**
 * One sweep over calibration tokens with one layer's weights in memory at a time. Forward, layer by layer, storing each layer's input and
 * routing; the loss and its gradient at the top; then the layers in reverse: load, compute again from the stored input, vector-Jacobian product, count,
 * pass the gradient down. Weights never get gradients. Methods that need no gradient stop after the forward half.
 */
public final class Sweep {

    private final Decoder decoder;
    private final TokenWindows windows;
    private final Set<Moment> moments;
    private final String fingerprint;
    private final MemoryPlan plan;
    private final Path workDirectory;
    private final DataType compute;

    /**
     * @param moments what to count beside routed tokens
     * @param fingerprint of everything the numbers depend on
     * @param plan how the decoder was opened, how long a micro-batch is, and whether layer inputs go to a file
     * @param workDirectory of that file
     */
    public Sweep(Decoder decoder, TokenWindows windows, Set<Moment> moments, String fingerprint, MemoryPlan plan, Path workDirectory) {
        this.decoder = decoder;
        this.windows = windows;
        this.moments = moments;
        this.fingerprint = fingerprint;
        this.plan = plan;
        this.workDirectory = workDirectory;
        this.compute = decoder.compute().precision().activations();
    }

    /** Windows that share a micro-batch. A slice that begins and ends on a multiple of it is counted bit by bit as in the whole. */
    public int windowsPerBatch() {
        return plan.sequencesPerBatch();
    }

    /** Sweeps all windows. */
    public ExpertStatistics run(PhaseProgress progress) {
        return run(new Slice(0, windows.windows()), progress);
    }

    /**
     * Sweeps some windows.
     *
     * @throws io.espalier.transformer.NotFiniteException when a weight, an activation or the loss is not a number
     */
    public ExpertStatistics run(Slice slice, PhaseProgress progress) {
        boolean reverse = moments.contains(Moment.GRADIENT_SQUARED);
        List<TokenBatch> batches = batches(slice);
        int layers = decoder.spec().layers().size();
        long tokens = batches.stream().mapToLong(TokenBatch::realTokens).sum();
        Counter counter = new Counter(ExpertStatistics.zero(fingerprint, widths(), moments));
        Pace pace = new Pace(progress, (reverse ? 3 : 1) * layers * batches.size(), tokens, layers);
        try (HiddenStates states = HiddenStates.create(reverse ? layers + 2 : 2, tokens, decoder.spec().hiddenSize(), compute, plan.spill(),
                workDirectory); ForwardPass forward = new ForwardPass(decoder, batches, states, reverse ? plan.tapedLayers() : 0)) {
            int[][][] selected = forward.run(reverse, reverse ? ExpertObserver.NONE : counter, (layer, _) -> pace.done(layer, 1));
            loss(batches, forward, states, counter.statistics, reverse);
            if (reverse) {
                reverse(batches, forward, states, selected, counter, pace);
            }
        }
        counter.statistics.finish(slice, tokens);
        return counter.statistics;
    }

    private void loss(List<TokenBatch> batches, ForwardPass forward, HiddenStates states, ExpertStatistics statistics, boolean reverse) {
        int gradientSlot = decoder.spec().layers().size() + 1;
        double[] losses = new LossPass(decoder, batches, b -> forward.output(b, reverse), reverse ? states : null, gradientSlot).run();
        for (int b = 0; b < losses.length; b++) {
            statistics.addLoss(losses[b], batches.get(b).predictedTokens());
        }
    }

    private void reverse(List<TokenBatch> batches, ForwardPass forward, HiddenStates states, int[][][] selected, Counter counter,
            Pace pace) {
        int layers = decoder.spec().layers().size();
        int gradientSlot = layers + 1;
        int hidden = decoder.spec().hiddenSize();
        for (int l = layers - 1; l >= 0; l--) {
            DecoderLayer layer = decoder.layer(l);
            decoder.expect(l - 1);
            int at = l;
            decoder.lanes().forEach(batches.size(), b -> {
                TokenBatch batch = batches.get(b);
                int rows = batch.sequences() * batch.sequenceLength();
                try (Scratch _ = new Scratch()) {
                    NDArray dy = states.get(gradientSlot, b, rows, hidden, decoder.manager());
                    NDArray dx = forward.backward(layer, b, dy, selected[at][b], counter);
                    dy.close();
                    states.put(gradientSlot, b, dx);
                }
            }, _ -> pace.done(at, 2));
        }
    }

    private List<TokenBatch> batches(Slice slice) {
        List<TokenBatch> batches = new ArrayList<>();
        int each = windowsPerBatch();
        int from = slice.from();
        while (from < slice.to()) {
            // micro-batches lie on one grid, so that a slice cuts the set where the whole would
            int to = Math.min(slice.to(), (from / each + 1) * each);
            batches.add(TokenBatch.of(java.util.Arrays.copyOfRange(windows.ids(), from, to)));
            from = to;
        }
        return batches;
    }

    private int[] widths() {
        return decoder.spec().experts().stream().mapToInt(ExpertTensors::width).toArray();
    }

    /** Fills the statistics; sums of one micro-batch in float64 on the device, running sums in {@link ExactSum}. */
    private final class Counter implements ExpertObserver {

        private final ExpertStatistics statistics;
        private final Map<Long, Integer> ordinals = new HashMap<>();

        private Counter(ExpertStatistics statistics) {
            this.statistics = statistics;
            List<ExpertTensors> experts = decoder.spec().experts();
            for (int i = 0; i < experts.size(); i++) {
                ordinals.put(key(experts.get(i).layer(), experts.get(i).expert()), i);
            }
        }

        @Override
        public void forward(ExpertRows a) {
            for (int i = 0; i < a.experts().length; i++) {
                statistics.addTokens(ordinal(a, i), a.counts()[i]);
            }
            if (moments.contains(Moment.ACTIVATION_SQUARED)) {
                add(Moment.ACTIVATION_SQUARED, a);
            }
        }

        @Override
        public void backward(ExpertRows a, ExpertRows da) {
            forward(a);
            add(Moment.GRADIENT_SQUARED, da);
        }

        private void add(Moment moment, ExpertRows rows) {
            double[][] sums = rows.sumsOfSquares();
            for (int i = 0; i < sums.length; i++) {
                statistics.add(moment, ordinal(rows, i), sums[i]);
            }
        }

        private int ordinal(ExpertRows rows, int i) {
            return ordinals.get(key(rows.layer(), rows.experts()[i]));
        }

        private static long key(int layer, int expert) {
            return (long) layer << 32 | expert;
        }
    }

    /** Turns finished layer passes into progress; a reverse pass computes a layer anew and counts as two. */
    private static final class Pace {

        private final PhaseProgress progress;
        private final long total;
        private final long tokens;
        private final int layers;
        private final long began = System.nanoTime();
        private long done;

        private Pace(PhaseProgress progress, long total, long tokens, int layers) {
            this.progress = progress;
            this.total = total;
            this.tokens = tokens;
            this.layers = layers;
        }

        private void done(int layer, int passes) {
            done += passes;
            double share = (double) done / total;
            progress.at(share, layer, layers, share * tokens / ((System.nanoTime() - began) * 1e-9));
        }
    }
}
