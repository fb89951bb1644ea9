package io.espalier.pruning;

import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Tensor;
import io.espalier.corpus.Corpus;
import io.espalier.corpus.TokenWindows;
import io.espalier.corpus.Tokenizer;
import io.espalier.corpus.Windowing;
import io.espalier.evaluation.Prompts;
import io.espalier.method.Criterion;
import io.espalier.plan.Allocation;
import io.espalier.plan.ChosenAlignment;
import io.espalier.plan.EngineDemands;
import io.espalier.plan.ExpertScores;
import io.espalier.plan.RankedScores;
import io.espalier.plan.RouterShape;
import io.espalier.plan.Stay;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Evaluation;
import io.espalier.recipe.Protections;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.Violation;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Decoder;

/**
 * Everything a run needs, opened and checked against each other before the expensive part begins; what does not fit is refused all at once.
 *
 * @param tokenizer {@code null} when the checkpoint has none and no text is to be read
 * @param calibration {@code null} when the method sees no tokens
 * @param evaluation {@code null} when none was ordered
 * @param prompts {@code null} when nothing is to be continued
 */
record OpenedRun(PruningRecipe recipe, Checkpoint checkpoint, DecoderSpec spec, Tokenizer tokenizer, TokenWindows calibration,
        TokenWindows evaluation, Prompts prompts) implements AutoCloseable {

    /** Fields that no further output has. */
    private static final Pattern OF_THE_ORDER = Pattern.compile("method|protections");

    static OpenedRun open(PruningRun.Inputs inputs) {
        List<Violation> wrong = inputs.recipe().violations();
        if (!wrong.isEmpty()) {
            throw new PruningException(ErrorCode.INVALID_RECIPE, wrong);
        }
        Checkpoint checkpoint = Checkpoint.open(inputs.model());
        try {
            DecoderSpec spec = Architecture.specOf(checkpoint);
            Tokenizer tokenizer = tokenizer(inputs);
            try {
                return checked(inputs, checkpoint, spec, tokenizer);
            } catch (RuntimeException e) {
                if (tokenizer != null) {
                    tokenizer.close();
                }
                throw e;
            }
        } catch (RuntimeException e) {
            checkpoint.close();
            throw e;
        }
    }

    /** Ready token ids need no tokenizer; a text without one is refused. */
    static Tokenizer tokenizer(PruningRun.Inputs inputs) {
        boolean texts = Stream.of(inputs.calibration(), inputs.evaluation()).filter(Objects::nonNull).anyMatch(corpus -> !corpus.isReady());
        return texts || Files.exists(inputs.model().resolve(Tokenizer.FILE)) ? Tokenizer.open(inputs.model()) : null;
    }

    private static OpenedRun checked(PruningRun.Inputs inputs, Checkpoint checkpoint, DecoderSpec spec, Tokenizer tokenizer) {
        PruningRecipe recipe = inputs.recipe();
        List<PruningException> refused = new ArrayList<>();
        stays(recipe, spec, checkpoint, refused);
        TokenWindows calibration = null;
        if (recipe.measuresTokens()) {
            Calibration order = recipe.calibration();
            Windowing windowing = new Windowing.Sampled(order.sequences(), order.sequenceLength(), order.seed());
            calibration = gather(refused, () -> {
                requireFits(spec, order.sequenceLength(), "calibration.sequence_length");
                return Corpus.windows(inputs.calibration(), tokenizer, windowing, spec.vocabSize());
            });
        }
        TokenWindows evaluation = null;
        if (recipe.evaluation() != null) {
            Evaluation order = recipe.evaluation();
            Windowing windowing = new Windowing.Strided(order.windows(), evaluationLength(recipe, spec));
            evaluation = gather(refused, () -> {
                requireFits(spec, windowing.length(), "evaluation.sequence_length");
                return Corpus.windows(inputs.evaluation(), tokenizer, windowing, spec.vocabSize());
            });
            gather(refused, () -> requireContinuable(recipe, windowing.length()));
        }
        if (!refused.isEmpty()) {
            throw PruningException.all(refused);
        }
        Prompts prompts = evaluation == null || recipe.evaluation().continuations() == null
                ? null
                : Prompts.of(recipe.evaluation().continuations(), evaluation, checkpoint);
        return new OpenedRun(recipe, checkpoint, spec, tokenizer, calibration, evaluation, prompts);
    }

    /**
     * What each output would come to if all atoms scored the same.
     *
     * @param refused takes what is wrong with them
     * @return one for each output; {@code null} for one that is refused; empty for a model that nothing can be taken from
     */
    static List<Stay> stays(PruningRecipe recipe, DecoderSpec spec, Checkpoint checkpoint, List<PruningException> refused) {
        if (spec.experts().isEmpty()) {
            refused.add(new PruningException(ErrorCode.MODEL_WITHOUT_EXPERTS, List.of(
                    new Violation("model", "a " + spec.modelType() + " model without routed experts",
                            "a model with Mixture-of-Experts layers"))));
            return List.of();
        }
        List<PruningRecipe> orders = recipe.outputs();
        List<Stay> stays = new ArrayList<>();
        RankedScores alike = ranked(spec, checkpoint, zeros(spec));
        for (int i = 0; i < orders.size(); i++) {
            PruningRecipe order = orders.get(i);
            String at = i == 0 ? "" : "further_outputs[" + (i - 1) + "].";
            stays.add(gather(refused, () -> within(at, () -> allocate(order, spec, checkpoint, alike, granularity(order)))));
        }
        return stays;
    }

    /** As ordered, else the calibration's; a method without tokens has a calibration only in name, so the model's positions bound it. */
    static int evaluationLength(PruningRecipe recipe, DecoderSpec spec) {
        if (recipe.evaluation().sequenceLength() != null) {
            return recipe.evaluation().sequenceLength();
        }
        int calibrations = recipe.calibration().sequenceLength();
        return recipe.measuresTokens() ? calibrations : Math.min(calibrations, spec.maxPositions());
    }

    static void requireFits(DecoderSpec spec, int length, String field) {
        if (length > Math.min(spec.maxPositions(), Decoder.LONGEST_SEQUENCE)) {
            throw new PruningException(ErrorCode.SEQUENCE_TOO_LONG,
                    List.of(new Violation(field, String.valueOf(length), spec.maxPositions() <= Decoder.LONGEST_SEQUENCE
                            ? "at most " + spec.maxPositions() + ", the model's max_position_embeddings"
                            : "at most " + Decoder.LONGEST_SEQUENCE + ", the longest sequence that is computed here")));
        }
    }

    /** Again where the order left the length of a window to the model. */
    static Void requireContinuable(PruningRecipe recipe, int length) {
        List<Violation> found = new ArrayList<>();
        if (recipe.evaluation().continuations() != null) {
            recipe.evaluation().continuations().fits("evaluation.continuations", length, found);
        }
        if (!found.isEmpty()) {
            throw new PruningException(ErrorCode.SEQUENCE_TOO_LONG, found);
        }
        return null;
    }

    static <T> T gather(List<PruningException> refused, Supplier<T> step) {
        try {
            return step.get();
        } catch (PruningException e) {
            refused.add(e);
            return null;
        }
    }

    /** What is wrong with a further output is said of it, but for what is the whole order's. */
    private static <T> T within(String at, Supplier<T> step) {
        try {
            return step.get();
        } catch (PruningException e) {
            if (at.isEmpty() || e.violations().isEmpty()) {
                throw e;
            }
            throw new PruningException(e.code(),
                    e.violations().stream().map(violation -> OF_THE_ORDER.matcher(violation.field()).lookingAt()
                            ? violation
                            : new Violation(at + violation.field(), violation.given(), violation.expected())).toList());
        }
    }

    private static double[][] zeros(DecoderSpec spec) {
        return spec.experts().stream().map(expert -> new double[expert.width()]).toArray(double[][]::new);
    }

    /** What an order's budget, layout, alignment and protections make of some scores. */
    Stay allocate(PruningRecipe order, double[][] scores, Allocation.Granularity granularity) {
        return allocate(order, spec, checkpoint, ranked(spec, checkpoint, scores), granularity);
    }

    private static RankedScores ranked(DecoderSpec spec, Checkpoint checkpoint, double[][] scores) {
        return RankedScores.of(weighed(spec, checkpoint, scores), Allocation.sourceBlock(checkpoint, spec.experts()));
    }

    private static Stay allocate(PruningRecipe order, DecoderSpec spec, Checkpoint checkpoint, RankedScores scores,
            Allocation.Granularity granularity) {
        int block = Allocation.sourceBlock(checkpoint, spec.experts());
        return new Allocation(order.budget(), order.layout(), alignment(order, spec, checkpoint).atoms(), order.allowEmptyExperts(),
                order.method().scope(), granularity, block, new EngineDemands(order.tensorParallel(), topK(spec)),
                order.protections() == null ? Protections.NONE : order.protections())
                .stay(scores,
                        new Allocation.ModelSize(checkpoint.parameters(), checkpoint.tensorBytes()));
    }

    /** The alignment that an order comes to with this model. */
    ChosenAlignment alignment(PruningRecipe order) {
        return alignment(order, spec, checkpoint);
    }

    static ChosenAlignment alignment(PruningRecipe order, DecoderSpec spec, Checkpoint checkpoint) {
        return ChosenAlignment.of(order, spec.experts().stream().mapToInt(ExpertTensors::width).min().orElse(1),
                Allocation.sourceBlock(checkpoint, spec.experts()));
    }

    private static int topK(DecoderSpec spec) {
        return spec.layers().stream().map(DecoderSpec.LayerSpec::mlp).filter(DecoderSpec.Moe.class::isInstance)
                .mapToInt(mlp -> ((DecoderSpec.Moe) mlp).topK()).max().orElse(1);
    }

    /** What its routers look like. */
    RouterShape router() {
        long[] parameters = new long[spec.experts().size()];
        long[] bytes = new long[parameters.length];
        Map<Integer, List<String>> perExpert = spec.perExpert();
        for (int e = 0; e < parameters.length; e++) {
            for (String name : perExpert.getOrDefault(spec.experts().get(e).layer(), List.of())) {
                Tensor tensor = checkpoint.tensor(name);
                parameters[e] += tensor.elements() / tensor.dim(0);
                bytes[e] += tensor.length() / tensor.dim(0);
            }
        }
        return new RouterShape(topK(spec), parameters, bytes);
    }

    /** Scores with what an atom weighs in the checkpoint. */
    static List<ExpertScores> weighed(DecoderSpec spec, Checkpoint checkpoint, double[][] scores) {
        List<ExpertScores> weighed = new ArrayList<>(scores.length);
        for (int e = 0; e < scores.length; e++) {
            weighed.add(ExpertScores.of(checkpoint, spec.experts().get(e), scores[e]));
        }
        return weighed;
    }

    static Compute.Precision precision(PruningRecipe recipe) {
        return switch (recipe.precision()) {
            case F32 -> Compute.Precision.FLOAT32;
            case BF16 -> Compute.Precision.BFLOAT16;
        };
    }

    static Allocation.Granularity granularity(PruningRecipe recipe) {
        return Criterion.of(recipe.method()).wholeExperts() ? Allocation.Granularity.EXPERT : Allocation.Granularity.ATOM;
    }

    @Override
    public void close() {
        if (tokenizer != null) {
            tokenizer.close();
        }
        checkpoint.close();
    }
}
