package io.espalier.pruning;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.KnownDigests;
import io.espalier.corpus.Tokenizer;
import io.espalier.corpus.Windowing;
import io.espalier.evaluation.ModelSize;
import io.espalier.plan.Cut;
import io.espalier.plan.KeepPlan;
import io.espalier.plan.Stay;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.Evaluation;
import io.espalier.recipe.Preflight.Decoding;
import io.espalier.recipe.Preflight.Disk;
import io.espalier.recipe.Preflight.Findings;
import io.espalier.recipe.Preflight.Foreseen;
import io.espalier.recipe.Preflight.Memory;
import io.espalier.recipe.Preflight.Scores;
import io.espalier.recipe.Preflight.Tokens;
import io.espalier.recipe.Preflight.Unknown;
import io.espalier.recipe.Progress;
import io.espalier.recipe.Prompting;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.Slicing;
import io.espalier.recipe.Violation;
import io.espalier.transformer.MemoryPlan;

/**
 * What can be said of an order in a second or two, from headers and shapes: what {@link OpenedRun} would refuse, and what the run would take. No weight is
 * read but for the digest of a small model, no long text is tokenised to its end, nothing is written.
 */
public final class Survey {

    /** A model with more bytes of weights is not read for its digest while somebody waits. */
    private static final long READ_FOR_DIGEST = 256L << 20;

    /**
     * Where a run would work.
     *
     * @param device that would carry it out
     * @param tokensPerSlice as the worker cuts a calibration set; 0: as suits the device
     * @param digests directory in which the digests of files are remembered
     * @param workDirectory of the worker, which need not be there yet
     * @param known finds a score set by the address of its scores
     */
    public record Place(ComputeDevice device, long tokensPerSlice, Path digests, Path workDirectory,
            Function<String, Optional<String>> known) {}

    private final PruningRun.Inputs inputs;
    private final PruningRecipe recipe;
    private final Place place;
    private final Checkpoint checkpoint;
    private final DecoderSpec spec;
    private final List<PruningException> refused = new ArrayList<>();
    private final List<Unknown> unknown = new ArrayList<>();

    private Survey(PruningRun.Inputs inputs, Place place, Checkpoint checkpoint, DecoderSpec spec) {
        this.inputs = inputs;
        this.recipe = inputs.recipe();
        this.place = place;
        this.checkpoint = checkpoint;
        this.spec = spec;
    }

    /** Looks. */
    public static Findings of(PruningRun.Inputs inputs, Place place) {
        try (Checkpoint checkpoint = Checkpoint.open(inputs.model())) {
            return new Survey(inputs, place, checkpoint, Architecture.specOf(checkpoint)).findings();
        } catch (RuntimeException e) {
            if (Failures.named(e) instanceof PruningException why) {
                return new Findings(why.code(), violations(List.of(why)), null, null, null, null, null, null, null, null, null, null, null,
                        List.of(new Unknown("", "the model cannot be opened, see violations")));
            }
            throw e;
        }
    }

    private Findings findings() {
        String digest = digest();
        List<Stay> stays = OpenedRun.stays(recipe, spec, checkpoint, refused);
        TextSurvey calibration = null;
        TextSurvey evaluation = null;
        Memory memory = null;
        Scores scores;
        Decoding continuations = null;
        long spilled = 0;
        try (Tokenizer tokenizer = attempt(() -> OpenedRun.tokenizer(inputs))) {
            if (recipe.measuresTokens()) {
                Calibration order = recipe.calibration();
                calibration = text("calibration", new Windowing.Sampled(order.sequences(), order.sequenceLength(), order.seed()), tokenizer,
                        digest != null);
            }
            if (recipe.evaluation() != null) {
                Evaluation order = recipe.evaluation();
                evaluation = text("evaluation", new Windowing.Strided(order.windows(), OpenedRun.evaluationLength(recipe, spec)), tokenizer,
                        false);
            }
            OpenedRun opened = new OpenedRun(recipe, checkpoint, spec, tokenizer, calibration == null ? null : calibration.windows(), null,
                    null);
            Measuring.Cut cut = !recipe.measuresTokens()
                    ? null
                    : attempt(() -> Measuring.cut(opened, place.device(), recipe.calibration().sequences(),
                            recipe.calibration().sequenceLength(), place.tokensPerSlice()));
            memory = new Memory(place.device().name(), place.device().budget(), cut == null ? 0 : cut.slices().size(),
                    cut == null ? null : cut.plan().facts());
            if (cut == null) {
                unknown.add(
                        new Unknown("memory.plan", recipe.measuresTokens() ? "it does not fit, see violations" : "nothing is measured"));
            }
            if (recipe.evaluation() != null) {
                attempt(() -> place.device().plan(spec, new MemoryPlan.Work(recipe.evaluation().windows(),
                        OpenedRun.evaluationLength(recipe, spec), false), OpenedRun.precision(recipe)));
                attempt(() -> OpenedRun.requireContinuable(recipe, OpenedRun.evaluationLength(recipe, spec)));
                continuations = continuations();
            }
            scores = scores(opened, cut, digest);
            spilled = spilled(cut);
        }
        List<Foreseen> outputs = outputs(stays);
        Disk disk = disk(outputs, spilled);
        PruningResult.Size size = ModelSize.of(spec, checkpoint);
        return new Findings(refused.isEmpty() ? null : refused.getFirst().code(), violations(refused), spec.modelType(),
                spec.layers().size(), spec.experts().size(), size, memory, outputs, tokens("calibration", calibration),
                tokens("evaluation", evaluation), continuations, disk, scores, List.copyOf(unknown));
    }

    private <T> T attempt(Supplier<T> step) {
        return OpenedRun.gather(refused, () -> {
            try {
                return step.get();
            } catch (RuntimeException e) {
                throw Failures.named(e);
            }
        });
    }

    /** @param whole whether something follows from which tokens they are; otherwise enough is enough */
    private TextSurvey text(String field, Windowing windowing, Tokenizer tokenizer, boolean whole) {
        attempt(() -> {
            OpenedRun.requireFits(spec, windowing.length(), field + ".sequence_length");
            return null;
        });
        TextSurvey found = new TextSurvey(field.equals("calibration") ? inputs.calibration() : inputs.evaluation(), windowing, tokenizer,
                spec.vocabSize(), whole);
        attempt(() -> {
            found.look(field + ".corpus");
            return null;
        });
        return found;
    }

    private Tokens tokens(String field, TextSurvey found) {
        if (found == null) {
            unknown.add(new Unknown(field, field.equals("calibration") ? "no tokens are measured" : "no evaluation is ordered"));
            return null;
        }
        if (found.why() != null) {
            unknown.add(new Unknown(field + ".found", found.why()));
        }
        return found.tokens();
    }

    private Decoding continuations() {
        Prompting order = recipe.evaluation().continuations();
        if (order == null) {
            return null;
        }
        MemoryPlan plan = attempt(() -> Speaking.plan(place.device(), spec, order.prompts(), order.length(), OpenedRun.precision(recipe)));
        if (plan == null) {
            unknown.add(new Unknown("continuations", "they do not fit, see violations"));
            return null;
        }
        return Speaking.foreseen(order, checkpoint, spec, 1 + recipe.outputs().size(), plan);
    }

    private List<Foreseen> outputs(List<Stay> stays) {
        if (stays.isEmpty() || stays.contains(null)) {
            unknown.add(new Unknown("outputs", "an output is refused, see violations"));
            return null;
        }
        List<Foreseen> outputs = new ArrayList<>();
        for (int i = 0; i < stays.size(); i++) {
            PruningRecipe order = recipe.outputs().get(i);
            KeepPlan plan = stays.get(i).plan();
            Cut.Foreseen cut = attempt(() -> Cut.foresee(checkpoint, plan, spec.experts(), spec.perExpert()));
            if (cut == null) {
                unknown.add(new Unknown("outputs", "an output is refused, see violations"));
                return null;
            }
            outputs.add(new Foreseen(order.layout(), OpenedRun.alignment(order, spec, checkpoint).atoms(), cut.bytes(),
                    WrittenShape.foreseen(checkpoint, spec, plan, order.layout())));
        }
        return outputs;
    }

    /** Bytes of the file in which the residual stream of the longest slice is kept, where memory does not hold it. */
    private long spilled(Measuring.Cut cut) {
        if (cut == null || !cut.plan().spill()) {
            return 0;
        }
        long windows = cut.slices().stream().mapToLong(slice -> slice.to() - slice.from()).max().orElse(0);
        return (spec.layers().size() + 2L) * windows * recipe.calibration().sequenceLength() * spec.hiddenSize() * Float.BYTES;
    }

    private Disk disk(List<Foreseen> outputs, long spilled) {
        Long artifacts = outputs == null ? null : Long.valueOf(outputs.stream().mapToLong(Foreseen::bytes).sum());
        long free = free(place.workDirectory());
        return new Disk(spilled, artifacts, free, artifacts == null ? null : Boolean.valueOf(artifacts + spilled <= free));
    }

    private static long free(Path directory) {
        Path there = directory;
        while (!Files.exists(there)) {
            there = there.getParent();
        }
        try {
            return Files.getFileStore(there).getUsableSpace();
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    private Scores scores(OpenedRun opened, Measuring.Cut cut, String digest) {
        if (recipe.scoreSet() != null) {
            return new Scores(true, recipe.scoreSet());
        }
        if (digest == null) {
            return unknownScores("the model's digest is not known yet; the first job on it reads every byte and remembers it");
        }
        if (recipe.measuresTokens() && (opened.calibration() == null || cut == null)) {
            return unknownScores("the calibration tokens were not all read");
        }
        PruningRun run = new PruningRun(inputs, place.device(), opened, digest);
        Slicing slicing = run.slicing(place.tokensPerSlice(), Progress.IGNORED);
        ScoreOrigin origin = run.origin(slicing);
        return place.known().apply(origin.address()).map(id -> new Scores(true, id)).orElse(new Scores(false, null));
    }

    private Scores unknownScores(String why) {
        unknown.add(new Unknown("scores.exist", why));
        return new Scores(null, null);
    }

    private static final class TooMuch extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    /** {@code null} where it would take too long: a large model of which nobody remembers it. */
    private String digest() {
        boolean large = checkpoint.tensorBytes() > READ_FOR_DIGEST;
        try {
            return checkpoint.digest(KnownDigests.in(place.digests()), bytes -> {
                if (large) {
                    throw new TooMuch();
                }
            });
        } catch (TooMuch slow) {
            return null;
        }
    }

    private static List<Violation> violations(List<PruningException> refused) {
        return refused.stream().flatMap(why -> why.violations().isEmpty()
                ? Arrays.stream(why.getMessage().split("; ")).map(sentence -> Violation.said(fieldOf(why), sentence))
                : why.violations().stream()).distinct().toList();
    }

    private static String fieldOf(PruningException why) {
        return switch (why.code()) {
            case OUT_OF_MEMORY -> "calibration.sequence_length";
            case ALIGNMENT_LEAVES_NOTHING, FP8_ALIGNMENT -> "alignment";
            case BUDGET_UNREACHABLE -> "budget";
            default -> "model";
        };
    }
}
