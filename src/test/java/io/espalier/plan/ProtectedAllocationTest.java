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
import io.espalier.recipe.Protections;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.Violation;
import org.junit.jupiter.api.Test;

/** Allocation down to a target, and with protections. */
class ProtectedAllocationTest {

    private static final ModelSize MODEL = new ModelSize(1000, 2000);

    private static Allocation order(Budget budget, Layout layout, int alignment, Protections protections) {
        return new Allocation(budget, layout, alignment, false, Scope.GLOBAL, Granularity.ATOM, 1, EngineDemands.NONE, protections);
    }

    private static Budget ratio(String ratio) {
        return new Budget(new BigDecimal(ratio), RatioOf.ROUTED_ATOMS);
    }

    private static Protections.Expert atoms(int layer, int expert, Integer... atoms) {
        return new Protections.Expert(layer, expert, List.of(atoms));
    }

    private static List<ExpertScores> experts(double[]... scores) {
        List<ExpertScores> experts = new ArrayList<>();
        for (int e = 0; e < scores.length; e++) {
            experts.add(new ExpertScores(e / 2, e % 2, scores[e], 6, 12));
        }
        return experts;
    }

    private static double[] of(double... scores) {
        return scores;
    }

    private static int[][] kept(KeepPlan plan) {
        return plan.experts().stream().map(KeepPlan.Expert::kept).toArray(int[][]::new);
    }

    private static List<Violation> violations(Allocation order, List<ExpertScores> experts) {
        try {
            order.plan(experts, MODEL);
        } catch (PruningException refused) {
            return refused.violations();
        }
        return List.of();
    }

    @Test
    void aTargetIsReachedExactlyOrJustBelow() {
        List<ExpertScores> experts = experts(of(1, 2, 3, 4), of(5, 6, 7, 8));
        // 6 parameters and 12 bytes an atom
        for (Budget budget : List.of(new Budget(null, null, 988L, null), new Budget(null, null, 993L, null),
                new Budget(null, null, null, 1976L),
                new Budget(null, null, null, 1987L))) {
            assertThat(order(budget, Layout.RAGGED, 1, Protections.NONE).plan(experts, MODEL).removedAtoms()).as("%s", budget).isEqualTo(2);
            assertThat(order(budget, Layout.UNIFORM, 1, Protections.NONE).plan(experts, MODEL).removedAtoms()).as("%s", budget)
                    .isEqualTo(2);
        }
    }

    @Test
    void aTargetThatCannotBeReachedIsRefusedWithTheSmallestThatCan() {
        List<ExpertScores> experts = experts(of(1, 2, 3, 4), of(5, 6, 7, 8));
        assertThat(violations(order(new Budget(null, null, null, 1900L), Layout.RAGGED, 1, Protections.NONE), experts))
                .containsExactly(new Violation("budget.target_bytes", "1900", "at least 1928, every expert keeps at least 1 atoms"));
        assertThat(violations(order(new Budget(null, null, 900L, null), Layout.UNIFORM, 2, Protections.NONE), experts))
                .containsExactly(new Violation("budget.target_parameters", "900", "at least 976, one width for all is at least 2"));
        assertThat(violations(order(new Budget(null, null, null, 2000L), Layout.RAGGED, 1, Protections.NONE), experts))
                .containsExactly(new Violation("budget.target_bytes", "2000", "less than 2000, what the model has before"));
    }

    @Test
    void protectedLayersExpertsAndAtomsStayAndOthersGoInTheirPlace() {
        List<ExpertScores> experts = experts(of(1, 2, 3, 4), of(5, 6, 7, 8), of(9, 10, 11, 12), of(13, 14, 15, 16));
        assertThat(kept(order(ratio("0.25"), Layout.RAGGED, 1, new Protections(null, List.of(0), null)).plan(experts, MODEL)))
                .isDeepEqualTo(new int[][]{{0, 1, 2, 3}, {0, 1, 2, 3}, {3}, {1, 2, 3}});
        assertThat(kept(order(ratio("0.25"), Layout.RAGGED, 1,
                new Protections(null, null, List.of(new Protections.Expert(0, 0, null), atoms(0, 1, 0)))).plan(experts, MODEL)))
                .isDeepEqualTo(new int[][]{{0, 1, 2, 3}, {0}, {1, 2, 3}, {0, 1, 2, 3}});
        assertThat(kept(order(ratio("0.25"), Layout.RAGGED, 1, new Protections(3, null, null)).plan(experts, MODEL)))
                .isDeepEqualTo(new int[][]{{1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}});
        assertThat(kept(order(ratio("0.5"), Layout.UNIFORM, 1, new Protections(2, null, List.of(atoms(1, 0, 0)))).plan(experts, MODEL)))
                .isDeepEqualTo(new int[][]{{2, 3}, {2, 3}, {0, 3}, {2, 3}});
    }

    @Test
    void aProtectedAtomStaysAmongThoseThatNoTokenReached() {
        double inf = Double.POSITIVE_INFINITY;
        List<ExpertScores> experts = experts(of(inf, inf, inf), of(1, 2, 3));
        Allocation most = order(ratio("0.6"), Layout.RAGGED, 1, new Protections(null, null, List.of(atoms(0, 0, 0))));
        assertThat(kept(most.plan(experts, MODEL))).isDeepEqualTo(new int[][]{{0}, {2}});
    }

    @Test
    void whatIsNotThereIsNamedAllAtOnce() {
        Protections protections = new Protections(9, List.of(0, 7), List.of(new Protections.Expert(3, 0, null), atoms(0, 1, 1, 4)));
        assertThat(violations(order(ratio("0.1"), Layout.RAGGED, 1, protections), experts(of(1, 2, 3, 4), of(5, 6, 7, 8))))
                .extracting(Violation::field).containsExactly("protections.layers[1]", "protections.experts[0]",
                        "protections.experts[1].atoms[1]", "protections.min_width");
    }

    @Test
    void protectionsThatALayoutOrAnAlignmentCannotKeepAreRefused() {
        List<ExpertScores> experts = experts(of(1, 2, 3, 4, 5), of(5, 6, 7, 8, 9));
        assertThat(violations(order(ratio("0.1"), Layout.UNIFORM, 1, new Protections(null, List.of(0), null)), experts))
                .extracting(Violation::field).containsExactly("layout");
        assertThat(violations(order(ratio("0.1"), Layout.RAGGED, 2, new Protections(null, List.of(0), null)), experts))
                .containsExactly(new Violation("protections.layers", "5 atoms of layer 0, expert 0",
                        "at most 4, the widest that alignment and source blocks let this expert be"));
        assertThat(violations(order(ratio("0.5"), Layout.RAGGED, 1, new Protections(4, null, null)), experts))
                .containsExactly(new Violation("budget.ratio", "0.5 of routed_atoms", "at most 0.200000, the protections let no more go"));
        assertThat(violations(order(ratio("0.1"), Layout.RAGGED, 1, new Protections(null, List.of(0), null)), experts))
                .containsExactly(new Violation("budget.ratio", "0.1 of routed_atoms", "at most 0.000000, the protections let no more go"));
        assertThat(violations(order(ratio("0.5"), Layout.UNIFORM, 1, new Protections(3, null, null)), experts))
                .containsExactly(new Violation("budget.ratio", "0.5 of routed_atoms",
                        "at most 0.400000, one width for all is at least 3 because of the protections"));
    }

    private static ExpertScores expert(int layer, int expert, double... scores) {
        return new ExpertScores(layer, expert, scores, 1, 2);
    }

    @Test
    void aLayerIsAsWideAsWhatIsProtectedInIt() {
        List<ExpertScores> experts = List.of(expert(0, 0, 1, 2, 3, 4), expert(0, 1, 1, 2, 3, 4), expert(1, 0, 50, 60, 70, 80),
                expert(1, 1, 50, 60, 70, 80));
        assertThat(kept(order(ratio("0.25"), Layout.PER_LAYER, 1, new Protections(null, List.of(0), null)).plan(experts, MODEL)))
                .isDeepEqualTo(new int[][]{{0, 1, 2, 3}, {0, 1, 2, 3}, {2, 3}, {2, 3}});
        // the weakest atom of the weakest expert stays, and the others of its layer are as many
        assertThat(
                kept(order(ratio("0.375"), Layout.PER_LAYER, 1, new Protections(null, null, List.of(atoms(0, 0, 0)))).plan(experts, MODEL)))
                .isDeepEqualTo(new int[][]{{0}, {3}, {0, 1, 2, 3}, {0, 1, 2, 3}});
        assertThat(kept(order(ratio("0.5"), Layout.PER_LAYER, 1, new Protections(2, null, null)).plan(experts, MODEL)))
                .isDeepEqualTo(new int[][]{{2, 3}, {2, 3}, {2, 3}, {2, 3}});
        assertThat(violations(
                order(ratio("0.1"), Layout.PER_LAYER, 1, new Protections(null, null, List.of(new Protections.Expert(1, 0, null)))),
                experts)).containsExactly(new Violation("layout", "per_layer",
                        "ragged or experts, because one width a layer cannot spare single experts of layer 1"));
        assertThat(violations(order(ratio("0.1"), Layout.PER_LAYER, 1, new Protections(null, List.of(0, 1), null)), experts))
                .containsExactly(new Violation("budget.ratio", "0.1 of routed_atoms", "at most 0.000000, the protections let no more go"));
        assertThat(violations(order(ratio("0.1"), Layout.PER_LAYER, 4, new Protections(null, List.of(0), null)),
                List.of(expert(0, 0, 1, 2, 3, 4, 5), expert(1, 0, 1, 2, 3, 4)))).containsExactly(new Violation("protections.layers",
                        "5 atoms of layer 0, expert 0",
                        "at most 4, the widest that alignment, source blocks and the layer's narrowest expert let its layer be"));
    }

    @Test
    void protectedExpertsStayWhereWholeExpertsGoAndEveryLayerKeepsAsMany() {
        List<ExpertScores> experts = List.of(expert(0, 0, 1, 1), expert(0, 1, 2, 2), expert(0, 2, 3, 3), expert(1, 0, 9, 9),
                expert(1, 1, 8, 8),
                expert(1, 2, 7, 7));
        KeepPlan plan = order(ratio("0.33"), Layout.EXPERTS, 1, new Protections(null, null,
                List.of(new Protections.Expert(0, 0, null), atoms(1, 2, 1)))).plan(experts, MODEL);
        assertThat(plan.experts().stream().filter(KeepPlan.Expert::removed).map(e -> e.layer() + ":" + e.expert())).containsExactly("0:1",
                "1:1");
        assertThat(violations(order(ratio("0.5"), Layout.EXPERTS, 1, new Protections(null, null,
                List.of(new Protections.Expert(0, 0, null), new Protections.Expert(0, 1, null)))), experts)).containsExactly(
                        new Violation("budget.ratio", "0.5 of routed_atoms",
                                "at most 0.333333, of the 3 experts of a layer at least 2 stay,"
                                        + " because the protections keep 2 in one layer, and every layer keeps equally many"));
        assertThat(violations(order(ratio("0.1"), Layout.EXPERTS, 1, new Protections(1, null, null)), experts))
                .extracting(Violation::field).containsExactly("protections.min_width");
    }

    @Test
    void randomOrdersAgreeWithTheSlowTwin() {
        Random random = new Random(17);
        int reachable = 0;
        int unreachable = 0;
        for (int trial = 0; trial < 1500; trial++) {
            int alignment = 1 << random.nextInt(4);
            List<ExpertScores> experts = new ArrayList<>();
            for (int e = 0; e < 6; e++) {
                int width = alignment * (1 + random.nextInt(6)) + (random.nextInt(3) == 0 ? random.nextInt(alignment) : 0);
                double[] scores = random.ints(width, -1, 6).mapToDouble(x -> x == 5 ? Double.POSITIVE_INFINITY : x).toArray();
                experts.add(new ExpertScores(e / 2, e % 2, scores, random.nextInt(3) == 0 ? 6 : 3, 0));
            }
            Protections protections = random(random, experts, alignment);
            boolean whole = random.nextInt(5) == 0;
            long total = experts.stream().mapToLong(e -> e.parametersPerAtom() * e.scores().length).sum() + random.nextInt(100);
            long target = 1 + random.nextLong(total - 1);
            Allocation order = new Allocation(new Budget(null, null, target, null), Layout.RAGGED, alignment,
                    protections.minWidth() == null && random.nextBoolean(), Scope.values()[random.nextInt(whole ? 2 : 3)],
                    whole ? Granularity.EXPERT : Granularity.ATOM, 1, EngineDemands.NONE, protections);
            RankedScores ranked = RankedScores.of(experts, 1);
            ModelSize model = new ModelSize(total, 0);
            boolean uneven = violations(order, experts, model).stream().anyMatch(wrong -> wrong.field().startsWith("protections"));
            List<List<Integer>> slow = uneven ? null : SlowAllocation.kept(order, experts, BigDecimal.valueOf(total - target));
            if (slow == null) {
                assertThatThrownBy(() -> order.stay(ranked, model)).isInstanceOf(PruningException.class);
                unreachable++;
            } else {
                // why twice: the second answer comes from what the first has sorted
                for (int time = 0; time < 2; time++) {
                    assertThat(
                            order.stay(ranked, model).plan().experts().stream().map(e -> Arrays.stream(e.kept()).boxed().toList()).toList())
                            .as("%s", order).isEqualTo(slow);
                }
                reachable++;
            }
        }
        assertThat(reachable).isGreaterThan(300);
        assertThat(unreachable).isGreaterThan(300);
    }

    private static List<Violation> violations(Allocation order, List<ExpertScores> experts, ModelSize model) {
        try {
            order.plan(experts, model);
        } catch (PruningException refused) {
            return refused.violations();
        }
        return List.of();
    }

    private static Protections random(Random random, List<ExpertScores> experts, int alignment) {
        List<Protections.Expert> some = new ArrayList<>();
        for (ExpertScores expert : experts) {
            if (random.nextInt(4) == 0) {
                some.add(random.nextInt(3) == 0
                        ? new Protections.Expert(expert.layer(), expert.expert(), null)
                        : atoms(expert.layer(), expert.expert(), random.nextInt(expert.scores().length),
                                random.nextInt(expert.scores().length)));
            }
        }
        return new Protections(random.nextInt(3) == 0 ? 1 + random.nextInt(alignment) : null,
                random.nextInt(6) == 0 ? List.of(random.nextInt(3)) : List.of(), some);
    }
}
