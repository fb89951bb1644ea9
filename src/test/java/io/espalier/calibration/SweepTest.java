package io.espalier.calibration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.corpus.TokenWindows;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Slice;
import io.espalier.transformer.AutogradTwin;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Compute.Precision;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.DecoderLayer;
import io.espalier.transformer.ExpertObserver;
import io.espalier.transformer.ExpertRows;
import io.espalier.transformer.HiddenStates;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.LossPass;
import io.espalier.transformer.MemoryPlan;
import io.espalier.transformer.RandomModel;
import io.espalier.transformer.Scratch;
import io.espalier.transformer.TokenBatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The streamed sweep against whole-graph autograd, and its statistics as a monoid. */
class SweepTest {

    private static final EnumSet<Moment> BOTH = EnumSet.allOf(Moment.class);

    private final List<Decoder> opened = new java.util.concurrent.CopyOnWriteArrayList<>();

    @TempDir
    Path directory;

    @AfterEach
    void closeDecoders() {
        opened.forEach(Decoder::close);
    }

    @ParameterizedTest
    @EnumSource(RandomModel.class)
    void streamingInReverseEqualsWholeGraphAutograd(RandomModel model) {
        TokenWindows windows = windows(3, 11);
        try (Checkpoint checkpoint = Checkpoint.open(model.write(directory, 5));
                NDManager manager = NDManager.newBaseManager(Device.cpu())) {
            Map<String, AutogradTwin.Seen> seen = new HashMap<>();
            double loss = 0;
            AutogradTwin twin = new AutogradTwin(checkpoint, manager);
            for (int[] ids : windows.ids()) {
                loss += twin.run(ids, seen);
            }
            for (Precision precision : List.of(Precision.FLOAT64, Precision.FLOAT32)) {
                double tolerance = precision == Precision.FLOAT64 ? 1e-10 : 1e-5;
                ExpertStatistics statistics = sweep(checkpoint, windows, precision, false).run(PhaseProgress.IGNORED);
                assertThat(statistics.meanLoss() * 30).isCloseTo(loss, within(tolerance * loss));
                List<ExpertTensors> experts = Architecture.specOf(checkpoint).experts();
                for (int e = 0; e < experts.size(); e++) {
                    AutogradTwin.Seen twins = seen.get(experts.get(e).layer() + ":" + experts.get(e).expert());
                    assertThat(statistics.routedTokens(e)).isEqualTo(twins.a().size());
                    if (!twins.a().isEmpty()) {
                        assertClose(statistics.mean(Moment.ACTIVATION_SQUARED, e), meanSquare(twins.a()), tolerance);
                        assertClose(statistics.mean(Moment.GRADIENT_SQUARED, e), meanSquare(twins.da()), tolerance);
                    }
                }
            }
        }
    }

    /** The slow twin: every layer's whole vector-Jacobian product, down to the embedding, and both moments counted there. */
    @ParameterizedTest
    @EnumSource(RandomModel.class)
    void aReverseThatEndsAtTheLowestExpertsHasTheBitsOfOneThatGoesThroughEveryLayer(RandomModel model) {
        TokenWindows windows = windows(20, 64);
        for (Precision precision : List.of(Precision.FLOAT32, Precision.BFLOAT16)) {
            try (Checkpoint checkpoint = Checkpoint.open(model.write(directory.resolve(precision.name()), 5))) {
                Compute compute = new Compute(Device.cpu(), precision, 1, true, false, 50);
                for (int taped = 0; taped <= 2; taped++) {
                    ExpertStatistics swept = sweep(checkpoint, windows, false, compute, taped).run(PhaseProgress.IGNORED);
                    assertSame(swept, throughEveryLayer(checkpoint, windows, compute));
                }
            }
        }
    }

    private ExpertStatistics throughEveryLayer(Checkpoint checkpoint, TokenWindows windows, Compute compute) {
        Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, compute);
        opened.add(decoder);
        int layers = decoder.spec().layers().size();
        int hidden = decoder.spec().hiddenSize();
        List<ExpertTensors> experts = decoder.spec().experts();
        ExpertStatistics counted = ExpertStatistics.zero("test", experts.stream().mapToInt(ExpertTensors::width).toArray(), BOTH);
        ExpertObserver counter = new ExpertObserver() {
            @Override
            public void backward(ExpertRows a, ExpertRows da) {
                for (int i = 0; i < a.experts().length; i++) {
                    int expert = a.experts()[i];
                    int ordinal = IntStream.range(0, experts.size())
                            .filter(e -> experts.get(e).layer() == a.layer() && experts.get(e).expert() == expert).findFirst()
                            .orElseThrow();
                    counted.addTokens(ordinal, a.counts()[i]);
                    counted.add(Moment.ACTIVATION_SQUARED, ordinal, a.sumsOfSquares()[i]);
                    counted.add(Moment.GRADIENT_SQUARED, ordinal, da.sumsOfSquares()[i]);
                }
            }
        };
        int each = 2048 / windows.length();
        for (int from = 0; from < windows.windows(); from += each) {
            TokenBatch batch = TokenBatch.of(Arrays.copyOfRange(windows.ids(), from, Math.min(windows.windows(), from + each)));
            try (Scratch _ = new Scratch();
                    HiddenStates gradient = HiddenStates.create(1, batch.realTokens(), hidden,
                            compute.precision().activations(), false, directory)) {
                List<NDArray> inputs = new ArrayList<>(List.of(decoder.embed(batch)));
                List<int[]> selected = new ArrayList<>();
                for (int l = 0; l < layers; l++) {
                    DecoderLayer.Result result = decoder.layer(l).forward(inputs.get(l), batch, ExpertObserver.NONE);
                    inputs.add(result.y());
                    selected.add(result.selected());
                }
                new LossPass(decoder, List.of(batch), _ -> inputs.getLast(), gradient, 0).run();
                NDArray dy = gradient.get(0, 0, (int) batch.realTokens(), hidden, decoder.manager());
                for (int l = layers - 1; l >= 0; l--) {
                    dy = decoder.layer(l).backward(inputs.get(l), dy, batch, selected.get(l), counter);
                }
            }
        }
        counted.finish(new Slice(0, windows.windows()), (long) windows.windows() * windows.length());
        return counted;
    }

    @Test
    void statesInASpillFileGiveTheSameBitsAsStatesInMemory() {
        TokenWindows windows = windows(4, 16);
        try (Checkpoint checkpoint = Checkpoint.open(RandomModel.QWEN3_MOE.write(directory.resolve("model"), 5))) {
            ExpertStatistics inMemory = sweep(checkpoint, windows, Precision.FLOAT32, false).run(PhaseProgress.IGNORED);
            ExpertStatistics spilled = sweep(checkpoint, windows, Precision.FLOAT32, true).run(PhaseProgress.IGNORED);
            assertSame(spilled, inMemory);
            assertThat(directory.toFile().list()).containsExactly("model");
        }
    }

    @Test
    void slicesMergedInAnyOrderGiveTheBitsOfTheWhole() {
        TokenWindows windows = windows(300, 64);
        try (Checkpoint checkpoint = Checkpoint.open(RandomModel.DEEPSEEK.write(directory, 5))) {
            Sweep sweep = sweep(checkpoint, windows, Precision.FLOAT32, false);
            int step = sweep.windowsPerBatch();
            ExpertStatistics whole = sweep.run(PhaseProgress.IGNORED);
            ExpertStatistics first = sweep.run(new Slice(0, 3 * step), PhaseProgress.IGNORED);
            ExpertStatistics second = sweep.run(new Slice(3 * step, 5 * step), PhaseProgress.IGNORED);
            ExpertStatistics third = sweep.run(new Slice(5 * step, 300), PhaseProgress.IGNORED);
            assertSame(first.merge(second).merge(third), whole);
            assertSame(third.merge(first.merge(second)), whole);
            assertSame(second.merge(third.merge(first)), whole);
        }
    }

    @Test
    void expertsReadOneByOneGiveTheBitsOfLayersReadWhole() {
        TokenWindows windows = windows(100, 64);
        try (Checkpoint checkpoint = Checkpoint.open(RandomModel.QWEN3_MOE.write(directory, 5))) {
            ExpertStatistics whole = sweep(checkpoint, windows, Precision.FLOAT32, false).run(PhaseProgress.IGNORED);
            assertSame(sweep(checkpoint, windows, false, new Compute(Device.cpu(), Precision.FLOAT32, 2, false, false, 50))
                    .run(PhaseProgress.IGNORED), whole);
        }
    }

    @ParameterizedTest
    @EnumSource(RandomModel.class)
    void tapesDoNotChangeABit(RandomModel model) {
        TokenWindows windows = windows(70, 64);
        for (Precision precision : List.of(Precision.FLOAT32, Precision.BFLOAT16)) {
            try (Checkpoint checkpoint = Checkpoint.open(model.write(directory.resolve(precision.name()), 5))) {
                Compute compute = new Compute(Device.cpu(), precision, 2, true, false, 50);
                ExpertStatistics untaped = sweep(checkpoint, windows, false, compute, 0).run(PhaseProgress.IGNORED);
                for (int taped = 1; taped <= 3; taped++) {
                    assertSame(sweep(checkpoint, windows, false, compute, taped).run(PhaseProgress.IGNORED), untaped);
                }
            }
        }
    }

    /** Stands in for a GPU, of which there is none: to the engine the same processor, to us another device, so that everything is copied to it. */
    @Test
    void aDeviceThatIsNotTheHostGivesTheBitsOfTheHost() {
        TokenWindows windows = windows(100, 64);
        for (Precision precision : List.of(Precision.FLOAT32, Precision.BFLOAT16)) {
            try (Checkpoint checkpoint = Checkpoint.open(RandomModel.QWEN2_MOE.write(directory.resolve(precision.name()), 5))) {
                ExpertStatistics host = sweep(checkpoint, windows, precision, false).run(PhaseProgress.IGNORED);
                Compute elsewhere = new Compute(Device.of("cpu", 0), precision, 1, true, true, 50);
                assertSame(sweep(checkpoint, windows, false, elsewhere).run(PhaseProgress.IGNORED), host);
            }
        }
    }

    @Test
    void theNumberOfLanesDoesNotChangeABit() {
        TokenWindows windows = windows(200, 64);
        try (Checkpoint checkpoint = Checkpoint.open(RandomModel.QWEN2_MOE.write(directory, 5))) {
            ExpertStatistics alone = sweep(checkpoint, windows, false, new Compute(Device.cpu(), Precision.FLOAT32, 1, true, false, 50))
                    .run(PhaseProgress.IGNORED);
            ExpertStatistics together = sweep(checkpoint, windows, false, new Compute(Device.cpu(), Precision.FLOAT32, 5, true, true, 50))
                    .run(PhaseProgress.IGNORED);
            assertSame(together, alone);
            assertThat(together.meanLoss()).isEqualTo(alone.meanLoss());
        }
    }

    @Test
    void statisticsSurviveBeingWrittenAndRead() {
        try (Checkpoint checkpoint = Checkpoint.open(RandomModel.MIXTRAL.write(directory, 5))) {
            ExpertStatistics statistics = sweep(checkpoint, windows(2, 9), Precision.FLOAT32, false).run(PhaseProgress.IGNORED);
            Path file = directory.resolve("statistics.safetensors");
            statistics.write(file);
            ExpertStatistics read = ExpertStatistics.read(file);
            assertSame(read, statistics);
            assertThat(read.fingerprint()).isEqualTo(statistics.fingerprint());
            assertThat(read.meanLoss()).isEqualTo(statistics.meanLoss());
            assertThatThrownBy(() -> read.merge(statistics)).isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("would count twice");
            ExpertStatistics foreign = ExpertStatistics.zero("another", new int[]{1}, BOTH);
            assertThatThrownBy(() -> read.merge(foreign)).hasMessageContaining("another")
                    .hasMessageContaining("statistics of one calibration");
        }
    }

    @Test
    void twoThreadsSweepAtOnceWithoutDisturbingEachOther() throws Exception {
        TokenWindows windows = windows(4, 16);
        try (Checkpoint checkpoint = Checkpoint.open(RandomModel.OLMOE.write(directory, 5));
                ExecutorService pool = Executors.newFixedThreadPool(2)) {
            ExpertStatistics alone = sweep(checkpoint, windows, Precision.FLOAT32, false).run(PhaseProgress.IGNORED);
            Callable<ExpertStatistics> task = () -> sweep(checkpoint, windows, Precision.FLOAT32, false)
                    .run(PhaseProgress.IGNORED);
            for (Future<ExpertStatistics> each : pool.invokeAll(java.util.Collections.nCopies(6, task))) {
                assertSame(each.get(), alone);
            }
        }
    }

    private Sweep sweep(Checkpoint checkpoint, TokenWindows windows, Precision precision, boolean spill) {
        return sweep(checkpoint, windows, spill, new Compute(Device.cpu(), precision, 2, true, false, 50));
    }

    private Sweep sweep(Checkpoint checkpoint, TokenWindows windows, boolean spill, Compute compute) {
        return sweep(checkpoint, windows, spill, compute, 0);
    }

    private Sweep sweep(Checkpoint checkpoint, TokenWindows windows, boolean spill, Compute compute, int taped) {
        MemoryPlan plan = new MemoryPlan(compute, Math.max(1, 2048 / windows.length()), spill, taped, 0);
        Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, compute);
        opened.add(decoder);
        return new Sweep(decoder, windows, BOTH, "test", plan, directory);
    }

    private static TokenWindows windows(int count, int length) {
        Random random = new Random(count);
        int[][] ids = new int[count][];
        for (int i = 0; i < count; i++) {
            ids[i] = random.ints(length, 0, 50).toArray();
        }
        return TokenWindows.of(ids);
    }

    private static double[] meanSquare(List<double[]> rows) {
        double[] mean = new double[rows.get(0).length];
        for (double[] row : rows) {
            for (int k = 0; k < mean.length; k++) {
                mean[k] += row[k] * row[k] / rows.size();
            }
        }
        return mean;
    }

    private static void assertClose(double[] given, double[] expected, double tolerance) {
        double largest = Arrays.stream(expected).max().orElse(0);
        for (int k = 0; k < expected.length; k++) {
            assertThat(given[k]).isCloseTo(expected[k], within(tolerance * largest));
        }
    }

    private static void assertSame(ExpertStatistics given, ExpertStatistics expected) {
        assertThat(given.tokens()).isEqualTo(expected.tokens());
        for (int e = 0; e < expected.experts(); e++) {
            assertThat(given.routedTokens(e)).isEqualTo(expected.routedTokens(e));
            for (Moment moment : BOTH) {
                assertThat(given.mean(moment, e)).isEqualTo(expected.mean(moment, e));
            }
        }
    }
}
