package io.espalier.pruning;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

import ai.djl.engine.EngineException;
import io.espalier.calibration.ExpertStatistics;
import io.espalier.calibration.Moment;
import io.espalier.calibration.Sweep;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.evaluation.ModelSize;
import io.espalier.evaluation.Perplexity;
import io.espalier.method.Criterion;
import io.espalier.method.Evidence;
import io.espalier.method.Scores;
import io.espalier.plan.Allocation;
import io.espalier.plan.Checksums;
import io.espalier.plan.Cut;
import io.espalier.plan.KeepPlan;
import io.espalier.plan.Stay;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.PruningResult.Achieved;
import io.espalier.recipe.PruningResult.Digests;
import io.espalier.recipe.PruningResult.Size;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreSummary;
import io.espalier.recipe.Slice;
import io.espalier.recipe.Slicing;
import io.espalier.transformer.Architecture;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.DecoderSpec;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.MemoryPlan;

/**
 * One run: open, calibrate, score, plan, cut, check. The door between the office and the workshop. Its pieces can be carried out by one process after the
 * other, or by several at once: {@link #open} and {@link #slicing} first, then {@link #measure} for each slice, {@link #finish} last; the story is
 * {@link #execute}.
 */
public final class PruningRun implements AutoCloseable {

    /** Tokens of a slice where nobody said how many: a slice is read from the disk twice, so that a fast device needs longer ones. */
    private static final long SLICE_TOKENS_CPU = 16_384;
    private static final long SLICE_TOKENS_GPU = 131_072;

    /** Bytes of a model that costs nothing to read once more: two slices at least, so that the halves of the calibration can be compared. */
    private static final long HALVED_BELOW = 1L << 30;

    /** Percent of the whole at which the calibration begins and ends. */
    private static final double SLICES_FROM = 2;
    private static final double SLICES_TO = 65;

    /** Of the random control; no seed that an order is likely to name. */
    private static final long CONTROL_SEED = 1_000_003;

    /**
     * What a run starts from; every name is resolved, every path allowed.
     *
     * @param recipe the order as posted
     * @param model directory of the checkpoint
     * @param calibration path or text of the calibration corpus, or {@code null} when the method sees no tokens
     * @param evaluation path or text of the evaluation corpus, or {@code null} when none was ordered
     */
    public record Inputs(PruningRecipe recipe, Path model, CorpusRef calibration, CorpusRef evaluation) {}

    /**
     * What a run leaves in its work directory.
     *
     * @param result the figures
     * @param artifact directory with every file of the pruned model, finished and summed in {@code SHA256SUMS}
     * @param scores safetensors file of the scores and the statistics behind them
     * @param summary the scores by layer and expert
     * @param origin what the scores are a function of
     */
    public record Outcome(PruningResult result, Path artifact, Path scores, ScoreSummary summary, ScoreOrigin origin) {}

    private final Inputs inputs;
    private final PruningRecipe recipe;
    private final ComputeDevice device;
    private final OpenedRun opened;
    private final String modelDigest;

    private PruningRun(Inputs inputs, ComputeDevice device, OpenedRun opened) {
        this.inputs = inputs;
        this.recipe = inputs.recipe();
        this.device = device;
        this.opened = opened;
        this.modelDigest = opened.checkpoint().digest();
    }

    /**
     * The whole run on the calling thread, which must own the device until this returns.
     *
     * @param workDirectory an empty directory of this run's own; the caller deletes it
     * @throws io.espalier.recipe.PruningException when the order cannot be carried out, with a stable code; so does every step
     * @throws Progress.StoppedException when progress answers not to go on; so does every step
     */
    public static Outcome execute(Inputs inputs, Path workDirectory, ComputeDevice device, Progress progress) {
        try (PruningRun run = open(inputs, device, progress)) {
            Slicing slicing = run.slicing(0, progress);
            List<Path> statistics = new ArrayList<>();
            for (int slice = 0; slice < slicing.slices().size(); slice++) {
                statistics.add(run.measure(slicing, slice, workDirectory, part(progress, slice, slicing.slices().size())));
            }
            return run.finish(slicing, statistics, workDirectory, progress);
        }
    }

    /** A slice tells how far its own calibration is; here one follows the other. */
    private static Progress part(Progress whole, int slice, int slices) {
        return new Progress() {
            @Override
            public boolean tick(Tick tick) {
                double percent = SLICES_FROM + (slice * (SLICES_TO - SLICES_FROM) + tick.percent() - SLICES_FROM) / slices;
                return whole.tick(new Tick(tick.phase(), percent, tick.layer(), tick.layers(), tick.tokensPerSecond()));
            }

            @Override
            public void note(String type, String message, Map<String, Object> data) {
                whole.note(type, message, data);
            }
        };
    }

    /** Opens model and texts, and checks everything that can be known before the expensive part. */
    public static PruningRun open(Inputs inputs, ComputeDevice device, Progress progress) {
        return named(() -> {
            new PhaseProgress(progress, Phase.OPEN, 0, 2).at(0, null, null, null);
            OpenedRun opened = OpenedRun.open(inputs);
            try {
                PruningRun run = new PruningRun(inputs, device, opened);
                run.notes(progress).opened(opened, device);
                return run;
            } catch (RuntimeException e) {
                opened.close();
                throw e;
            }
        });
    }

    /**
     * Decides how the calibration set is cut.
     *
     * @param tokensPerSlice about how many tokens a slice has, at least one micro-batch; 0: as suits the device
     */
    public Slicing slicing(long tokensPerSlice, Progress progress) {
        return named(() -> {
            if (opened.calibration() == null) {
                return new Slicing(Sha256.of(modelDigest), 1, 1, List.of(), recipe.scoreSet());
            }
            int length = opened.calibration().length();
            int windows = opened.calibration().windows();
            long tokens = tokensPerSlice > 0 ? tokensPerSlice : device.isGpu() ? SLICE_TOKENS_GPU : SLICE_TOKENS_CPU;
            boolean halved = tokensPerSlice == 0 && opened.checkpoint().tensorBytes() < HALVED_BELOW;
            int most = Math.clamp(tokens / length, 1, halved ? Math.ceilDiv(windows, 2) : windows);
            MemoryPlan plan = plan(most);
            notes(progress).memoryPlanned(plan);
            int batch = plan.sequencesPerBatch();
            int each = Math.max(1, most / batch) * batch;
            List<Slice> slices = new ArrayList<>();
            for (int from = 0; from < windows; from += each) {
                slices.add(new Slice(from, Math.min(windows, from + each)));
            }
            return new Slicing(fingerprint(batch), batch, length, slices);
        });
    }

    /**
     * Measures one slice.
     *
     * @param slicing as decided when the run was first opened, here or elsewhere
     * @param slice its place in the slicing
     * @param workDirectory of this piece's own
     * @return file of the statistics, in the work directory
     */
    public Path measure(Slicing slicing, int slice, Path workDirectory, Progress progress) {
        return named(() -> {
            String fingerprint = fingerprint(slicing.sequencesPerBatch());
            if (!fingerprint.equals(slicing.fingerprint())) {
                throw new PruningException(ErrorCode.INPUTS_CHANGED, "fingerprint of the calibration: " + fingerprint + " (expected: "
                        + slicing.fingerprint() + ", as when the job was opened). The model, the texts or the service changed in between;"
                        + " retry the job, and it measures everything anew", null);
            }
            Slice windows = slicing.slices().get(slice);
            MemoryPlan plan = plan(windows.to() - windows.from()).withSequencesPerBatch(slicing.sequencesPerBatch());
            Path file = workDirectory.resolve("statistics-" + slice + ".safetensors");
            statistics(plan, windows, fingerprint, workDirectory, progress).write(file);
            return file;
        });
    }

    /** What the scores of this run are a function of: known before any is measured. */
    public ScoreOrigin origin(Slicing slicing) {
        MethodChoice method = recipe.method().ofScores();
        return new ScoreOrigin(Sha256.of("espalier-scores/1|" + slicing.fingerprint() + "|" + method.identity()), slicing.fingerprint(),
                recipe.model(), modelDigest, opened.calibration() == null ? null : opened.calibration().digest(), method,
                recipe.precision());
    }

    /**
     * Merges what was measured, scores, plans, cuts, checks.
     *
     * @param statistics files of all slices, in the order of the slicing
     * @param workDirectory of this piece's own; what the outcome names lies in it
     */
    public Outcome finish(Slicing slicing, List<Path> statistics, Path workDirectory, Progress progress) {
        return named(() -> {
            ExpertStatistics merged = merged(slicing, statistics, 0, slicing.slices().size());
            if (merged != null) {
                notes(progress).calibrated(opened.spec().experts(), merged);
            }
            phase(progress, Phase.SCORE, 65, 67).at(0, null, null, null);
            ScoreOrigin origin = origin(slicing);
            return finish(Scored.measured(opened, merged, slicing, (from, to) -> merged(slicing, statistics, from, to), origin,
                    workDirectory.resolve("scores.safetensors")), origin, workDirectory, progress);
        });
    }

    /**
     * Plans, cuts and checks by scores that are there already.
     *
     * @param scores file that an earlier run left
     * @param workDirectory of this piece's own; what the outcome names lies in it, but for the scores
     */
    public Outcome finish(Slicing slicing, Path scores, Path workDirectory, Progress progress) {
        return named(() -> {
            phase(progress, Phase.SCORE, 65, 67).at(0, null, null, null);
            return finish(Scored.stored(opened, scores, modelDigest), origin(slicing), workDirectory, progress);
        });
    }

    private Outcome finish(Scored scored, ScoreOrigin origin, Path workDirectory, Progress progress) {
        phase(progress, Phase.PLAN, 67, 68).at(0, null, null, null);
        Stay stay = opened.allocate(scored.values(), OpenedRun.granularity(recipe));
        KeepPlan plan = stay.plan();
        ScoreSummary summary = ScoreTable.of(recipe.method().name(), scored, opened.spec().experts(), plan);
        notes(progress).planned(opened, plan);

        Path artifact = cut(plan, workDirectory, progress);
        Digests digests = new Digests(modelDigest, opened.tokenizer() == null ? null : opened.tokenizer().digest(),
                scored.calibrationDigest(), Sha256.of(scored.file()), plan.digest(), null);
        Double lossChange = scored.lossWeight() == null ? null : Double.valueOf(Arrays.stream(stay.lossChanges(scored.lossWeight())).sum());
        PruningResult result = check(plan, lossChange, scored, artifact, digests, workDirectory, progress);
        ModelCard.write(artifact, recipe, inputs.model().getFileName().toString(), plan, result);
        return new Outcome(result.summed(Checksums.write(artifact)), artifact, scored.file(), summary, origin);
    }

    /** Some slices in the order of the slicing, two at a time in memory; {@code null} when there is none. */
    private static ExpertStatistics merged(Slicing slicing, List<Path> files, int from, int to) {
        ExpertStatistics merged = null;
        for (int slice = from; slice < to; slice++) {
            ExpertStatistics next = ExpertStatistics.read(files.get(slice));
            if (!next.fingerprint().equals(slicing.fingerprint()) || !next.slices().equals(List.of(slicing.slices().get(slice)))) {
                throw new PruningException(ErrorCode.INPUTS_CHANGED,
                        "slice " + slice + ": statistics of " + next.slices() + ", fingerprint "
                                + next.fingerprint() + " (expected: " + slicing.slices().get(slice) + ", " + slicing.fingerprint()
                                + "). Retry the job, and it measures everything anew",
                        null);
            }
            merged = merged == null ? next : merged.merge(next);
        }
        return merged;
    }

    private MemoryPlan plan(int sequences) {
        return device.plan(opened.spec(), new MemoryPlan.Work(sequences, opened.calibration().length(),
                Criterion.of(recipe.method()).moments().contains(Moment.GRADIENT_SQUARED)), precision());
    }

    private ExpertStatistics statistics(MemoryPlan plan, Slice windows, String fingerprint, Path workDirectory, Progress progress) {
        try {
            return sweep(plan, windows, fingerprint, workDirectory, progress);
        } catch (EngineException e) {
            MemoryPlan smaller = String.valueOf(e.getMessage()).contains("out of memory") ? plan.halved() : null;
            if (smaller == null) {
                throw e;
            }
            notes(progress).halved(device, smaller);
            return sweep(smaller, windows, fingerprint, workDirectory, progress);
        }
    }

    private ExpertStatistics sweep(MemoryPlan plan, Slice windows, String fingerprint, Path workDirectory, Progress progress) {
        try (Decoder decoder = Decoder.open(opened.checkpoint(), opened.spec(), KeptAtoms.ALL, plan.compute())) {
            Sweep sweep = new Sweep(decoder, opened.calibration(), Criterion.of(recipe.method()).moments(), fingerprint, plan,
                    workDirectory);
            return sweep.run(windows, phase(progress, Phase.CALIBRATE, SLICES_FROM, SLICES_TO));
        }
    }

    private String fingerprint(int sequencesPerBatch) {
        return Sha256.of(String.join("|", "espalier-statistics/1", modelDigest, opened.calibration().digest(),
                Criterion.of(recipe.method()).moments().toString(), recipe.precision().name(), String.valueOf(sequencesPerBatch)));
    }

    private static <T> T named(java.util.function.Supplier<T> step) {
        try {
            return step.get();
        } catch (RuntimeException e) {
            throw Failures.named(e);
        }
    }

    private RunNotes notes(Progress progress) {
        return new RunNotes(recipe, progress);
    }

    @Override
    public void close() {
        opened.close();
    }

    private Compute.Precision precision() {
        return switch (recipe.precision()) {
            case F32 -> Compute.Precision.FLOAT32;
            case BF16 -> Compute.Precision.BFLOAT16;
        };
    }

    private Path cut(KeepPlan plan, Path workDirectory, Progress progress) {
        PhaseProgress stretch = phase(progress, Phase.CUT, 68, 76);
        stretch.at(0, null, null, null);
        Path artifact = workDirectory.resolve("model");
        int[] widths = plan.experts().stream().mapToInt(KeepPlan.Expert::keptWidth).toArray();
        long total = opened.checkpoint().tensorBytes();
        long[] done = new long[1];
        List<Integer> unfused = Cut.write(opened.checkpoint(), plan, opened.spec().experts(),
                Architecture.of(opened.checkpoint()).resized(opened.checkpoint().config(), opened.spec(), widths), artifact, bytes -> {
                    done[0] += bytes;
                    stretch.at(Math.min(1, (double) done[0] / total), null, null, null);
                });
        notes(progress).unfused(unfused);
        return artifact;
    }

    /** Measures the written model, opened by our own reader, against the given one. */
    private PruningResult check(KeepPlan plan, Double lossChange, Scored scored, Path artifact, Digests digests,
            Path workDirectory, Progress progress) {
        PhaseProgress stretch = phase(progress, Phase.CHECK, 76, 99);
        stretch.at(0, null, null, null);
        try (Checkpoint written = Checkpoint.open(artifact)) {
            DecoderSpec writtenSpec = Architecture.specOf(written);
            Size before = ModelSize.of(opened.spec(), opened.checkpoint());
            Size after = ModelSize.of(writtenSpec, written);
            PruningResult.Perplexity perplexity = null;
            if (opened.evaluation() != null) {
                Perplexity given = perplexity(workDirectory, opened.checkpoint(), opened.spec(), KeptAtoms.ALL, stretch.part(0, 0.4));
                Perplexity cut = perplexity(workDirectory, written, writtenSpec, KeptAtoms.ALL, stretch.part(0.4, 0.7));
                Double control = recipe.evaluation().randomControl()
                        ? Double.valueOf(
                                perplexity(workDirectory, opened.checkpoint(), opened.spec(), atRandom(), stretch.part(0.7, 1)).value())
                        : null;
                perplexity = new PruningResult.Perplexity(given.value(), cut.value(), control, given.predictedTokens());
            }
            Achieved achieved = new Achieved(recipe.budget().ratio(), recipe.budget().ratioOf(), plan.removedAtoms(),
                    share(plan.removedAtoms(), plan.atoms()),
                    share(before.totalParameters() - after.totalParameters(), before.totalParameters()),
                    share(before.bytes() - after.bytes(), before.bytes()), plan.minWidth(), plan.maxWidth(), plan.emptyExperts());
            PruningResult result = new PruningResult(before, after, achieved, scored.coverage(opened.spec().experts()), perplexity,
                    lossChange, digests);
            notes(progress).measured(result);
            return result;
        }
    }

    private Perplexity perplexity(Path workDirectory, Checkpoint checkpoint, DecoderSpec spec, KeptAtoms kept, PhaseProgress stretch) {
        MemoryPlan plan = device.plan(spec, new MemoryPlan.Work(opened.evaluation().windows(), opened.evaluation().length(), false),
                precision());
        try (Decoder decoder = Decoder.open(checkpoint, spec, kept, plan.compute())) {
            return Perplexity.measure(decoder, opened.evaluation(), plan, workDirectory, stretch);
        }
    }

    /** The same budget, layout and alignment with atoms drawn at random. */
    private KeptAtoms atRandom() {
        MethodChoice draw = new MethodChoice(MethodName.RANDOM, null, null, null, CONTROL_SEED);
        Scores scores = Criterion.of(draw).score(new Evidence(opened.checkpoint(), opened.spec().experts(), null));
        return keeping(opened.allocate(scores.values(), Allocation.Granularity.ATOM).plan());
    }

    /** Reads a model through a plan. */
    static KeptAtoms keeping(KeepPlan plan) {
        Map<List<Integer>, int[]> kept = new java.util.HashMap<>();
        plan.experts().forEach(e -> kept.put(List.of(e.layer(), e.expert()), e.kept()));
        return (layer, expert) -> kept.get(List.of(layer, expert));
    }

    private static PhaseProgress phase(Progress progress, Phase phase, double from, double to) {
        return new PhaseProgress(progress, phase, from, to);
    }

    private static double share(long part, long whole) {
        return new BigDecimal(part).divide(new BigDecimal(whole), java.math.MathContext.DECIMAL64).doubleValue();
    }
}
