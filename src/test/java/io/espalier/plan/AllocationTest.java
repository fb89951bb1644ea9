package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

import io.espalier.plan.Allocation.Granularity;
import io.espalier.plan.Allocation.ModelSize;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Budget.RatioOf;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice.Scope;
import io.espalier.recipe.PruningException;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

class AllocationTest {

    private static final ModelSize MODEL = new ModelSize(1000, 2000);
    private static final double INF = Double.POSITIVE_INFINITY;

    private static Allocation ragged(String ratio) {
        return new Allocation(new Budget(new BigDecimal(ratio), RatioOf.ROUTED_ATOMS), Layout.RAGGED, 1, false, Scope.GLOBAL,
                Granularity.ATOM);
    }

    private static Allocation uniform(String ratio, int alignment) {
        return new Allocation(new Budget(new BigDecimal(ratio), RatioOf.ROUTED_ATOMS), Layout.UNIFORM, alignment, false, Scope.GLOBAL,
                Granularity.ATOM);
    }

    private static Allocation with(Allocation order, int alignment, boolean empty, Scope scope, Granularity granularity) {
        return new Allocation(order.budget(), order.layout(), alignment, empty, scope, granularity);
    }

    /** One layer; an array of scores an expert. */
    private static List<ExpertScores> experts(double[]... scores) {
        List<ExpertScores> experts = new ArrayList<>();
        for (int e = 0; e < scores.length; e++) {
            experts.add(new ExpertScores(0, e, scores[e], 6, 12));
        }
        return experts;
    }

    private static double[] of(double... scores) {
        return scores;
    }

    private static int[][] kept(KeepPlan plan) {
        return plan.experts().stream().map(KeepPlan.Expert::kept).toArray(int[][]::new);
    }

    private static void refused(ThrowingCallable call, ErrorCode code, String message) {
        assertThatThrownBy(call).hasMessage(message).isInstanceOfSatisfying(PruningException.class,
                thrown -> assertThat(thrown.code()).isEqualTo(code));
    }

    @Test
    void theWorstAtomsOfTheWholeModelGo() {
        KeepPlan plan = ragged("0.5").plan(experts(of(9, 1, 8, 2), of(3, 7, 4, 6)), MODEL);
        assertThat(kept(plan)).isDeepEqualTo(new int[][]{{0, 2}, {1, 3}});
    }

    @Test
    void theKeptCountIsExactInDecimals() {
        double[] ten = new Random(1).doubles(10).toArray();
        // binary: 10 * (1 - 0.9) is 0.9999999999999998
        assertThat(ragged("0.9").plan(experts(ten), MODEL).keptAtoms()).isEqualTo(1);
        assertThat(ragged("0.7").plan(experts(ten), MODEL).keptAtoms()).isEqualTo(3);
        assertThat(ragged("0.71").plan(experts(ten), MODEL).keptAtoms()).isEqualTo(2);
    }

    @Test
    void tiesGoByLayerExpertAndIndex() {
        List<ExpertScores> tied = List.of(new ExpertScores(1, 0, of(0, -0.0, 0), 6, 12), new ExpertScores(1, 3, of(-0.0, 0, 0), 6, 12),
                new ExpertScores(2, 0, of(0, 0, 0), 6, 12));
        assertThat(kept(ragged("0.4").plan(tied, MODEL))).isDeepEqualTo(new int[][]{{2}, {2}, {0, 1, 2}});
    }

    @Test
    void everyExpertKeepsItsBestAtom() {
        KeepPlan plan = ragged("0.5").plan(experts(of(1, 3, 2, 3), of(9, 8, 7, 6)), MODEL);
        assertThat(kept(plan)).isDeepEqualTo(new int[][]{{3}, {0, 1, 2}});
        KeepPlan empty = with(ragged("0.5"), 1, true, Scope.GLOBAL, Granularity.ATOM).plan(experts(of(1, 3, 2, 3), of(9, 8, 7, 6)), MODEL);
        assertThat(kept(empty)).isDeepEqualTo(new int[][]{{}, {0, 1, 2, 3}});
        assertThat(empty.emptyExperts()).isEqualTo(1);
    }

    @Test
    void infinitiesRankAboveAndBelowEveryNumber() {
        KeepPlan plan = ragged("0.44").plan(experts(of(INF, INF, INF), of(-INF, -INF, -INF), of(1e300, 5, -1e300)), MODEL);
        assertThat(kept(plan)).isDeepEqualTo(new int[][]{{0, 1, 2}, {2}, {0}});
    }

    @Test
    void aScoreThatIsNotANumberIsNamed() {
        refused(() -> ragged("0.5").plan(List.of(new ExpertScores(3, 5, of(1, 2, Double.NaN), 6, 12)), MODEL), ErrorCode.NOT_FINITE,
                "layer 3, expert 5, atom 2: score NaN (expected: a number)");
    }

    @Test
    void moreThanCanGoIsRefusedWithTheLargestRatio() {
        refused(() -> ragged("0.76").plan(experts(of(1, 2, 3, 4), of(5, 6, 7, 8)), MODEL), ErrorCode.BUDGET_UNREACHABLE,
                "budget.ratio: 0.76 of routed_atoms (expected: at most 0.750000, every expert keeps at least 1 atoms)");
        Allocation parameters = new Allocation(new Budget(new BigDecimal("0.5"), RatioOf.TOTAL_PARAMETERS), Layout.RAGGED, 1, true,
                Scope.GLOBAL, Granularity.ATOM);
        refused(() -> parameters.plan(experts(of(1, 2, 3, 4)), MODEL), ErrorCode.BUDGET_UNREACHABLE,
                "budget.ratio: 0.5 of total_parameters (expected: at most 0.024000, all that routed experts hold)");
        assertThat(ragged("0.75").plan(experts(of(1, 2, 3, 4), of(5, 6, 7, 8)), MODEL).keptAtoms()).isEqualTo(2);
    }

    @Test
    void aShareOfAllParametersOrBytesIsConvertedToAtoms() {
        Budget parameters = new Budget(new BigDecimal("0.019"), RatioOf.TOTAL_PARAMETERS);
        Budget bytes = new Budget(new BigDecimal("0.018"), RatioOf.BYTES);
        for (Budget budget : List.of(parameters, bytes)) {
            // 19 of 1000 parameters, or 36 of 2000 bytes, at 6 and 12 an atom: 4 and 3 atoms
            Allocation order = new Allocation(budget, Layout.RAGGED, 1, false, Scope.GLOBAL, Granularity.ATOM);
            KeepPlan plan = order.plan(experts(of(1, 2, 3, 4, 5), of(6, 7, 8, 9, 10)), MODEL);
            assertThat(plan.removedAtoms()).isEqualTo(budget == parameters ? 4 : 3);
        }
    }

    @Test
    void atomsOfDifferentCostGoUntilTheirCostReachesTheBudget() {
        List<ExpertScores> mixed = List.of(new ExpertScores(0, 0, of(1, 3, 5, 7), 6, 12), new ExpertScores(0, 1, of(2, 4, 6, 8), 6, 24));
        Allocation order = new Allocation(new Budget(new BigDecimal("0.0241"), RatioOf.BYTES), Layout.RAGGED, 1, false, Scope.GLOBAL,
                Granularity.ATOM);
        // 48.2 of 2000 bytes: 12 + 24 are not enough, 12 + 24 + 12 = 48 neither, the next of 24 is
        assertThat(kept(order.plan(mixed, MODEL))).isDeepEqualTo(new int[][]{{2, 3}, {2, 3}});
    }

    @Test
    void scopesCompeteApart() {
        List<ExpertScores> two = List.of(new ExpertScores(0, 0, of(1, 2, 3, 4), 6, 12), new ExpertScores(0, 1, of(5, 6, 7, 8), 6, 12),
                new ExpertScores(1, 0, of(10, 20, 30, 40), 6, 12), new ExpertScores(1, 1, of(50, 60, 70, 80), 6, 12));
        assertThat(kept(with(ragged("0.25"), 1, false, Scope.LAYER, Granularity.ATOM).plan(two, MODEL)))
                .isDeepEqualTo(new int[][]{{2, 3}, {0, 1, 2, 3}, {2, 3}, {0, 1, 2, 3}});
        assertThat(kept(with(ragged("0.25"), 1, false, Scope.EXPERT, Granularity.ATOM).plan(two, MODEL)))
                .isDeepEqualTo(new int[][]{{1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}});
    }

    @Test
    void alignedWidthsAreMultiplesAndTheRestAlwaysGoes() {
        KeepPlan plan = with(ragged("0.1"), 2, false, Scope.GLOBAL, Granularity.ATOM)
                .plan(experts(of(9, 1, 8, 7, 6), of(2, 3, 4, 5, 10)), MODEL);
        // the rests 1 and 2 go first, and are enough
        assertThat(kept(plan)).isDeepEqualTo(new int[][]{{0, 2, 3, 4}, {1, 2, 3, 4}});
        KeepPlan more = with(ragged("0.3"), 2, false, Scope.GLOBAL, Granularity.ATOM)
                .plan(experts(of(9, 1, 8, 7, 6), of(2, 3, 4, 5, 10)), MODEL);
        assertThat(kept(more)).isDeepEqualTo(new int[][]{{0, 2, 3, 4}, {3, 4}});
    }

    @Test
    void anAlignmentWiderThanAnExpertIsRefused() {
        refused(() -> with(ragged("0.1"), 8, false, Scope.GLOBAL, Granularity.ATOM).plan(experts(of(1, 2, 3, 4)), MODEL),
                ErrorCode.ALIGNMENT_LEAVES_NOTHING, "alignment: 8 (expected: at most 4, the width of layer 0, expert 0)");
    }

    @Test
    void wholeExpertsGoOrStay() {
        List<ExpertScores> counts = experts(of(5, 5, 5), of(2, 2, 2), of(9, 9, 9), of(2, 2, 2));
        Allocation frequency = with(ragged("0.3"), 1, true, Scope.GLOBAL, Granularity.EXPERT);
        assertThat(kept(frequency.plan(counts, MODEL))).isDeepEqualTo(new int[][]{{0, 1, 2}, {}, {0, 1, 2}, {}});
        Allocation nonempty = with(ragged("0.3"), 1, false, Scope.GLOBAL, Granularity.EXPERT);
        assertThat(kept(nonempty.plan(counts, MODEL))).isDeepEqualTo(new int[][]{{0, 1, 2}, {2}, {0, 1, 2}, {2}});
    }

    @Test
    void wholeExpertsNeedARaggedLayoutAndRivals() {
        refused(() -> with(uniform("0.3", 1), 1, false, Scope.GLOBAL, Granularity.EXPERT).plan(experts(of(1, 2)), MODEL),
                ErrorCode.INVALID_RECIPE,
                "layout: uniform (expected: ragged or experts, because frequency removes whole experts and one width for all keeps every expert)");
        refused(() -> with(ragged("0.3"), 1, false, Scope.EXPERT, Granularity.EXPERT).plan(experts(of(1, 2)), MODEL),
                ErrorCode.INVALID_RECIPE, "method.scope: expert (expected: global or layer, because whole experts compete)");
    }

    @Test
    void aUniformPlanGivesEveryExpertItsBestAtomsAtOneWidth() {
        KeepPlan plan = uniform("0.3", 1).plan(experts(of(1, 9, 8, 7, 2), of(3, 4, 5, 6, 0)), MODEL);
        assertThat(kept(plan)).isDeepEqualTo(new int[][]{{1, 2, 3}, {1, 2, 3}});
        KeepPlan aligned = uniform("0.3", 2).plan(experts(of(1, 9, 8, 7, 2), of(3, 4, 5, 6, 0)), MODEL);
        assertThat(kept(aligned)).isDeepEqualTo(new int[][]{{1, 2}, {2, 3}});
        KeepPlan narrow = uniform("0.01", 1).plan(experts(of(1, 2, 3, 4, 5, 6, 7, 8), of(3, 4)), MODEL);
        assertThat(kept(narrow)).isDeepEqualTo(new int[][]{{6, 7}, {0, 1}});
    }

    @Test
    void aUniformWidthOfNothingIsRefused() {
        refused(() -> uniform("0.9", 1).plan(experts(of(1, 2, 3, 4, 5), of(1, 2, 3, 4, 5)), MODEL), ErrorCode.BUDGET_UNREACHABLE,
                "budget.ratio: 0.9 of routed_atoms (expected: at most 0.800000, one width for all is at least 1)");
        refused(() -> uniform("0.5", 4).plan(experts(of(1, 2, 3, 4, 5), of(1, 2, 3, 4, 5)), MODEL), ErrorCode.ALIGNMENT_LEAVES_NOTHING,
                "alignment: 4 (expected: at most 2, the uniform expert width that ratio 0.5 leaves)");
    }

    @Test
    void aModelWithoutExpertsIsRefused() {
        refused(() -> ragged("0.5").plan(List.of(), MODEL), ErrorCode.MODEL_WITHOUT_EXPERTS,
                "model: no routed experts (expected: at least one)");
    }

    @Test
    void randomOrdersAgreeWithTheSlowTwin() {
        Random random = new Random(7);
        int reachable = 0;
        for (int trial = 0; trial < 600; trial++) {
            int alignment = 1 << random.nextInt(4);
            List<ExpertScores> experts = manyTies(random, alignment);
            boolean whole = random.nextInt(4) == 0;
            Scope scope = Scope.values()[random.nextInt(whole ? 2 : 3)];
            BigDecimal ratio = BigDecimal.valueOf(1 + random.nextInt(99), 2);
            long total = experts.stream().mapToLong(e -> e.parametersPerAtom() * e.scores().length).sum() + random.nextInt(500);
            Allocation order = new Allocation(new Budget(ratio, RatioOf.TOTAL_PARAMETERS), Layout.RAGGED, alignment, random.nextBoolean(),
                    scope,
                    whole ? Granularity.EXPERT : Granularity.ATOM);
            List<List<Integer>> slow = SlowAllocation.kept(order, experts, ratio.multiply(BigDecimal.valueOf(total)));
            if (slow == null) {
                assertThatThrownBy(() -> order.plan(experts, new ModelSize(total, 0))).hasMessageContaining("(expected: at most 0.");
            } else {
                KeepPlan fast = order.plan(experts, new ModelSize(total, 0));
                assertThat(fast.experts().stream().map(e -> Arrays.stream(e.kept()).boxed().toList()).toList()).as("%s", order)
                        .isEqualTo(slow);
                reachable++;
            }
        }
        assertThat(reachable).isBetween(300, 599);
    }

    private static List<ExpertScores> manyTies(Random random, int alignment) {
        List<ExpertScores> experts = new ArrayList<>();
        for (int layer = 0; layer < 3; layer++) {
            for (int e = 0; e < 1 + random.nextInt(4); e++) {
                double[] scores = random.ints(alignment + random.nextInt(30), -1, 5).mapToDouble(x -> x).toArray();
                experts.add(new ExpertScores(2 * layer + 1, e, scores, random.nextInt(3) == 0 ? 6 : 3, 0));
            }
        }
        return experts;
    }

    @Test
    void fiveMillionAtomsArePlannedInSeconds() {
        Random random = new Random(3);
        List<ExpertScores> experts = new ArrayList<>();
        for (int e = 0; e < 48 * 128; e++) {
            experts.add(new ExpertScores(e / 128, e % 128, random.doubles(832).map(x -> x * x * 1e-9).toArray(), 6144, 12288));
        }
        ragged("0.4").plan(experts.subList(0, 500), MODEL);
        long start = System.nanoTime();
        KeepPlan plan = ragged("0.4").plan(experts, MODEL);
        double seconds = (System.nanoTime() - start) * 1e-9;
        assertThat(plan.keptAtoms()).isEqualTo(3_067_084);
        // two cores shared with other builds: ten times what it takes alone
        assertThat(seconds).as("seconds").isLessThan(10);
    }
}
