package io.espalier.pruning;

import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.stream.Stream;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.corpus.Corpus;
import io.espalier.corpus.TokenWindows;
import io.espalier.corpus.Tokenizer;
import io.espalier.corpus.Windowing;
import io.espalier.method.Criterion;
import io.espalier.plan.Allocation;
import io.espalier.plan.ExpertScores;
import io.espalier.plan.RankedScores;
import io.espalier.plan.Stay;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Evaluation;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.Protections;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.Violation;
import io.espalier.transformer.Architecture;
import io.espalier.transformer.DecoderSpec;

/**
 * Everything a run needs, opened and checked against each other before the expensive part begins; what does not fit is refused all at once.
 *
 * @param tokenizer {@code null} when the checkpoint has none and no text is to be read
 * @param calibration {@code null} when the method sees no tokens
 * @param evaluation {@code null} when none was ordered
 */
record OpenedRun(PruningRecipe recipe, Checkpoint checkpoint, DecoderSpec spec, Tokenizer tokenizer, TokenWindows calibration,
        TokenWindows evaluation) implements AutoCloseable {

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
    private static Tokenizer tokenizer(PruningRun.Inputs inputs) {
        boolean texts = Stream.of(inputs.calibration(), inputs.evaluation()).filter(Objects::nonNull)
                .anyMatch(corpus -> corpus.path() == null || !corpus.path().endsWith(".safetensors"));
        return texts || Files.exists(inputs.model().resolve(Tokenizer.FILE)) ? Tokenizer.open(inputs.model()) : null;
    }

    private static OpenedRun checked(PruningRun.Inputs inputs, Checkpoint checkpoint, DecoderSpec spec, Tokenizer tokenizer) {
        PruningRecipe recipe = inputs.recipe();
        List<PruningException> refused = new ArrayList<>();
        if (spec.experts().isEmpty()) {
            refused.add(new PruningException(ErrorCode.MODEL_WITHOUT_EXPERTS, List.of(
                    new Violation("model", "a " + spec.modelType() + " model without routed experts",
                            "a model with Mixture-of-Experts layers"))));
        } else {
            gather(refused, () -> allocate(recipe, spec, checkpoint, recipe.method().scope(), zeros(spec)));
        }
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
        }
        if (!refused.isEmpty()) {
            throw PruningException.all(refused);
        }
        return new OpenedRun(recipe, checkpoint, spec, tokenizer, calibration, evaluation);
    }

    /** As ordered, else the calibration's; a method without tokens has a calibration only in name, so the model's positions bound it. */
    private static int evaluationLength(PruningRecipe recipe, DecoderSpec spec) {
        if (recipe.evaluation().sequenceLength() != null) {
            return recipe.evaluation().sequenceLength();
        }
        int calibrations = recipe.calibration().sequenceLength();
        return recipe.measuresTokens() ? calibrations : Math.min(calibrations, spec.maxPositions());
    }

    private static void requireFits(DecoderSpec spec, int length, String field) {
        if (length > spec.maxPositions()) {
            throw new PruningException(ErrorCode.SEQUENCE_TOO_LONG,
                    List.of(new Violation(field, String.valueOf(length),
                            "at most " + spec.maxPositions() + ", the model's max_position_embeddings")));
        }
    }

    private static <T> T gather(List<PruningException> refused, Supplier<T> step) {
        try {
            return step.get();
        } catch (PruningException e) {
            refused.add(e);
            return null;
        }
    }

    private static double[][] zeros(DecoderSpec spec) {
        return spec.experts().stream().map(expert -> new double[expert.width()]).toArray(double[][]::new);
    }

    /** What this run's budget, layout, alignment and protections make of some scores. */
    Stay allocate(double[][] scores, Allocation.Granularity granularity) {
        return allocate(recipe, spec, checkpoint, recipe.method().scope(), scores, granularity);
    }

    private static Stay allocate(PruningRecipe recipe, DecoderSpec spec, Checkpoint checkpoint, MethodChoice.Scope scope,
            double[][] scores) {
        return allocate(recipe, spec, checkpoint, scope, scores, granularity(recipe));
    }

    private static Stay allocate(PruningRecipe recipe, DecoderSpec spec, Checkpoint checkpoint, MethodChoice.Scope scope,
            double[][] scores,
            Allocation.Granularity granularity) {
        int block = Allocation.sourceBlock(checkpoint, spec.experts());
        return new Allocation(recipe.budget(), recipe.layout(), recipe.alignment(), recipe.allowEmptyExperts(), scope, granularity, block,
                recipe.protections() == null ? Protections.NONE : recipe.protections())
                .stay(RankedScores.of(weighed(spec, checkpoint, scores), block),
                        new Allocation.ModelSize(checkpoint.parameters(), checkpoint.tensorBytes()));
    }

    /** Scores with what an atom weighs in the checkpoint. */
    static List<ExpertScores> weighed(DecoderSpec spec, Checkpoint checkpoint, double[][] scores) {
        List<ExpertScores> weighed = new ArrayList<>(scores.length);
        for (int e = 0; e < scores.length; e++) {
            weighed.add(ExpertScores.of(checkpoint, spec.experts().get(e), scores[e]));
        }
        return weighed;
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
