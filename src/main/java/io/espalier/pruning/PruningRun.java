package io.espalier.pruning;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

import io.espalier.calibration.ExpertStatistics;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.KnownDigests;
import io.espalier.evaluation.ModelSize;
import io.espalier.evaluation.Perplexity;
import io.espalier.method.Criterion;
import io.espalier.method.Evidence;
import io.espalier.method.ScoreFile;
import io.espalier.method.Scores;
import io.espalier.plan.Allocation;
import io.espalier.plan.Checksums;
import io.espalier.plan.Cut;
import io.espalier.plan.KeepPlan;
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
import io.espalier.recipe.PruningResult.Coverage;
import io.espalier.recipe.PruningResult.Digests;
import io.espalier.recipe.PruningResult.Size;
import io.espalier.recipe.ScoreSummary;
import io.espalier.recipe.Slicing;
import io.espalier.transformer.Architecture;
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
     */
    public record Outcome(PruningResult result, Path artifact, Path scores, ScoreSummary summary) {}

    private final Inputs inputs;
    private final PruningRecipe recipe;
    private final ComputeDevice device;
    private final OpenedRun opened;
    private final String modelDigest;

    private PruningRun(Inputs inputs, ComputeDevice device, OpenedRun opened, String modelDigest) {
        this.inputs = inputs;
        this.recipe = inputs.recipe();
        this.device = device;
        this.opened = opened;
        this.modelDigest = modelDigest;
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
                statistics.add(run.measure(slicing, slice, workDirectory, null, progress));
            }
            return run.finish(slicing, statistics, workDirectory, progress);
        }
    }

    /** As below, reading every byte of the model. */
    public static PruningRun open(Inputs inputs, ComputeDevice device, Progress progress) {
        return open(inputs, null, device, progress);
    }

    /**
     * Opens model and texts, and checks everything that can be known before the expensive part.
     *
     * @param digests directory in which the digests of files are remembered, so that those that did not change are not read again; or {@code null}
     */
    public static PruningRun open(Inputs inputs, Path digests, ComputeDevice device, Progress progress) {
        return named(() -> {
            PhaseProgress stretch = phase(progress, Phase.OPEN, 0, 2);
            stretch.at(0, null, null, null);
            OpenedRun opened = OpenedRun.open(inputs);
            try {
                PruningRun run = new PruningRun(inputs, device, opened, digest(opened.checkpoint(), digests, stretch));
                run.notes(progress).opened(opened, device);
                return run;
            } catch (RuntimeException e) {
                opened.close();
                throw e;
            }
        });
    }

    private static String digest(Checkpoint checkpoint, Path digests, PhaseProgress stretch) {
        long[] read = new long[1];
        return checkpoint.digest(KnownDigests.in(digests), bytes -> {
            read[0] += bytes;
            stretch.at(Math.min(1, (double) read[0] / checkpoint.tensorBytes()), null, null, null);
        });
    }

    /**
     * Decides how the calibration set is cut.
     *
     * @param tokensPerSlice about how many tokens a slice has, at least one micro-batch; 0: as suits the device
     */
    public Slicing slicing(long tokensPerSlice, Progress progress) {
        return named(() -> measuring(progress).slicing(tokensPerSlice));
    }

    /**
     * Measures one slice.
     *
     * @param slicing as decided when the run was first opened, here or elsewhere
     * @param slice its place in the slicing
     * @param workDirectory of this piece's own
     * @param saving where it saves how far it is, and looks for what an earlier try saved; {@code null}: nowhere
     * @return file of the statistics, in the work directory
     */
    public Path measure(Slicing slicing, int slice, Path workDirectory, Saving saving, Progress progress) {
        return named(() -> measuring(progress).measure(slicing, slice, workDirectory, saving));
    }

    private Measuring measuring(Progress progress) {
        return new Measuring(opened, device, modelDigest, progress);
    }

    /**
     * Merges what was measured, scores, plans, cuts, checks.
     *
     * @param statistics files of all slices, in the order of the slicing
     * @param workDirectory of this piece's own; what the outcome names lies in it
     */
    public Outcome finish(Slicing slicing, List<Path> statistics, Path workDirectory, Progress progress) {
        return named(() -> {
            ExpertStatistics merged = merged(slicing, statistics);
            if (merged != null) {
                notes(progress).calibrated(opened.spec().experts(), merged);
            }
            return finish(merged, workDirectory, progress);
        });
    }

    private Outcome finish(ExpertStatistics statistics, Path workDirectory, Progress progress) {
        phase(progress, Phase.SCORE, 65, 67).at(0, null, null, null);
        Evidence evidence = new Evidence(opened.checkpoint(), opened.spec().experts(), statistics);
        Scores scores = Criterion.of(recipe.method()).score(evidence);
        Path scoreFile = workDirectory.resolve("scores.safetensors");
        ScoreFile.write(scoreFile, recipe.method(), scores, evidence, provenance());

        phase(progress, Phase.PLAN, 67, 68).at(0, null, null, null);
        KeepPlan plan = opened.allocate(scores.values(), OpenedRun.granularity(recipe));
        ScoreSummary summary = ScoreTable.of(recipe.method().name(), scores, opened.spec().experts(), plan, statistics);
        notes(progress).planned(opened, plan);

        Path artifact = cut(plan, workDirectory, progress);
        Digests digests = new Digests(modelDigest, opened.tokenizer() == null ? null : opened.tokenizer().digest(),
                opened.calibration() == null ? null : opened.calibration().digest(), Sha256.of(scoreFile), plan.digest(), null);
        PruningResult result = check(plan, scores, statistics, artifact, digests, workDirectory, progress);
        ModelCard.write(artifact, recipe, inputs.model().getFileName().toString(), plan, result);
        return new Outcome(result.summed(Checksums.write(artifact)), artifact, scoreFile, summary);
    }

    /** In the order of the slicing, two at a time in memory; {@code null} when the method sees no tokens. */
    private static ExpertStatistics merged(Slicing slicing, List<Path> files) {
        ExpertStatistics merged = null;
        for (int slice = 0; slice < slicing.slices().size(); slice++) {
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
    private PruningResult check(KeepPlan plan, Scores scores, ExpertStatistics statistics, Path artifact, Digests digests,
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
            PruningResult result = new PruningResult(before, after, achieved, coverage(opened.spec().experts(), statistics), perplexity,
                    predictedLossChange(plan, scores), digests);
            notes(progress).measured(result);
            return result;
        }
    }

    private Perplexity perplexity(Path workDirectory, Checkpoint checkpoint, DecoderSpec spec, KeptAtoms kept, PhaseProgress stretch) {
        MemoryPlan plan = device.plan(spec, new MemoryPlan.Work(opened.evaluation().windows(), opened.evaluation().length(), false),
                Measuring.precision(recipe));
        try (Decoder decoder = Decoder.open(checkpoint, spec, kept, plan.compute())) {
            return Perplexity.measure(decoder, opened.evaluation(), plan, workDirectory, stretch);
        }
    }

    /** The same budget, layout and alignment with atoms drawn at random. */
    private KeptAtoms atRandom() {
        MethodChoice draw = new MethodChoice(MethodName.RANDOM, null, null, null, CONTROL_SEED);
        Scores scores = Criterion.of(draw).score(new Evidence(opened.checkpoint(), opened.spec().experts(), null));
        return keeping(opened.allocate(scores.values(), Allocation.Granularity.ATOM));
    }

    /** Reads a model through a plan. */
    static KeptAtoms keeping(KeepPlan plan) {
        Map<List<Integer>, int[]> kept = new java.util.HashMap<>();
        plan.experts().forEach(e -> kept.put(List.of(e.layer(), e.expert()), e.kept()));
        return (layer, expert) -> kept.get(List.of(layer, expert));
    }

    /** Sum over the removed atoms; {@code null} when the criterion is not in units of loss. */
    private static Double predictedLossChange(KeepPlan plan, Scores scores) {
        if (scores.lossChange() == null) {
            return null;
        }
        double sum = 0;
        for (int e = 0; e < scores.lossChange().length; e++) {
            double[] change = scores.lossChange()[e].clone();
            for (int kept : plan.experts().get(e).kept()) {
                change[kept] = 0;
            }
            sum += Arrays.stream(change).sum();
        }
        return sum;
    }

    private static Coverage coverage(List<ExpertTensors> experts, ExpertStatistics statistics) {
        if (statistics == null) {
            return null;
        }
        long[] routed = IntStream.range(0, experts.size()).mapToLong(statistics::routedTokens).sorted().toArray();
        int half = routed.length / 2;
        double median = routed.length % 2 == 1 ? routed[half] : (routed[half - 1] + routed[half]) / 2.0;
        return new Coverage(statistics.tokens(), routed[0], median, RunNotes.unrouted(experts, statistics));
    }

    private Map<String, String> provenance() {
        Map<String, String> provenance = new TreeMap<>();
        provenance.put("model_sha256", modelDigest);
        if (opened.calibration() != null) {
            provenance.put("calibration_sha256", opened.calibration().digest());
        }
        return provenance;
    }

    private static PhaseProgress phase(Progress progress, Phase phase, double from, double to) {
        return new PhaseProgress(progress, phase, from, to);
    }

    private static double share(long part, long whole) {
        return new BigDecimal(part).divide(new BigDecimal(whole), java.math.MathContext.DECIMAL64).doubleValue();
    }
}
