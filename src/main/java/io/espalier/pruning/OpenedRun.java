package io.espalier.pruning;

import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.stream.Stream;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.corpus.Corpus;
import io.espalier.corpus.TokenWindows;
import io.espalier.corpus.Tokenizer;
import io.espalier.corpus.Windowing;
import io.espalier.method.Criterion;
import io.espalier.plan.Allocation;
import io.espalier.plan.EngineDemands;
import io.espalier.plan.ExpertScores;
import io.espalier.plan.KeepPlan;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Evaluation;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.Violation;
import io.espalier.transformer.Architecture;
import io.espalier.transformer.Compute;
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
            recipe.outputs().forEach(order -> gather(refused, () -> allocate(order, spec, checkpoint, zeros(spec), granularity(order))));
        }
        TokenWindows calibration = null;
        if (recipe.method().name().needsTokens()) {
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
        return recipe.method().name().needsTokens() ? calibrations : Math.min(calibrations, spec.maxPositions());
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

    /** The plan that an order's budget, layout and alignment make of some scores. */
    KeepPlan allocate(PruningRecipe order, double[][] scores, Allocation.Granularity granularity) {
        return allocate(order, spec, checkpoint, scores, granularity);
    }

    private static KeepPlan allocate(PruningRecipe recipe, DecoderSpec spec, Checkpoint checkpoint, double[][] scores,
            Allocation.Granularity granularity) {
        List<ExpertTensors> experts = spec.experts();
        List<ExpertScores> ranked = new ArrayList<>(experts.size());
        for (int e = 0; e < experts.size(); e++) {
            ranked.add(ExpertScores.of(checkpoint, experts.get(e), scores[e]));
        }
        int topK = spec.layers().stream().map(DecoderSpec.LayerSpec::mlp).filter(DecoderSpec.Moe.class::isInstance)
                .mapToInt(mlp -> ((DecoderSpec.Moe) mlp).topK()).max().orElse(1);
        return new Allocation(recipe.budget(), recipe.layout(), ChosenAlignment.of(recipe, spec, checkpoint).atoms(),
                recipe.allowEmptyExperts(), recipe.method().scope(), granularity, Allocation.sourceBlock(checkpoint, experts),
                new EngineDemands(recipe.tensorParallel(), topK))
                .plan(ranked, new Allocation.ModelSize(checkpoint.parameters(), checkpoint.tensorBytes()));
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
