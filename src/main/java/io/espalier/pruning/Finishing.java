package io.espalier.pruning;

import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
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
import io.espalier.recipe.Continuations;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.PruningResult.Achieved;
import io.espalier.recipe.PruningResult.Digests;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.MemoryPlan;
import tools.jackson.databind.node.ObjectNode;

/**
 * From scores to finished models: plan, cut, check, describe. One set of scores can make several models, each by its own layout and budget; then every
 * step does all of them before the next begins.
 *
 * @param baseModel how the given model is called
 * @param scored of every atom, and what stands behind it
 * @param digests of everything before the plan
 */
record Finishing(OpenedRun opened, ComputeDevice device, Path workDirectory, Progress progress, String baseModel, Scored scored,
        Digests digests) {

    /** Of the random control; no seed that an order is likely to name. */
    private static final long CONTROL_SEED = 1_000_003;

    /**
     * A finished model.
     *
     * @param plan who stays
     * @param result the figures
     * @param artifact directory with every file, summed
     */
    record Made(KeepPlan plan, PruningResult result, Path artifact) {}

    /**
     * Makes a model of each order.
     *
     * @param orders the run's own first; they differ in layout, alignment, devices and budget
     */
    List<Made> make(List<PruningRecipe> orders) {
        stretch(Phase.PLAN, 67, 68).at(0, null, null, null);
        List<KeepPlan> plans = new ArrayList<>();
        List<Double> lossChanges = new ArrayList<>();
        for (PruningRecipe order : orders) {
            Stay stay = opened.allocate(order, scored.values(), OpenedRun.granularity(order));
            plans.add(stay.plan());
            lossChanges.add(predictedLossChange(stay));
            notes(order).planned(opened, plans.getLast());
        }
        List<Path> artifacts = new ArrayList<>();
        PhaseProgress cutting = stretch(Phase.CUT, 68, 76);
        cutting.at(0, null, null, null);
        for (int i = 0; i < orders.size(); i++) {
            artifacts.add(cut(orders.get(i), plans.get(i), workDirectory.resolve(i == 0 ? "model" : "model-" + i),
                    cutting.part((double) i / orders.size(), (i + 1.0) / orders.size())));
        }
        double measured = opened.prompts() == null ? 1 : 0.8;
        PhaseProgress check = stretch(Phase.CHECK, 76, 99);
        PhaseProgress checking = check.part(0, measured);
        checking.at(0, null, null, null);
        double once = 0.4 / orders.size();
        Perplexity given = opened.evaluation() == null
                ? null
                : perplexity(opened.checkpoint(), opened.spec(), KeptAtoms.ALL, checking.part(0, once));
        List<Made> made = new ArrayList<>();
        for (int i = 0; i < orders.size(); i++) {
            double each = (1 - once) / orders.size();
            made.add(check(orders.get(i), plans.get(i), lossChanges.get(i), artifacts.get(i), given,
                    checking.part(once + i * each, once + (i + 1) * each)));
        }
        return opened.prompts() == null ? made : speaking(made, orders, check.part(measured, 1));
    }

    /** What the models say is told to whoever ordered, and not written into the model: it holds pieces of the evaluation text. */
    private List<Made> speaking(List<Made> made, List<PruningRecipe> orders, PhaseProgress stretch) {
        List<Continuations> said = new Speaking(opened, device).of(made.stream().map(Made::artifact).toList(), stretch);
        return IntStream.range(0, made.size()).mapToObj(i -> {
            notes(orders.get(i)).continued(said.get(i));
            return new Made(made.get(i).plan(), made.get(i).result().with(said.get(i)), made.get(i).artifact());
        }).toList();
    }

    private Path cut(PruningRecipe order, KeepPlan plan, Path artifact, PhaseProgress stretch) {
        long total = opened.checkpoint().tensorBytes();
        long[] done = new long[1];
        ObjectNode config = Architecture.of(opened.checkpoint()).resized(opened.checkpoint().config(), opened.spec(),
                plan.remainingWidths());
        ModelingFile modeling = ModelingFile.of(config, opened.checkpoint());
        List<Integer> unfused = Cut.write(opened.checkpoint(), plan, opened.spec().experts(), opened.spec().perExpert(),
                modeling.announcedIn(config), artifact, bytes -> {
                    done[0] += bytes;
                    opened.checkpoint().wasRead(bytes);
                    stretch.at(Math.min(1, (double) done[0] / total), null, null, null);
                });
        modeling.write(artifact);
        notes(order).unfused(unfused);
        return artifact;
    }

    /** Measures the written model, opened by our own reader, against the given one, and describes it. */
    private Made check(PruningRecipe order, KeepPlan plan, Double lossChange, Path artifact, Perplexity given, PhaseProgress stretch) {
        PruningResult result;
        try (Checkpoint written = Checkpoint.open(artifact)) {
            DecoderSpec writtenSpec = Architecture.specOf(written);
            PruningResult.Size before = ModelSize.of(opened.spec(), opened.checkpoint());
            PruningResult.Size after = ModelSize.of(writtenSpec, written);
            PruningResult.Perplexity perplexity = null;
            if (given != null) {
                Perplexity cut = perplexity(written, writtenSpec, KeptAtoms.ALL, stretch.part(0, 0.5));
                Double control = order.evaluation().randomControl()
                        ? Double.valueOf(
                                perplexity(opened.checkpoint(), opened.spec(), keeping(atRandom(order)), stretch.part(0.5, 1)).value())
                        : null;
                perplexity = new PruningResult.Perplexity(given.value(), cut.value(), control, given.predictedTokens());
            }
            Achieved achieved = new Achieved(order.budget().ratio(), order.budget().ratioOf(), plan.removedAtoms(),
                    share(plan.removedAtoms(), plan.atoms()),
                    share(before.totalParameters() - after.totalParameters(), before.totalParameters()),
                    share(before.bytes() - after.bytes(), before.bytes()), plan.minWidth(), plan.maxWidth(), plan.emptyExperts(),
                    plan.removedExperts(), opened.alignment(order).atoms());
            result = new PruningResult(before, after, achieved, scored.coverage(opened.spec().experts()), perplexity, lossChange,
                    new Digests(digests.model(), digests.tokenizer(), digests.calibration(), digests.scores(), plan.digest(), null),
                    WrittenShape.engines(written, writtenSpec, artifact), null, List.of());
            notes(order).measured(result);
        }
        ModelCard.write(artifact, order, baseModel, plan, result, opened.alignment(order));
        return new Made(plan, result.summed(Checksums.write(artifact)), artifact);
    }

    private Perplexity perplexity(Checkpoint checkpoint, DecoderSpec spec, KeptAtoms kept, PhaseProgress stretch) {
        MemoryPlan plan = device.plan(spec, new MemoryPlan.Work(opened.evaluation().windows(), opened.evaluation().length(), false),
                OpenedRun.precision(opened.recipe()));
        try (Decoder decoder = Decoder.open(checkpoint, spec, kept, plan.compute())) {
            return Perplexity.measure(decoder, opened.evaluation(), plan, workDirectory, stretch);
        }
    }

    /** The same budget, layout and alignment with atoms, or whole experts, drawn at random. */
    private KeepPlan atRandom(PruningRecipe order) {
        MethodChoice draw = new MethodChoice(MethodName.RANDOM, null, null, null, CONTROL_SEED);
        Scores drawn = Criterion.of(draw).score(new Evidence(opened.checkpoint(), opened.spec().experts(), null));
        return opened.allocate(order, drawn.values(), Allocation.Granularity.ATOM).plan();
    }

    /** Reads a model through a plan. */
    static KeptAtoms keeping(KeepPlan plan) {
        Map<List<Integer>, KeepPlan.Expert> kept = new HashMap<>();
        plan.experts().forEach(expert -> kept.put(List.of(expert.layer(), expert.expert()), expert));
        return new KeptAtoms() {
            @Override
            public int[] of(int layer, int expert) {
                return kept.get(List.of(layer, expert)).kept();
            }

            @Override
            public boolean removed(int layer, int expert) {
                return kept.get(List.of(layer, expert)).removed();
            }
        };
    }

    /** Sum over the removed atoms; {@code null} when the criterion is not in units of loss. */
    private Double predictedLossChange(Stay stay) {
        return scored.lossWeight() == null ? null : Double.valueOf(Arrays.stream(stay.lossChanges(scored.lossWeight())).sum());
    }

    private RunNotes notes(PruningRecipe order) {
        return new RunNotes(order, progress);
    }

    private PhaseProgress stretch(Phase phase, double from, double to) {
        return new PhaseProgress(progress, phase, from, to);
    }

    private static double share(long part, long whole) {
        return new BigDecimal(part).divide(new BigDecimal(whole), MathContext.DECIMAL64).doubleValue();
    }
}
