package io.espalier.calibration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;

import ai.djl.Device;
import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.SafetensorsFile;
import io.espalier.corpus.TokenWindows;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Progress;
import io.espalier.recipe.Progress.Answer;
import io.espalier.recipe.Slice;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Compute.Precision;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.Fixture;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.MemoryPlan;
import io.espalier.transformer.RandomModel;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Sweeps that end at a layer and go on elsewhere. */
class SavePointsTest {

    private static final Set<Moment> BOTH = EnumSet.allOf(Moment.class);
    private static final int NOWHERE = -1;

    @TempDir
    Path directory;
    private Path file;
    private final List<String> told = new ArrayList<>();
    private final List<Integer> layers = new ArrayList<>();

    @BeforeEach
    void place() {
        file = directory.resolve("savepoints/job_1-3");
    }

    @ParameterizedTest
    @EnumSource(RandomModel.class)
    void aSweepThatGoesOnBelowAnyLayerHasTheBitsOfAnUndisturbedOne(RandomModel model) throws IOException {
        TokenWindows windows = windows(19, 32);
        for (Precision precision : List.of(Precision.FLOAT32, Precision.BFLOAT16)) {
            Path written = model.write(directory.resolve(precision.name()), 5);
            goesOnBelowEveryLayer(written, windows, plan(precision, 1, false, 0));
            goesOnBelowEveryLayer(written, windows, plan(precision, 1, true, 2));
            goesOnBelowEveryLayer(written, windows, plan(precision, 3, false, 3));
        }
    }

    private static MemoryPlan plan(Precision precision, int lanes, boolean spill, int taped) {
        return new MemoryPlan(new Compute(Device.cpu(), precision, lanes, true, false, 50), 4, spill, taped, 0);
    }

    @ParameterizedTest
    @EnumSource(value = Fixture.class, names = {"QWEN2_MOE", "DEEPSEEK_MOE"})
    void soItIsOnTrainedModels(Fixture fixture) throws IOException {
        TokenWindows windows;
        try (SafetensorsFile calibration = SafetensorsFile.open(fixture.reference("calib_ids.safetensors"))) {
            String name = calibration.tensors().firstEntry().getKey();
            int length = Math.toIntExact(calibration.tensor(name).dim(1));
            int[] ids = Arrays.stream(calibration.longs(name)).mapToInt(Math::toIntExact).toArray();
            int[][] cut = new int[7][];
            for (int i = 0; i < cut.length; i++) {
                cut[i] = Arrays.copyOfRange(ids, i * length, (i + 1) * length);
            }
            windows = TokenWindows.of(cut);
        }
        for (Precision precision : List.of(Precision.FLOAT32, Precision.BFLOAT16)) {
            Compute compute = new Compute(Device.cpu(), precision, 2, true, false, 1000);
            goesOnBelowEveryLayer(fixture.model(), windows, new MemoryPlan(compute, 2, precision == Precision.BFLOAT16, 1, 0));
        }
    }

    /** The whole slice undisturbed; stopped once at every layer; and stopped at each layer one after the other. */
    private void goesOnBelowEveryLayer(Path model, TokenWindows windows, MemoryPlan plan) throws IOException {
        Slice slice = new Slice(3, windows.windows());
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            int depth = Architecture.specOf(checkpoint).layers().size();
            int lowest = Architecture.specOf(checkpoint).lowestRouted();
            ExpertStatistics undisturbed = run(checkpoint, windows, plan, slice, SavePoints.NONE, NOWHERE);
            for (int layer = depth - 1; layer > lowest; layer--) {
                stopAt(layer, checkpoint, windows, plan, slice);
                told.clear();
                layers.clear();
                assertSame(run(checkpoint, windows, plan, slice, saves(2), NOWHERE), undisturbed, plan);
                assertThat(told).containsExactly("resumed below " + layer + ", saved by 1");
                assertThat(layers.stream().distinct().sorted()).as("layers that were computed").containsExactlyElementsOf(
                        java.util.stream.IntStream.range(0, layer).boxed().toList());
                assertThat(Files.list(directory.resolve("savepoints"))).containsExactly(file);
                Files.delete(file);
            }
            for (int layer = depth - 1; layer > lowest; layer--) {
                stopAt(layer, checkpoint, windows, plan, slice);
            }
            assertSame(run(checkpoint, windows, plan, slice, saves(2), NOWHERE), undisturbed, plan);
            assertThat(Files.exists(file)).as("where a layer above the lowest is reversed").isEqualTo(depth - 1 > lowest);
            Files.deleteIfExists(file);
        }
    }

    private void stopAt(int layer, Checkpoint checkpoint, TokenWindows windows, MemoryPlan plan, Slice slice) {
        assertThat(catchThrowableOfType(Progress.StoppedException.class, () -> run(checkpoint, windows, plan, slice, saves(1), layer)))
                .isNotNull();
        assertThat(told.getLast()).isEqualTo("saved " + layer);
    }

    @Test
    void whatIsDamagedOrOfSomethingElseIsIgnoredAndDeleted() throws IOException {
        TokenWindows windows = windows(20, 64);
        Slice slice = new Slice(0, 20);
        try (Checkpoint checkpoint = Checkpoint.open(RandomModel.QWEN3_MOE.write(directory.resolve("model"), 5))) {
            MemoryPlan plan = plan(8);
            ExpertStatistics undisturbed = run(checkpoint, windows, plan, slice, SavePoints.NONE, NOWHERE);
            stopAt(1, checkpoint, windows, plan, slice);
            byte[] sound = Files.readAllBytes(file);
            List<byte[]> damaged = new ArrayList<>();
            new Random(1).ints(20, 0, sound.length).forEach(at -> {
                byte[] flipped = sound.clone();
                flipped[at] ^= 1;
                damaged.add(flipped);
            });
            new Random(2).ints(5, 0, sound.length).forEach(length -> damaged.add(Arrays.copyOf(sound, length)));
            damaged.add(Arrays.copyOf(sound, sound.length + 1));
            damaged.add(new byte[0]);
            for (byte[] bytes : damaged) {
                Files.write(file, bytes);
                ignored(checkpoint, windows, plan, slice, undisturbed, "");
            }

            Files.write(file, sound);
            ignored(checkpoint, windows, plan, new Slice(8, 20), run(checkpoint, windows, plan, new Slice(8, 20), SavePoints.NONE, NOWHERE),
                    "slice 0-20 (expected: 8-20)");
            Files.write(file, sound);
            ignored(checkpoint, windows, plan(4), slice, run(checkpoint, windows, plan(4), slice, SavePoints.NONE, NOWHERE),
                    "sequences_per_batch 8 (expected: 4)");
            Files.write(file, sound);
            MemoryPlan other = new MemoryPlan(new Compute(Device.cpu(), Precision.FLOAT64, 2, true, false, 50), 8, false, 0, 0);
            ignored(checkpoint, windows, other, slice, run(checkpoint, windows, other, slice, SavePoints.NONE, NOWHERE), "gradient F32");
        }
        try (Checkpoint another = Checkpoint.open(RandomModel.MIXTRAL.write(directory.resolve("another"), 5))) {
            ExpertStatistics undisturbed = run(another, windows, plan(8), slice, SavePoints.NONE, NOWHERE);
            try (Checkpoint checkpoint = Checkpoint.open(directory.resolve("model"))) {
                stopAt(1, checkpoint, windows, plan(8), slice);
            }
            ignored(another, windows, plan(8), slice, undisturbed, "fingerprint");
        }
    }

    private void ignored(Checkpoint checkpoint, TokenWindows windows, MemoryPlan plan, Slice slice, ExpertStatistics undisturbed,
            String why) throws IOException {
        told.clear();
        assertSame(run(checkpoint, windows, plan, slice, saves(2), NOWHERE), undisturbed, plan);
        assertThat(told).singleElement().asString().startsWith("ignored").contains(why);
        assertThat(file).doesNotExist();
    }

    @Test
    void whatCannotBeWrittenIsToldOnceAndTheSweepGoesOn() throws IOException {
        TokenWindows windows = windows(20, 64);
        Slice slice = new Slice(0, 20);
        Files.writeString(directory.resolve("savepoints"), "a file, where a directory should be");
        try (Checkpoint checkpoint = Checkpoint.open(RandomModel.QWEN3_MOE.write(directory.resolve("model"), 5))) {
            ExpertStatistics undisturbed = run(checkpoint, windows, plan(8), slice, SavePoints.NONE, NOWHERE);
            assertSame(run(checkpoint, windows, plan(8), slice, saves(1), 2), undisturbed, plan(8));
        }
        assertThat(told).singleElement().asString().startsWith("not saved").contains("savepoints");
    }

    @Test
    void aSweepWithoutAReverseHalfSavesNothing() throws IOException {
        TokenWindows windows = windows(20, 64);
        try (Checkpoint checkpoint = Checkpoint.open(RandomModel.QWEN3_MOE.write(directory.resolve("model"), 5));
                Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, plan(8).compute())) {
            Sweep sweep = new Sweep(decoder, windows, EnumSet.of(Moment.ACTIVATION_SQUARED), "test", plan(8), directory);
            assertThat(sweep.run(new Slice(0, 20), saves(1), watched(1, 0)).tokens()).isEqualTo(20 * 64);
        }
        assertThat(told).isEmpty();
        assertThat(file).doesNotExist();
    }

    @Test
    void itIsWrittenWhereThatIsCheapOnly() {
        long[] now = new long[1];
        ExpertStatistics nothing = ExpertStatistics.zero("test", new int[]{4}, BOTH);
        SavePoint.Subject subject = new SavePoint.Subject("test", new int[]{4}, BOTH, new Slice(0, 1), 1, DType.F32, 2, 3, 5);
        SavePoints saves = new SavePoints(file, 1, Duration.ofSeconds(10), story(), () -> now[0]);
        now[0] = seconds(1000);
        saves.begin();
        now[0] += seconds(9);
        assertThat(saves.due(1000)).as("no more often than every 10 s").isFalse();
        now[0] += seconds(2);
        assertThat(saves.due(1000)).isTrue();
        assertThat(saves.due(10L << 30)).as("10 GiB for 11 s of work").isFalse();
        // a disk that takes a second for it
        assertThat(saves.save(subject, 2, nothing, 0, writer -> {
            writer.floats(1, 2, 3, 4, 5, 6);
            now[0] += seconds(1);
        })).isTrue();
        now[0] += seconds(48);
        assertThat(saves.due(1000)).as("2 % of the time").isFalse();
        now[0] += seconds(2);
        assertThat(saves.due(1000)).isTrue();
        assertThat(saves.find(subject).layer()).isEqualTo(2);
        assertThat(saves.save(subject, 1, nothing, 0, _ -> {
            throw new UncheckedIOException(new IOException("No space left on device"));
        })).isFalse();
        now[0] += seconds(10_000);
        assertThat(saves.due(1000)).as("off for this slice").isFalse();
        assertThat(saves.saveLast(subject, 1, nothing, 0, writer -> writer.floats(1, 2, 3, 4, 5, 6))).isFalse();
        assertThat(told).containsExactly("resumed below 2, saved by 1", "not saved: java.io.IOException: No space left on device");
        try (Stream<Path> left = Files.list(directory.resolve("savepoints"))) {
            assertThat(left).as("what was saved before stays").containsExactly(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static long seconds(long seconds) {
        return seconds * 1_000_000_000;
    }

    private ExpertStatistics run(Checkpoint checkpoint, TokenWindows windows, MemoryPlan plan, Slice slice, SavePoints saves, int stopAt) {
        int depth = Architecture.specOf(checkpoint).layers().size();
        int lowest = Architecture.specOf(checkpoint).lowestRouted();
        double forwardHalf = 100.0 * depth / (depth + 2 * (depth - 1 - lowest) + 1);
        try (Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, plan.compute())) {
            return new Sweep(decoder, windows, BOTH, "test " + checkpoint.directory().getFileName(), plan, directory).run(slice, saves,
                    watched(stopAt, forwardHalf + 1e-9));
        }
    }

    /** Wants it saved once this layer is at work and so many percent are done, which tells the reverse half from the forward one. */
    private PhaseProgress watched(int layer, double percent) {
        return new PhaseProgress(new Progress() {
            @Override
            public Answer tick(Tick tick) {
                layers.add(tick.layer());
                return tick.layer() == layer && tick.percent() > percent ? Answer.SAVE : Answer.GO_ON;
            }

            @Override
            public void note(String type, String message, Map<String, Object> data) {}
        }, Phase.CALIBRATE, 0, 100);
    }

    private SavePoints saves(int attempt) {
        return new SavePoints(file, attempt, Duration.ofHours(1), story());
    }

    private SavePoints.Story story() {
        return new SavePoints.Story() {
            @Override
            public void resumed(int layer, int attempt) {
                told.add("resumed below " + layer + ", saved by " + attempt);
            }

            @Override
            public void ignored(String why) {
                told.add("ignored: " + why);
            }

            @Override
            public void saved(int layer) {
                told.add("saved " + layer);
            }

            @Override
            public void notSaved(String why) {
                told.add("not saved: " + why);
            }
        };
    }

    private static MemoryPlan plan(int sequencesPerBatch) {
        return new MemoryPlan(new Compute(Device.cpu(), Precision.FLOAT32, 2, true, false, 50), sequencesPerBatch, false, 0, 0);
    }

    private static TokenWindows windows(int count, int length) {
        Random random = new Random(count);
        int[][] ids = new int[count][];
        for (int i = 0; i < count; i++) {
            ids[i] = random.ints(length, 0, 50).toArray();
        }
        return TokenWindows.of(ids);
    }

    /** With one lane every bit of the file; with several the order of additions may change what is below a double's last bit. */
    private void assertSame(ExpertStatistics given, ExpertStatistics expected, MemoryPlan plan) throws IOException {
        assertThat(given.tokens()).isEqualTo(expected.tokens());
        assertThat(given.slices()).isEqualTo(expected.slices());
        assertThat(given.meanLoss()).isEqualTo(expected.meanLoss());
        for (int e = 0; e < expected.experts(); e++) {
            assertThat(given.routedTokens(e)).isEqualTo(expected.routedTokens(e));
            for (Moment moment : BOTH) {
                assertThat(given.mean(moment, e)).isEqualTo(expected.mean(moment, e));
            }
        }
        if (plan.compute().lanes() == 1) {
            Path one = Files.createTempDirectory(directory, "given").resolve("statistics");
            Path other = Files.createTempDirectory(directory, "expected").resolve("statistics");
            given.write(one);
            expected.write(other);
            assertThat(one).hasSameBinaryContentAs(other);
        }
    }
}
