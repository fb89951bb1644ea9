package io.espalier.pruning;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.IntStream;

import io.espalier.calibration.ExpertStatistics;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.KnownDigests;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.PruningResult.Digests;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreSummary;
import io.espalier.recipe.Slicing;

/**
 * One run: open, calibrate, score, plan, cut, check. The door between the office and the workshop. Its pieces can be carried out by one process after the
 * other, or by several at once: {@link #open} and {@link #slicing} first, then {@link #measure} for each slice, {@link #finish} last; the story is
 * {@link #execute}.
 */
public final class PruningRun implements AutoCloseable {

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
     * @param furtherArtifacts the same of each further output, as {@link PruningResult#further()} has them
     */
    public record Outcome(PruningResult result, Path artifact, Path scores, ScoreSummary summary, ScoreOrigin origin,
            List<Path> furtherArtifacts) {

        /** One output. */
        public Outcome(PruningResult result, Path artifact, Path scores, ScoreSummary summary, ScoreOrigin origin) {
            this(result, artifact, scores, summary, origin, List.of());
        }
    }

    private final Inputs inputs;
    private final PruningRecipe recipe;
    private final ComputeDevice device;
    private final OpenedRun opened;
    private final String modelDigest;

    PruningRun(Inputs inputs, ComputeDevice device, OpenedRun opened, String modelDigest) {
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
                statistics.add(run.measure(slicing, slice, workDirectory, null, part(progress, slice, slicing.slices().size())));
            }
            return run.finish(slicing, statistics, workDirectory, progress);
        }
    }

    /** A slice tells how far its own calibration is; here one follows the other. */
    private static Progress part(Progress whole, int slice, int slices) {
        return new Progress() {
            @Override
            public Answer tick(Tick tick) {
                double percent = Measuring.SLICES_FROM
                        + (slice * (Measuring.SLICES_TO - Measuring.SLICES_FROM) + tick.percent() - Measuring.SLICES_FROM) / slices;
                return whole.tick(new Tick(tick.phase(), percent, tick.layer(), tick.layers(), tick.tokensPerSecond()));
            }

            @Override
            public void note(String type, String message, Map<String, Object> data) {
                whole.note(type, message, data);
            }

            @Override
            public void figure(Figure figure, double value) {
                whole.figure(figure, value);
            }
        };
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
        String digest = checkpoint.digest(KnownDigests.in(digests), bytes -> {
            read[0] += bytes;
            stretch.at(Math.min(1, (double) read[0] / checkpoint.tensorBytes()), null, null, null);
        });
        stretch.progress().figure(Progress.Figure.READ_BYTES, read[0]);
        return digest;
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
        return told(progress, told -> measuring(told).measure(slicing, slice, workDirectory, saving));
    }

    private <T> T told(Progress progress, Function<Progress, T> steps) {
        return named(() -> {
            Told told = new Told(progress, opened.checkpoint(), device);
            T outcome = steps.apply(told);
            told.tell();
            return outcome;
        });
    }

    private Measuring measuring(Progress progress) {
        return new Measuring(opened, device, modelDigest, progress);
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
    public Outcome finish(Slicing slicing, List<Path> statistics, Path workDirectory, Progress watched) {
        return told(watched, progress -> {
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
    public Outcome finish(Slicing slicing, Path scores, Path workDirectory, Progress watched) {
        return told(watched, progress -> {
            phase(progress, Phase.SCORE, 65, 67).at(0, null, null, null);
            return finish(Scored.stored(opened, scores, modelDigest), origin(slicing), workDirectory, progress);
        });
    }

    private Outcome finish(Scored scored, ScoreOrigin origin, Path workDirectory, Progress progress) {
        Digests digests = new Digests(modelDigest, opened.tokenizer() == null ? null : opened.tokenizer().digest(),
                scored.calibrationDigest(), Sha256.of(scored.file()), null, null);
        List<Finishing.Made> made = new Finishing(opened, device, workDirectory, progress, inputs.model().getFileName().toString(), scored,
                digests).make(recipe.outputs());
        ScoreSummary summary = ScoreTable.of(recipe.method().name(), scored, opened.spec().experts(), made.getFirst().plan());
        List<PruningResult.Further> further = IntStream.range(1, made.size())
                .mapToObj(i -> made.get(i).result().as(recipe.furtherOutputs().get(i - 1))).toList();
        return new Outcome(made.getFirst().result().with(further), made.getFirst().artifact(), scored.file(), summary, origin,
                made.stream().skip(1).map(Finishing.Made::artifact).toList());
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

    private static PhaseProgress phase(Progress progress, Phase phase, double from, double to) {
        return new PhaseProgress(progress, phase, from, to);
    }
}
