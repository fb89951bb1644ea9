package io.espalier.pruning;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.IntToLongFunction;
import java.util.stream.IntStream;

import io.espalier.calibration.ExpertStatistics;
import io.espalier.calibration.SavePoints;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.evaluation.ModelSize;
import io.espalier.plan.Allocation;
import io.espalier.plan.ChosenAlignment;
import io.espalier.plan.KeepPlan;
import io.espalier.recipe.Continuations;
import io.espalier.recipe.Layout;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.PruningResult.Size;
import io.espalier.transformer.MemoryPlan;

/** What a run says of itself on the way, in sentences and figures. */
record RunNotes(PruningRecipe recipe, Progress progress) {

    void opened(OpenedRun opened, ComputeDevice device) {
        Size size = ModelSize.of(opened.spec(), opened.checkpoint());
        progress.note("model_opened", opened.spec().modelType() + " with " + opened.spec().layers().size() + " layers, "
                + opened.spec().experts().size() + " routed experts, " + size.totalParameters() + " parameters",
                Map.of("model_type", opened.spec().modelType(), "layers", opened.spec().layers().size(), "experts",
                        opened.spec().experts().size(), "total_parameters", size.totalParameters(), "device", device.name()));
    }

    void calibrated(List<ExpertTensors> experts, ExpertStatistics statistics) {
        progress.note("calibrated",
                statistics.tokens() + " tokens, mean negative log-likelihood " + statistics.meanLoss() + " nats a token",
                Map.of("tokens", statistics.tokens(), "mean_loss", statistics.meanLoss()));
        List<String> unrouted = unrouted(experts, statistics::routedTokens);
        if (!unrouted.isEmpty()) {
            progress.note("experts_unrouted",
                    unrouted.size() + " of " + experts.size() + " experts were reached by no calibration token; policy: "
                            + (recipe.method().unrouted() == null
                                    ? "ranked by count"
                                    : recipe.method().unrouted().name().toLowerCase(Locale.ROOT)),
                    Map.of("experts", unrouted));
        }
    }

    void planned(OpenedRun opened, KeepPlan plan) {
        int block = Allocation.sourceBlock(opened.checkpoint(), opened.spec().experts());
        if (block > 1 && recipe.layout() != Layout.EXPERTS) {
            progress.note("atoms_in_blocks", "The experts are stored in FP8 with a scale for each block of " + block
                    + ", so atoms stay or go in whole blocks of " + block, Map.of("block", block));
        }
        if (recipe.alignment().isAuto()) {
            ChosenAlignment alignment = opened.alignment(recipe);
            progress.note("alignment_chosen", "alignment " + alignment.atoms() + ": " + alignment.why(),
                    Map.of("alignment", alignment.atoms()));
        }
        progress.note("planned", plan.keptAtoms() + " of " + plan.atoms() + " atoms stay; expert widths " + plan.minWidth() + " to "
                + plan.maxWidth() + (plan.removedExperts() == 0 ? "" : "; " + plan.removedExperts() + " experts go"),
                Map.of("layout", recipe.layout().json(), "kept_atoms", plan.keptAtoms(), "routed_atoms", plan.atoms(), "min_width",
                        plan.minWidth(), "max_width", plan.maxWidth(), "removed_experts", plan.removedExperts()));
    }

    void measured(PruningResult result) {
        if (result.perplexity() != null) {
            progress.note("measured", "perplexity " + result.perplexity().before() + " before, " + result.perplexity().after() + " after",
                    Map.of("before", result.perplexity().before(), "after", result.perplexity().after()));
        }
    }

    void continued(Continuations said) {
        long tokens = said.prompts().stream().mapToLong(each -> each.before().ids().size()).sum();
        progress.note("continued", said.prompts().size() + " prompts continued; the models agree in the first " + said.tokensAgreeing()
                + " of " + tokens + " tokens",
                Map.of("layout", recipe.layout().json(), "prompts", said.prompts().size(), "tokens", tokens, "tokens_agreeing",
                        said.tokensAgreeing()));
    }

    void memoryPlanned(MemoryPlan plan) {
        progress.note("memory_planned", "about " + (plan.bytes() >> 20) + " MiB; " + String.join(", ",
                plan.facts().entrySet().stream().filter(fact -> !fact.getKey().equals("estimated_bytes"))
                        .map(fact -> fact.getKey().replace('_', ' ') + ": " + fact.getValue()).toList()),
                plan.facts());
    }

    void halved(ComputeDevice device, MemoryPlan smaller) {
        progress.note("micro_batch_halved",
                device.name() + " ran out of memory; once more with micro-batches of " + smaller.sequencesPerBatch()
                        + " sequences",
                smaller.facts());
    }

    /** @param slice counted from 1 */
    SavePoints.Story ofSaving(int slice, int slices) {
        String words = "lice " + slice + " of " + slices;
        return new SavePoints.Story() {
            @Override
            public void resumed(int layer, int attempt) {
                progress.note("slice_resumed", "S" + words + " goes on below layer " + layer + ", saved by attempt " + attempt,
                        Map.of("slice", slice, "slices", slices, "layer", layer, "attempt", attempt));
            }

            @Override
            public void ignored(String why) {
                progress.note("save_point_ignored",
                        "What was saved of s" + words + " is deleted, and the slice is measured from its start: "
                                + why,
                        Map.of("slice", slice, "slices", slices));
            }

            @Override
            public void saved(int layer) {
                progress.note("slice_saved", "S" + words + " is saved down to layer " + layer
                        + "; whoever goes on with it on this machine begins below",
                        Map.of("slice", slice, "slices", slices, "layer", layer));
            }

            @Override
            public void notSaved(String why) {
                progress.note("slice_not_saved", "S" + words + " goes on without being saved on the way: " + why,
                        Map.of("slice", slice, "slices", slices));
            }
        };
    }

    void unfused(List<Integer> layers) {
        if (!layers.isEmpty()) {
            progress.note("experts_unfused",
                    "Layers " + layers + " have experts of several widths, which a fused tensor cannot hold; they are written"
                            + " with a tensor for each expert, and stock loaders of the fused form will not open them",
                    Map.of("layers", layers));
        }
    }

    /** Experts that no token reached, as {@code layer:expert}. */
    static List<String> unrouted(List<ExpertTensors> experts, IntToLongFunction routedTokens) {
        return IntStream.range(0, experts.size()).filter(e -> routedTokens.applyAsLong(e) == 0)
                .mapToObj(e -> experts.get(e).layer() + ":" + experts.get(e).expert()).toList();
    }
}
