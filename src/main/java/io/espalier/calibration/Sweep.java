package io.espalier.calibration;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.corpus.TokenWindows;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Progress;
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
 * pass the gradient down. It goes down to the lowest layer that has routed experts, and there no further than to their {@code da}: their activations are
 * counted in the forward half, and nothing below is asked. Weights never get gradients. Methods that need no gradient stop after the forward half.
 */
public final class Sweep {

    private final Decoder decoder;
    private final TokenWindows windows;
    private final Set<Moment> moments;
    private final String fingerprint;
    private final MemoryPlan plan;
    private final Path workDirectory;
    private final DataType compute;
    private final int lowest;

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
        this.lowest = moments.contains(Moment.GRADIENT_SQUARED) ? decoder.spec().lowestRouted() : decoder.spec().layers().size();
    }

    /** Windows that share a micro-batch. A slice that begins and ends on a multiple of it is counted bit by bit as in the whole. */
    public int windowsPerBatch() {
        return plan.sequencesPerBatch();
    }

    /** Sweeps all windows. */
    public ExpertStatistics run(PhaseProgress progress) {
        return run(new Slice(0, windows.windows()), progress);
    }

    /** Sweeps some windows. */
    public ExpertStatistics run(Slice slice, PhaseProgress progress) {
        return run(slice, SavePoints.NONE, progress);
    }

    /**
     * Sweeps some windows, or what is left of them.
     *
     * @param saves where the reverse half saves how far it is; what an earlier sweep saved there is gone on from, to the same bits
     * @throws io.espalier.transformer.NotFiniteException when a weight, an activation or the loss is not a number
     */
    public ExpertStatistics run(Slice slice, SavePoints saves, PhaseProgress progress) {
        boolean reverse = lowest < decoder.spec().layers().size();
        List<TokenBatch> batches = batches(slice);
        SavePoint.Subject subject = subject(slice, batches);
        long tokens = batches.stream().mapToLong(TokenBatch::realTokens).sum();
        try (SavePoint found = reverse ? saves.find(subject) : null) {
            int layers = found == null ? subject.layers() : found.layer();
            Counter counter = new Counter(found == null ? ExpertStatistics.zero(fingerprint, widths(), moments) : found.statistics());
            Pace pace = new Pace(progress, lowest, subject.layers(), layers, batches.size(), tokens);
            try (HiddenStates states = HiddenStates.create(ForwardPass.slots(layers, lowest), tokens, subject.hidden(), compute,
                    plan.spill(), workDirectory);
                    ForwardPass forward = new ForwardPass(decoder, batches, states, lowest, plan.tapedLayers())) {
                int[][][] selected = forward.run(layers, reverse ? counter.ofLayer(lowest) : counter, (layer, _) -> pace.done(layer, 1));
                if (found == null) {
                    loss(batches, forward, states, counter.statistics, reverse);
                    progress.progress().figure(Progress.Figure.LOSS, counter.statistics.meanLoss());
                } else {
                    restore(found, batches, states);
                }
                if (reverse) {
                    reverse(batches, forward, states, selected, counter, pace, new Saving(saves, subject));
                }
            }
            counter.statistics.finish(slice, tokens);
            return counter.statistics;
        }
    }

    private SavePoint.Subject subject(Slice slice, List<TokenBatch> batches) {
        return new SavePoint.Subject(fingerprint, widths(), moments, slice, windowsPerBatch(),
                compute == DataType.FLOAT64 ? DType.F64 : DType.F32, batches.stream().mapToLong(Sweep::rows).sum(),
                decoder.spec().hiddenSize(), decoder.spec().layers().size());
    }

    private static int rows(TokenBatch batch) {
        return batch.sequences() * batch.sequenceLength();
    }

    private void restore(SavePoint found, List<TokenBatch> batches, HiddenStates states) {
        long at = 0;
        for (int b = 0; b < batches.size(); b++) {
            long bytes = states.blockBytes(rows(batches.get(b)), decoder.spec().hiddenSize());
            states.put(ForwardPass.FREE, b, found.gradient().asSlice(at, bytes));
            at += bytes;
        }
    }

    private void loss(List<TokenBatch> batches, ForwardPass forward, HiddenStates states, ExpertStatistics statistics, boolean reverse) {
        double[] losses = new LossPass(decoder, batches, forward::output, reverse ? states : null, ForwardPass.FREE).run();
        for (int b = 0; b < losses.length; b++) {
            statistics.addLoss(losses[b], batches.get(b).predictedTokens());
        }
    }

    private void reverse(List<TokenBatch> batches, ForwardPass forward, HiddenStates states, int[][][] selected, Counter counter,
            Pace pace, Saving saving) {
        saving.saves.begin();
        for (int l = selected.length - 1; l > lowest; l--) {
            DecoderLayer layer = decoder.layer(l);
            decoder.expect(l - 1, l - 1 == lowest ? DecoderLayer.Part.DOWN : DecoderLayer.Part.WHOLE);
            int at = l;
            decoder.lanes().forEach(batches.size(), b -> {
                try (Scratch _ = new Scratch()) {
                    NDArray dy = gradient(states, b, batches.get(b));
                    NDArray dx = forward.backward(layer, b, dy, selected[at][b], counter);
                    dy.close();
                    states.put(ForwardPass.FREE, b, dx);
                }
            }, _ -> pace.done(at, Pace.REVERSE));
            saving.layerDone(l, counter.statistics, pace, writer -> gradient(batches, states, writer));
        }
        if (selected.length > lowest) {
            DecoderLayer layer = decoder.layer(lowest, DecoderLayer.Part.DOWN);
            decoder.lanes().forEach(batches.size(), b -> {
                try (Scratch _ = new Scratch()) {
                    forward.backwardToExperts(layer, b, gradient(states, b, batches.get(b)), selected[lowest][b], counter);
                }
            }, _ -> pace.done(lowest, Pace.LOWEST));
        }
    }

    private NDArray gradient(HiddenStates states, int b, TokenBatch batch) {
        return states.get(ForwardPass.FREE, b, rows(batch), decoder.spec().hiddenSize(), decoder.manager());
    }

    private void gradient(List<TokenBatch> batches, HiddenStates states, SafetensorsWriter writer) {
        for (int b = 0; b < batches.size(); b++) {
            try (Arena reading = Arena.ofConfined()) {
                writer.write(states.bytes(ForwardPass.FREE, b, rows(batches.get(b)), decoder.spec().hiddenSize(), reading));
            }
        }
    }

    /** Saves at a layer's end: when it is cheap, and when whoever watches wants the sweep to end at such a place. */
    private final class Saving {

        private final SavePoints saves;
        private final SavePoint.Subject subject;

        private Saving(SavePoints saves, SavePoint.Subject subject) {
            this.saves = saves;
            this.subject = subject;
        }

        private void layerDone(int layer, ExpertStatistics statistics, Pace pace, Consumer<SafetensorsWriter> gradient) {
            int firstExpert = (int) decoder.spec().experts().stream().filter(expert -> expert.layer() < layer).count();
            if (pace.answer == Progress.Answer.SAVE) {
                if (saves.saveLast(subject, layer, statistics, firstExpert, gradient)) {
                    throw new Progress.StoppedException(pace.progress.phase());
                }
            } else if (saves.due(subject.bytes(firstExpert))) {
                saves.save(subject, layer, statistics, firstExpert, gradient);
            }
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
            gradient(da);
        }

        @Override
        public void gradient(ExpertRows da) {
            add(Moment.GRADIENT_SQUARED, da);
        }

        /** Counts forward what is of one layer: the others are counted where they are computed again. */
        private ExpertObserver ofLayer(int layer) {
            return new ExpertObserver() {
                @Override
                public void forward(ExpertRows a) {
                    if (a.layer() == layer) {
                        Counter.this.forward(a);
                    }
                }
            };
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

    /** Turns finished layer passes into progress; a reverse pass counts as two, but in the lowest layer, where it is short. */
    private static final class Pace {

        private static final int REVERSE = 2;
        private static final int LOWEST = 1;

        private final PhaseProgress progress;
        private final long total;
        private final long before;
        private final long tokens;
        private final int layers;
        private final long began = System.nanoTime();
        private long done;
        private Progress.Answer answer = Progress.Answer.GO_ON;

        /**
         * @param lowest layer that is reversed
         * @param layers of the model
         * @param left layers that are not done yet
         */
        private Pace(PhaseProgress progress, int lowest, int layers, int left, int batches, long tokens) {
            this.progress = progress;
            this.total = passes(layers, lowest) * batches;
            this.before = total - passes(left, lowest) * batches;
            this.tokens = tokens;
            this.layers = layers;
        }

        /** Through the first layers and back. */
        private static long passes(int layers, int lowest) {
            return layers + (layers > lowest ? (long) REVERSE * (layers - 1 - lowest) + LOWEST : 0);
        }

        private void done(int layer, int passes) {
            done += passes;
            answer = progress.at((double) (before + done) / total, layer, layers,
                    (double) done / total * tokens / ((System.nanoTime() - began) * 1e-9));
        }
    }
}
