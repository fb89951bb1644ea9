package io.espalier.pruning;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

import ai.djl.engine.EngineException;
import io.espalier.calibration.ExpertStatistics;
import io.espalier.calibration.Moment;
import io.espalier.calibration.Sweep;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
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
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.PruningResult.Achieved;
import io.espalier.recipe.PruningResult.Coverage;
import io.espalier.recipe.PruningResult.Digests;
import io.espalier.recipe.PruningResult.Size;
import io.espalier.recipe.ScoreSummary;
import io.espalier.transformer.Architecture;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.DecoderSpec;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.MemoryPlan;

/**
 * One run, whole: open, calibrate, score, plan, cut, check. The door between the office and the workshop; the story is {@link #run}.
 */
public final class PruningRun {

    /** Of the random control; no seed that an order is likely to name. */
    private static final long CONTROL_SEED = 1_000_003;

    /**
     * What a run starts from; every name is resolved, every path allowed.
     *
     * @param recipe the order as posted
     * @param model directory of the checkpoint
     * @param calibration path or text of the calibration corpus, or {@code null} when the method sees no tokens
     * @param evaluation path or text of the evaluation corpus, or {@code null} when none was ordered
     * @param workDirectory an empty directory of this run's own; the caller deletes it
     */
    public record Inputs(PruningRecipe recipe, Path model, CorpusRef calibration, CorpusRef evaluation, Path workDirectory) {}

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
    private final Progress progress;
    private final RunNotes notes;

    private PruningRun(Inputs inputs, ComputeDevice device, Progress progress) {
        this.inputs = inputs;
        this.recipe = inputs.recipe();
        this.device = device;
        this.progress = progress;
        this.notes = new RunNotes(inputs.recipe(), progress);
    }

    /**
     * Runs on the calling thread, which must own the device until this returns.
     *
     * @throws io.espalier.recipe.PruningException when the order cannot be carried out, with a stable code
     * @throws Progress.StoppedException when progress answers not to go on
     */
    public static Outcome execute(Inputs inputs, ComputeDevice device, Progress progress) {
        try {
            return new PruningRun(inputs, device, progress).run();
        } catch (RuntimeException e) {
            throw Failures.named(e);
        }
    }

    private Outcome run() {
        phase(Phase.OPEN, 0, 2).at(0, null, null, null);
        try (OpenedRun opened = OpenedRun.open(inputs)) {
            String modelDigest = opened.checkpoint().digest();
            notes.opened(opened, device);
            ExpertStatistics statistics = calibrate(opened, modelDigest);

            phase(Phase.SCORE, 65, 67).at(0, null, null, null);
            Evidence evidence = new Evidence(opened.checkpoint(), opened.spec().experts(), statistics);
            Scores scores = Criterion.of(recipe.method()).score(evidence);
            Path scoreFile = inputs.workDirectory().resolve("scores.safetensors");
            ScoreFile.write(scoreFile, recipe.method(), scores, evidence, provenance(opened, modelDigest));

            phase(Phase.PLAN, 67, 68).at(0, null, null, null);
            KeepPlan plan = opened.allocate(scores.values(), OpenedRun.granularity(recipe));
            ScoreSummary summary = ScoreTable.of(recipe.method().name(), scores, opened.spec().experts(), plan, statistics);
            notes.planned(opened, plan);

            Path artifact = cut(opened, plan);
            Digests digests = new Digests(modelDigest, opened.tokenizer() == null ? null : opened.tokenizer().digest(),
                    opened.calibration() == null ? null : opened.calibration().digest(), Sha256.of(scoreFile), plan.digest(), null);
            PruningResult result = check(opened, plan, scores, statistics, artifact, digests);
            ModelCard.write(artifact, recipe, inputs.model().getFileName().toString(), plan, result);
            return new Outcome(result.summed(Checksums.write(artifact)), artifact, scoreFile, summary);
        }
    }

    private ExpertStatistics calibrate(OpenedRun opened, String modelDigest) {
        if (opened.calibration() == null) {
            return null;
        }
        MemoryPlan.Work work = new MemoryPlan.Work(opened.calibration().windows(), opened.calibration().length(),
                Criterion.of(recipe.method()).moments().contains(Moment.GRADIENT_SQUARED));
        MemoryPlan plan = device.plan(opened.spec(), work, precision());
        notes.memoryPlanned(plan);
        try {
            return sweep(opened, modelDigest, plan);
        } catch (EngineException e) {
            MemoryPlan smaller = String.valueOf(e.getMessage()).contains("out of memory") ? plan.halved() : null;
            if (smaller == null) {
                throw e;
            }
            notes.halved(device, smaller);
            return sweep(opened, modelDigest, smaller);
        }
    }

    private ExpertStatistics sweep(OpenedRun opened, String modelDigest, MemoryPlan plan) {
        Criterion criterion = Criterion.of(recipe.method());
        String fingerprint = Sha256.of(String.join("|", "espalier-statistics/1", modelDigest, opened.calibration().digest(),
                criterion.moments().toString(), recipe.precision().name(), String.valueOf(plan.sequencesPerBatch())));
        try (Decoder decoder = Decoder.open(opened.checkpoint(), opened.spec(), KeptAtoms.ALL, plan.compute())) {
            Sweep sweep = new Sweep(decoder, opened.calibration(), criterion.moments(), fingerprint, plan, inputs.workDirectory());
            ExpertStatistics statistics = sweep.run(phase(Phase.CALIBRATE, 2, 65));
            notes.calibrated(opened.spec().experts(), statistics);
            return statistics;
        }
    }

    private Compute.Precision precision() {
        return switch (recipe.precision()) {
            case F32 -> Compute.Precision.FLOAT32;
            case BF16 -> Compute.Precision.BFLOAT16;
        };
    }

    private Path cut(OpenedRun opened, KeepPlan plan) {
        PhaseProgress stretch = phase(Phase.CUT, 68, 76);
        stretch.at(0, null, null, null);
        Path artifact = inputs.workDirectory().resolve("model");
        int[] widths = plan.experts().stream().mapToInt(KeepPlan.Expert::keptWidth).toArray();
        long total = opened.checkpoint().tensorBytes();
        long[] done = new long[1];
        List<Integer> unfused = Cut.write(opened.checkpoint(), plan, opened.spec().experts(),
                Architecture.of(opened.checkpoint()).resized(opened.checkpoint().config(), opened.spec(), widths), artifact, bytes -> {
                    done[0] += bytes;
                    stretch.at(Math.min(1, (double) done[0] / total), null, null, null);
                });
        notes.unfused(unfused);
        return artifact;
    }

    /** Measures the written model, opened by our own reader, against the given one. */
    private PruningResult check(OpenedRun opened, KeepPlan plan, Scores scores, ExpertStatistics statistics, Path artifact,
            Digests digests) {
        PhaseProgress stretch = phase(Phase.CHECK, 76, 99);
        stretch.at(0, null, null, null);
        try (Checkpoint written = Checkpoint.open(artifact)) {
            DecoderSpec writtenSpec = Architecture.specOf(written);
            Size before = ModelSize.of(opened.spec(), opened.checkpoint());
            Size after = ModelSize.of(writtenSpec, written);
            PruningResult.Perplexity perplexity = null;
            if (opened.evaluation() != null) {
                Perplexity given = measure(opened, opened.checkpoint(), opened.spec(), KeptAtoms.ALL, stretch.part(0, 0.4));
                Perplexity cut = measure(opened, written, writtenSpec, KeptAtoms.ALL, stretch.part(0.4, 0.7));
                Double control = recipe.evaluation().randomControl()
                        ? Double.valueOf(
                                measure(opened, opened.checkpoint(), opened.spec(), atRandom(opened), stretch.part(0.7, 1)).value())
                        : null;
                perplexity = new PruningResult.Perplexity(given.value(), cut.value(), control, given.predictedTokens());
            }
            Achieved achieved = new Achieved(recipe.budget().ratio(), recipe.budget().ratioOf(), plan.removedAtoms(),
                    share(plan.removedAtoms(), plan.atoms()),
                    share(before.totalParameters() - after.totalParameters(), before.totalParameters()),
                    share(before.bytes() - after.bytes(), before.bytes()), plan.minWidth(), plan.maxWidth(), plan.emptyExperts());
            PruningResult result = new PruningResult(before, after, achieved, coverage(opened.spec().experts(), statistics), perplexity,
                    predictedLossChange(plan, scores), digests);
            notes.measured(result);
            return result;
        }
    }

    private Perplexity measure(OpenedRun opened, Checkpoint checkpoint, DecoderSpec spec, KeptAtoms kept, PhaseProgress stretch) {
        MemoryPlan plan = device.plan(spec, new MemoryPlan.Work(opened.evaluation().windows(), opened.evaluation().length(), false),
                precision());
        try (Decoder decoder = Decoder.open(checkpoint, spec, kept, plan.compute())) {
            return Perplexity.measure(decoder, opened.evaluation(), plan, inputs.workDirectory(), stretch);
        }
    }

    /** The same budget, layout and alignment with atoms drawn at random. */
    private KeptAtoms atRandom(OpenedRun opened) {
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

    private Map<String, String> provenance(OpenedRun opened, String modelDigest) {
        Map<String, String> provenance = new TreeMap<>();
        provenance.put("model_sha256", modelDigest);
        if (opened.calibration() != null) {
            provenance.put("calibration_sha256", opened.calibration().digest());
        }
        return provenance;
    }

    private PhaseProgress phase(Phase phase, double from, double to) {
        return new PhaseProgress(progress, phase, from, to);
    }

    private static double share(long part, long whole) {
        return new BigDecimal(part).divide(new BigDecimal(whole), java.math.MathContext.DECIMAL64).doubleValue();
    }
}
