package io.espalier.pruning;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.espalier.plan.Forecast;
import io.espalier.plan.KeepPlan;
import io.espalier.plan.StoredScores;
import io.espalier.recipe.Alignment;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Budget.RatioOf;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Progress;
import io.espalier.recipe.Protections;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.ScoreSummary;
import io.espalier.recipe.Slicing;
import io.espalier.recipe.Violation;
import io.espalier.transformer.Fixture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Scores measured once: used again by another run, and planned from without one. */
class ReusedScoresTest {

    private static final ComputeDevice CPU = new ComputeDevice("cpu", 0);
    private static final Fixture MODEL = Fixture.QWEN2_MOE;

    @TempDir
    Path directory;

    private static PruningRecipe recipe(MethodChoice method, Budget budget, Layout layout, Protections protections, String scoreSet) {
        Calibration calibration = new Calibration(CorpusRef.at(MODEL.reference("calib_ids.safetensors").toAbsolutePath().toString()), 8,
                256,
                0L);
        return new PruningRecipe("fixture", method, scoreSet == null ? calibration : null, budget, layout, null, null, false, null, null,
                null, null, null, protections, scoreSet);
    }

    private static PruningRecipe shaped(PruningRecipe order, Alignment alignment, int devices) {
        return new PruningRecipe(order.model(), order.method(), order.calibration(), order.budget(), order.layout(),
                order.layout() == Layout.EXPERTS ? null : alignment, devices, false, null, null, null, null, null, null, order.scoreSet());
    }

    private static PruningRun.Inputs inputs(PruningRecipe recipe) {
        return new PruningRun.Inputs(recipe, MODEL.model(), recipe.calibration().corpus(), null);
    }

    private Path work() {
        try {
            return Files.createTempDirectory(directory, "run");
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private PruningRun.Outcome measured(PruningRecipe recipe) {
        return PruningRun.execute(inputs(recipe), work(), CPU, Progress.IGNORED);
    }

    private PruningRun.Outcome reused(PruningRecipe recipe, Path scores) {
        try (PruningRun run = PruningRun.open(inputs(recipe), CPU, Progress.IGNORED)) {
            Slicing slicing = run.slicing(0, Progress.IGNORED);
            return run.finish(recipe.scoreSet() == null ? slicing.scoredBy("scr_1") : slicing, scores, work(), Progress.IGNORED);
        }
    }

    private static Budget ratio(String ratio) {
        return new Budget(new BigDecimal(ratio), RatioOf.ROUTED_ATOMS);
    }

    @Test
    void theSameOrderOnStoredScoresGivesTheSameBytes() {
        PruningRecipe recipe = recipe(MethodChoice.of(MethodName.HEAPR), ratio("0.3"), Layout.RAGGED, null, null);
        PruningRun.Outcome first = measured(recipe);
        PruningRun.Outcome second = reused(recipe, first.scores());
        assertThat(second.result()).isEqualTo(first.result());
        assertThat(second.result().digests().artifact()).isNotNull();
        assertThat(second.summary().withoutPlan().layers()).isEqualTo(first.summary().withoutPlan().layers());
        assertThat(first.origin().address()).isEqualTo(second.origin().address()).hasSize(64);
    }

    @Test
    void aPlanSaysWhatTheRunThenDoes() throws IOException {
        PruningRun.Outcome scored = measured(recipe(MethodChoice.of(MethodName.HEAPR), ratio("0.5"), Layout.UNIFORM, null, null));
        StoredScores scores = StoredScores.read(scored.scores());
        long bytes = scored.result().before().bytes();
        List<PruningRecipe> orders = new ArrayList<>();
        for (Layout layout : List.of(Layout.RAGGED, Layout.UNIFORM)) {
            for (Budget budget : List.of(ratio("0.37"), new Budget(new BigDecimal("0.2"), RatioOf.BYTES),
                    new Budget(null, null, 2_500_000L, null), new Budget(null, null, null, bytes * 3 / 4))) {
                orders.add(recipe(MethodChoice.of(MethodName.HEAPR), budget, layout, null, "scr_1"));
            }
        }
        for (Layout layout : List.of(Layout.PER_LAYER, Layout.EXPERTS)) {
            for (Budget budget : List.of(ratio("0.37"), new Budget(new BigDecimal("0.2"), RatioOf.BYTES),
                    new Budget(null, null, 2_500_000L, null), new Budget(null, null, null, bytes * 3 / 4))) {
                orders.add(shaped(recipe(MethodChoice.of(MethodName.HEAPR), budget, layout, null, "scr_1"), Alignment.AUTO, 2));
            }
        }
        orders.add(recipe(MethodChoice.of(MethodName.HEAPR), ratio("0.3"), Layout.PER_LAYER,
                new Protections(40, List.of(1), List.of(new Protections.Expert(2, 3, List.of(0, 17)))), "scr_1"));
        orders.add(recipe(MethodChoice.of(MethodName.HEAPR), ratio("0.3"), Layout.EXPERTS,
                new Protections(null, null, List.of(new Protections.Expert(1, 5, null), new Protections.Expert(2, 3, List.of(0)))),
                "scr_1"));
        orders.add(recipe(MethodChoice.of(MethodName.HEAPR), ratio("0.4"), Layout.RAGGED,
                new Protections(8, List.of(1), List.of(new Protections.Expert(2, 3, List.of(0, 17)))), "scr_1"));
        for (PruningRecipe order : orders) {
            Forecast forecast = Forecast.of(scores.allocation(order), scores);
            PruningRun.Outcome outcome = reused(order, scored.scores());
            PruningResult result = outcome.result();
            assertThat(forecast.achieved()).as("%s", order).isEqualTo(result.achieved());
            assertThat(forecast.predictedLossChange()).isEqualTo(result.predictedLossChange());
            assertThat(forecast.after().bytes()).isEqualTo(result.after().bytes());
            assertThat(forecast.after().totalParameters()).isEqualTo(result.after().totalParameters());
            KeepPlan plan = KeepPlan.fromJson(Files.readString(outcome.artifact().resolve("pruning-plan.json")));
            assertThat(forecast.layers().stream().flatMapToInt(layer -> Arrays.stream(layer.widths())).toArray())
                    .isEqualTo(plan.experts().stream().mapToInt(KeepPlan.Expert::keptWidth).toArray());
            assertThat(forecast.layers().stream().mapToInt(layer -> layer.removedExperts().length).sum()).isEqualTo(plan.removedExperts());
            if (order.budget().target() != null) {
                assertThat(order.budget().targetBytes() != null ? result.after().bytes() : result.after().totalParameters())
                        .isLessThanOrEqualTo(order.budget().target());
            }
        }
        KeepPlan last = KeepPlan
                .fromJson(Files.readString(reused(orders.getLast(), scored.scores()).artifact().resolve("pruning-plan.json")));
        assertThat(last.experts()).allMatch(expert -> expert.keptWidth() >= 8 && (expert.layer() != 1 || expert.keptWidth() == 96));
        assertThat(last.experts().get(2 * 16 + 3).kept()).contains(0, 17);
    }

    @Test
    void theHalvesOfACalibrationAreCompared() {
        ScoreSummary.Agreement agreement = measured(recipe(MethodChoice.of(MethodName.HEAPR), ratio("0.5"), Layout.RAGGED, null, null))
                .summary().agreement();
        assertThat(agreement.tokens()).containsExactly(1024L, 1024L);
        assertThat(agreement.atoms()).isBetween(4000L, 6144L);
        assertThat(agreement.spearman()).isBetween(0.5, 1.0);
        assertThat(agreement.jaccard()).extracting(ScoreSummary.Overlap::ratio).containsExactly(0.1, 0.25, 0.5, 0.75);
        assertThat(agreement.jaccard()).allMatch(overlap -> overlap.jaccard() > 0.2 && overlap.jaccard() <= 1);
        assertThat(measured(recipe(MethodChoice.of(MethodName.MAGNITUDE), ratio("0.5"), Layout.RAGGED, null, null)).summary().agreement())
                .isNull();
    }

    @Test
    void scoresOfAnotherMethodAreRefused() {
        PruningRun.Outcome scored = measured(recipe(MethodChoice.of(MethodName.MAGNITUDE), ratio("0.5"), Layout.RAGGED, null, null));
        PruningRecipe other = recipe(MethodChoice.of(MethodName.HEAPR), ratio("0.5"), Layout.RAGGED, null, "scr_1");
        assertThatThrownBy(() -> reused(other, scored.scores())).isInstanceOfSatisfying(PruningException.class, refused -> {
            assertThat(refused.code()).isEqualTo(ErrorCode.INVALID_RECIPE);
            assertThat(refused.violations()).extracting(Violation::field).containsExactly("method");
        });
    }

    @Test
    void theAddressOfScoresDependsOnWhatChangesThemAndOnNothingElse() {
        String address = address(recipe(MethodChoice.of(MethodName.HEAPR), ratio("0.5"), Layout.RAGGED, null, null));
        PruningRecipe sameScores = recipe(new MethodChoice(MethodName.HEAPR, null, MethodChoice.Scope.LAYER, new BigDecimal("0.0"), null),
                ratio("0.1"), Layout.UNIFORM, new Protections(2, null, null), null);
        assertThat(address(sameScores)).isEqualTo(address);
        assertThat(address(recipe(new MethodChoice(MethodName.HEAPR, null, null, BigDecimal.ONE, null), ratio("0.5"), Layout.RAGGED, null,
                null))).isNotEqualTo(address);
        assertThat(address(recipe(MethodChoice.of(MethodName.MAGNITUDE), ratio("0.5"), Layout.RAGGED, null, null))).isNotEqualTo(address);
    }

    private static String address(PruningRecipe recipe) {
        try (PruningRun run = PruningRun.open(inputs(recipe), CPU, Progress.IGNORED)) {
            return run.origin(run.slicing(0, Progress.IGNORED)).address();
        }
    }
}
