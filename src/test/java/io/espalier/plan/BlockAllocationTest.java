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
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice.Scope;
import org.junit.jupiter.api.Test;

/** Allocation where atoms share FP8 scales in blocks. */
class BlockAllocationTest {

    private static Allocation order(String ratio, RatioOf of, Layout layout, int alignment, int block) {
        return new Allocation(new Budget(new BigDecimal(ratio), of), layout, alignment, false, Scope.GLOBAL, Granularity.ATOM, block);
    }

    private static List<ExpertScores> experts(double[]... scores) {
        List<ExpertScores> experts = new ArrayList<>();
        for (int e = 0; e < scores.length; e++) {
            experts.add(new ExpertScores(0, e, scores[e], 6, 6, 4));
        }
        return experts;
    }

    private static double[] of(double... scores) {
        return scores;
    }

    private static int[][] kept(KeepPlan plan) {
        return plan.experts().stream().map(KeepPlan.Expert::kept).toArray(int[][]::new);
    }

    @Test
    void theBlocksWithTheLowestMeanGoWhole() {
        // means 5, 4 and 9; 3 and 2, whose 3 is the last of its expert: an 8 goes with its block
        KeepPlan plan = order("0.4", RatioOf.ROUTED_ATOMS, Layout.RAGGED, 1, 2)
                .plan(experts(of(5, 5, 0, 8, 9, 9), of(3, 3, 2, 2)), new ModelSize(100, 100));
        assertThat(kept(plan)).isDeepEqualTo(new int[][]{{0, 1, 4, 5}, {0, 1}});
    }

    @Test
    void aSmallerLastBlockStaysOrGoesAsAWhole() {
        Allocation third = order("0.3", RatioOf.ROUTED_ATOMS, Layout.RAGGED, 1, 4);
        assertThat(kept(third.plan(experts(of(9, 9, 9, 9, 1, 1, 1, 1, 5, 5)), new ModelSize(100, 100))))
                .isDeepEqualTo(new int[][]{{0, 1, 2, 3, 8, 9}});
        assertThat(kept(third.plan(experts(of(9, 9, 9, 9, 5, 5, 5, 5, 1, 1)), new ModelSize(100, 100))))
                .isDeepEqualTo(new int[][]{{0, 1, 2, 3}});
        // its width is no multiple of the alignment: it goes whatever it is worth
        assertThat(kept(order("0.1", RatioOf.ROUTED_ATOMS, Layout.RAGGED, 4, 4)
                .plan(experts(of(1, 1, 1, 1, 2, 2, 2, 2, 9, 9)), new ModelSize(100, 100))))
                .isDeepEqualTo(new int[][]{{0, 1, 2, 3, 4, 5, 6, 7}});
    }

    @Test
    void oneWidthForAllKeepsTheLastBlockInAllExpertsOrInNone() {
        List<ExpertScores> both = experts(of(1, 1, 1, 1, 2, 2, 2, 2, 3, 3), of(9, 9, 9, 9, 2, 2, 2, 2, 0, 0));
        ModelSize model = new ModelSize(1000, 1000);
        assertThat(kept(order("0.35", RatioOf.ROUTED_ATOMS, Layout.UNIFORM, 1, 4).plan(both, model)))
                .isDeepEqualTo(new int[][]{{4, 5, 6, 7, 8, 9}, {0, 1, 2, 3, 8, 9}});
        assertThat(kept(order("0.2", RatioOf.ROUTED_ATOMS, Layout.UNIFORM, 4, 4).plan(both, model)))
                .isDeepEqualTo(new int[][]{{0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}});
        List<ExpertScores> unlike = experts(of(1, 1, 1, 1, 2, 2, 2, 2, 3, 3), of(9, 9, 9, 9, 2, 2, 2, 2, 0, 0, 0));
        assertThat(order("0.35", RatioOf.ROUTED_ATOMS, Layout.UNIFORM, 1, 4).plan(unlike, model).maxWidth()).isEqualTo(4);
        assertThatThrownBy(() -> order("0.7", RatioOf.ROUTED_ATOMS, Layout.UNIFORM, 1, 4).plan(unlike, model))
                .hasMessage(
                        "alignment: 1 in whole source blocks of 4 (expected: at most 3, the uniform expert width that ratio 0.7 leaves)");
    }

    @Test
    void bytesCountTheScalesOfEveryBlock() {
        // a block of 4 weighs 4 * 6 + 4 = 28 bytes, the last one 2 * 6 + 4 = 16; 72 of 1000 in all
        List<ExpertScores> one = experts(of(1, 1, 1, 1, 2, 2, 2, 2, 3, 3));
        ModelSize model = new ModelSize(1000, 1000);
        assertThat(order("0.028", RatioOf.BYTES, Layout.RAGGED, 1, 4).plan(one, model).keptAtoms()).isEqualTo(6);
        assertThat(order("0.029", RatioOf.BYTES, Layout.RAGGED, 1, 4).plan(one, model).keptAtoms()).isEqualTo(2);
        assertThatThrownBy(() -> order("0.057", RatioOf.BYTES, Layout.RAGGED, 1, 4).plan(one, model))
                .hasMessage(
                        "budget.ratio: 0.057 of bytes (expected: at most 0.056000, every expert keeps at least one unit of whole source "
                                + "blocks of 4 atoms)");
        assertThat(order("0.028", RatioOf.BYTES, Layout.UNIFORM, 1, 4).plan(one, model).keptAtoms()).isEqualTo(6);
        assertThat(order("0.029", RatioOf.BYTES, Layout.UNIFORM, 1, 4).plan(one, model).keptAtoms()).isEqualTo(4);
    }

    @Test
    void randomOrdersAgreeWithTheSlowTwin() {
        Random random = new Random(11);
        int reachable = 0;
        for (int trial = 0; trial < 600; trial++) {
            int alignment = List.of(1, 1, 2, 3, 4, 8).get(random.nextInt(6));
            int block = List.of(2, 4, 5).get(random.nextInt(3));
            List<ExpertScores> experts = new ArrayList<>();
            for (int e = 0; e < 5; e++) {
                double[] scores = random.ints(alignment * block + random.nextInt(30), -1, 5).mapToDouble(x -> x).toArray();
                experts.add(new ExpertScores(e / 2, e, scores, random.nextInt(3) == 0 ? 6 : 3, 0));
            }
            boolean whole = random.nextInt(4) == 0;
            Scope scope = Scope.values()[random.nextInt(whole ? 2 : 3)];
            BigDecimal ratio = BigDecimal.valueOf(1 + random.nextInt(99), 2);
            long total = experts.stream().mapToLong(e -> e.parametersPerAtom() * e.scores().length).sum() + random.nextInt(500);
            Allocation order = new Allocation(new Budget(ratio, RatioOf.TOTAL_PARAMETERS), Layout.RAGGED, alignment, random.nextBoolean(),
                    scope, whole ? Granularity.EXPERT : Granularity.ATOM, block);
            List<List<Integer>> slow = SlowAllocation.kept(order, experts, ratio.multiply(BigDecimal.valueOf(total)));
            if (slow == null) {
                assertThatThrownBy(() -> order.plan(experts, new ModelSize(total, 0))).hasMessageContaining("(expected: at most 0.");
            } else {
                List<List<Integer>> fast = order.plan(experts, new ModelSize(total, 0)).experts().stream()
                        .map(e -> Arrays.stream(e.kept()).boxed().toList()).toList();
                assertThat(fast).as("%s", order).isEqualTo(slow);
                reachable++;
            }
        }
        assertThat(reachable).isBetween(200, 599);
    }
}
