package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

import io.espalier.recipe.Budget;
import io.espalier.recipe.Budget.RatioOf;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice.Scope;
import io.espalier.recipe.PruningException;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/** One width a layer, and whole experts: by hand, and against what a budget means. */
class LayoutAllocationTest {

    private static final Allocation.ModelSize MODEL = new Allocation.ModelSize(1000, 2000);
    private static final double INFINITE = Double.POSITIVE_INFINITY;

    private static Allocation order(Layout layout, String ratio, int alignment, Scope scope, int devices, int topK) {
        return new Allocation(new Budget(new BigDecimal(ratio), RatioOf.ROUTED_ATOMS), layout, alignment, false, scope,
                Allocation.Granularity.ATOM, 1, new EngineDemands(devices, topK));
    }

    private static ExpertScores expert(int layer, int expert, double... scores) {
        return new ExpertScores(layer, expert, scores, 3, 6);
    }

    private static List<List<Integer>> kept(KeepPlan plan) {
        return plan.experts().stream().map(expert -> Arrays.stream(expert.kept()).boxed().toList()).toList();
    }

    private static void refused(ThrowingCallable plan, ErrorCode code, String message) {
        assertThatThrownBy(plan).isInstanceOfSatisfying(PruningException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessage(message);
    }

    @Test
    void aLayerGivesItsWorstColumnWhereItsMeanIsLeast() {
        List<ExpertScores> experts = List.of(expert(0, 0, 5, 1, 9), expert(0, 1, 7, 8, 2), expert(4, 0, 1, 30, 2), expert(4, 1, 1, 2, 40));
        // columns: layer 0 (1+2)/2, (5+7)/2; layer 4 (1+1)/2, (2+2)/2. Four atoms of twelve are two columns
        KeepPlan plan = order(Layout.PER_LAYER, "0.33", 1, Scope.GLOBAL, 1, 1).plan(experts, MODEL);
        assertThat(kept(plan)).isEqualTo(List.of(List.of(0, 2), List.of(0, 1), List.of(1, 2), List.of(1, 2)));
        // the next cheapest is layer 4's second column, at 2
        plan = order(Layout.PER_LAYER, "0.5", 1, Scope.GLOBAL, 1, 1).plan(experts, MODEL);
        assertThat(kept(plan)).isEqualTo(List.of(List.of(0, 2), List.of(0, 1), List.of(1), List.of(2)));
        // within each layer its own third
        plan = order(Layout.PER_LAYER, "0.3", 1, Scope.LAYER, 1, 1).plan(experts, MODEL);
        assertThat(plan.remainingWidths().values()).allMatch(widths -> Arrays.equals(widths, new int[]{2, 2}));
        assertThat(order(Layout.PER_LAYER, "0.3", 1, Scope.EXPERT, 1, 1).plan(experts, MODEL)).isEqualTo(plan);
    }

    @Test
    void everyLayerKeepsItsNarrowestWidth() {
        List<ExpertScores> experts = List.of(expert(0, 0, 1, 2, 3, 4, 5), expert(1, 0, 10, 20, 30, 40, 50));
        KeepPlan plan = order(Layout.PER_LAYER, "0.6", 2, Scope.GLOBAL, 1, 1).plan(experts, MODEL);
        assertThat(kept(plan)).isEqualTo(List.of(List.of(3, 4), List.of(3, 4)));
        refused(() -> order(Layout.PER_LAYER, "0.61", 2, Scope.GLOBAL, 1, 1).plan(experts, MODEL), ErrorCode.BUDGET_UNREACHABLE,
                "budget.ratio: 0.61 of routed_atoms (expected: at most 0.600000, every layer keeps a width of at least 2)");
        refused(() -> order(Layout.PER_LAYER, "0.1", 4, Scope.GLOBAL, 2, 1).plan(experts, MODEL), ErrorCode.ALIGNMENT_LEAVES_NOTHING,
                "alignment: 8 (expected: at most 5, the width of layer 0, expert 0)");
    }

    @Test
    void aPerLayerPlanIsAlignedReachesItsBudgetAndWouldNotWithOneStepLess() {
        Random random = new Random(7);
        for (int round = 0; round < 200; round++) {
            int alignment = 1 << random.nextInt(3);
            int devices = 1 + random.nextInt(2);
            List<ExpertScores> experts = new ArrayList<>();
            for (int layer = 0; layer < 1 + random.nextInt(4); layer++) {
                int width = 24 + random.nextInt(12);
                for (int e = 0; e < 3; e++) {
                    experts.add(expert(layer, e, random.doubles(width + random.nextInt(2)).toArray()));
                }
            }
            String ratio = "0." + (1 + random.nextInt(4));
            Allocation order = order(Layout.PER_LAYER, ratio, alignment, Scope.GLOBAL, devices, 1);
            KeepPlan plan = order.plan(experts, MODEL);
            int step = alignment * devices;
            long atoms = plan.atoms();
            long target = new BigDecimal(ratio).multiply(BigDecimal.valueOf(atoms)).setScale(0, java.math.RoundingMode.CEILING).longValue();
            assertThat(plan.removedAtoms()).isGreaterThanOrEqualTo(target);
            boolean tight = plan.remainingWidths().values().stream().anyMatch(widths -> plan.removedAtoms() - 3L * step < target);
            assertThat(tight).isTrue();
            assertThat(plan.remainingWidths().values()).allMatch(widths -> widths[0] % step == 0 && widths[0] > 0
                    && Arrays.stream(widths).allMatch(width -> width == widths[0]));
        }
    }

    @Test
    void wholeExpertsGoByTheSumOfTheirAtomsEquallyManyInEachLayer() {
        List<ExpertScores> experts = List.of(expert(1, 0, 9, 0), expert(1, 1, 2, 2), expert(1, 2, 8, 8), expert(1, 3, 2, 2),
                expert(3, 0, 100, 100), expert(3, 1, 90, 0), expert(3, 2, 70, 0), expert(3, 3, 80, 5));
        KeepPlan plan = order(Layout.EXPERTS, "0.25", 1, Scope.GLOBAL, 1, 2).plan(experts, MODEL);
        // of equal sums the first goes
        assertThat(plan.experts().stream().filter(KeepPlan.Expert::removed).map(e -> e.layer() + ":" + e.expert())).containsExactly("1:1",
                "3:2");
        assertThat(plan.remaining()).allMatch(expert -> expert.keptWidth() == 2);
        // a little more, and another expert of every layer goes
        plan = order(Layout.EXPERTS, "0.26", 1, Scope.LAYER, 1, 2).plan(experts, MODEL);
        assertThat(plan.experts().stream().filter(KeepPlan.Expert::removed).map(e -> e.layer() + ":" + e.expert()))
                .containsExactly("1:1", "1:3", "3:2", "3:3");
        refused(() -> order(Layout.EXPERTS, "0.51", 1, Scope.GLOBAL, 1, 2).plan(experts, MODEL), ErrorCode.BUDGET_UNREACHABLE,
                "budget.ratio: 0.51 of routed_atoms (expected: at most 0.500000, of the 4 experts of a layer at least 2 stay, because a token"
                        + " selects top_k 2)");
    }

    @Test
    void theNumberThatStaysIsDividedByTheDevices() {
        List<ExpertScores> experts = new ArrayList<>();
        for (int e = 0; e < 8; e++) {
            experts.add(expert(0, e, e + 1));
        }
        assertThat(order(Layout.EXPERTS, "0.13", 1, Scope.GLOBAL, 4, 2).plan(experts, MODEL).removedExperts()).isEqualTo(4);
        assertThat(order(Layout.EXPERTS, "0.13", 1, Scope.GLOBAL, 3, 2).plan(experts, MODEL).removedExperts()).isEqualTo(2);
        refused(() -> order(Layout.EXPERTS, "0.6", 1, Scope.GLOBAL, 4, 2).plan(experts, MODEL), ErrorCode.BUDGET_UNREACHABLE,
                "budget.ratio: 0.6 of routed_atoms (expected: at most 0.500000, of the 8 experts of a layer at least 4 stay, because a token"
                        + " selects top_k 2 and tensor_parallel 4 divides them)");
        refused(() -> order(Layout.EXPERTS, "0.6", 1, Scope.GLOBAL, 16, 2).plan(experts, MODEL), ErrorCode.INVALID_RECIPE,
                "tensor_parallel: 16 (expected: a divisor of a number of experts from top_k 2 to the 8 of a layer)");
    }

    @Test
    void expertsThatMustStayStayAndThoseThatMustGoGo() {
        List<ExpertScores> experts = List.of(expert(0, 0, INFINITE, INFINITE), expert(0, 1, 5, 5), expert(0, 2, -INFINITE, -INFINITE),
                expert(0, 3, 1, 1));
        KeepPlan plan = order(Layout.EXPERTS, "0.5", 1, Scope.GLOBAL, 1, 1).plan(experts, MODEL);
        assertThat(plan.remaining()).extracting(KeepPlan.Expert::expert).containsExactly(0, 1);
        // and columns of a layer with such atoms are ranked too
        assertThat(order(Layout.PER_LAYER, "0.5", 1, Scope.GLOBAL, 1, 1).plan(experts, MODEL).remainingWidths().get(0)).containsOnly(1);
    }

    @Test
    void layersOfDifferentNumbersOfExpertsKeepThemAll() {
        List<ExpertScores> experts = List.of(expert(0, 0, 1), expert(0, 1, 2), expert(1, 0, 1));
        refused(() -> order(Layout.EXPERTS, "0.3", 1, Scope.GLOBAL, 1, 1).plan(experts, MODEL), ErrorCode.INVALID_RECIPE,
                "layout: experts (expected: ragged, per_layer or uniform, because the model's layers have 2 and 1 experts, and whole experts go"
                        + " equally from each)");
    }

    @Test
    void halfAMillionAtomsGetAWidthALayer() {
        Random random = new Random(3);
        List<ExpertScores> experts = new ArrayList<>();
        for (int layer = 0; layer < 10; layer++) {
            for (int e = 0; e < 64; e++) {
                experts.add(expert(layer, e, random.doubles(768).toArray()));
            }
        }
        KeepPlan plan = order(Layout.PER_LAYER, "0.25", 64, Scope.GLOBAL, 1, 8).plan(experts, MODEL);
        assertThat(plan.removedAtoms()).isGreaterThanOrEqualTo(plan.atoms() / 4);
    }
}
