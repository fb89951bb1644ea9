package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;

import org.junit.jupiter.api.Test;

class KeepPlanTest {

    private static final KeepPlan PLAN = KeepPlan.of(List.of(new KeepPlan.Expert(1, 0, 4, new int[]{0, 3}),
            new KeepPlan.Expert(1, 1, 4, new int[]{}), new KeepPlan.Expert(2, 0, 5, new int[]{0, 1, 2, 3, 4})));

    @Test
    void itCountsWhatStaysAndWhatGoes() {
        assertThat(PLAN.atoms()).isEqualTo(13);
        assertThat(PLAN.keptAtoms()).isEqualTo(7);
        assertThat(PLAN.removedAtoms()).isEqualTo(6);
        assertThat(PLAN.minWidth()).isZero();
        assertThat(PLAN.maxWidth()).isEqualTo(5);
        assertThat(PLAN.emptyExperts()).isEqualTo(1);
    }

    @Test
    void onePlanHasOneJsonForm() {
        assertThat(PLAN.toJson()).isEqualTo("{\"experts\":[{\"layer\":1,\"expert\":0,\"width\":4,\"kept\":[0,3]},"
                + "{\"layer\":1,\"expert\":1,\"width\":4,\"kept\":[]},{\"layer\":2,\"expert\":0,\"width\":5,\"kept\":[0,1,2,3,4]}]}");
        assertThat(KeepPlan.fromJson(PLAN.toJson())).isEqualTo(PLAN).hasSameHashCodeAs(PLAN);
    }

    @Test
    void theDigestIsThatOfTheIndices() {
        // python: hashlib.sha256(b'keep-plan/1' + struct.pack('<19i', 1,0,4,2,0,3, 1,1,4,0, 2,0,5,5,0,1,2,3,4)).hexdigest()
        assertThat(PLAN.digest()).isEqualTo("c0fcccfd07c5bb758f01bfb0ccc0a7c1997b2916b55cf2cfbd75a85a8ba49be6")
                .isEqualTo(KeepPlan.fromJson(PLAN.toJson()).digest());
        KeepPlan other = KeepPlan.of(List.of(new KeepPlan.Expert(1, 0, 4, new int[]{0, 2}), PLAN.experts().get(1), PLAN.experts().get(2)));
        assertThat(other.digest()).isNotEqualTo(PLAN.digest());
        assertThat(other).isNotEqualTo(PLAN);
    }

    @Test
    void noCallerCanChangeIt() {
        int[] kept = {0, 3};
        KeepPlan.Expert expert = new KeepPlan.Expert(0, 0, 4, kept);
        kept[0] = 2;
        expert.kept()[1] = 1;
        assertThat(expert.kept()).containsExactly(0, 3);
    }

    @Test
    void indicesThatAreNotAscendingBelowTheWidthAreRefused() {
        for (int[] wrong : new int[][]{{-1}, {4}, {1, 1}, {2, 1}}) {
            assertThatIllegalArgumentException().isThrownBy(() -> new KeepPlan.Expert(3, 7, 4, wrong))
                    .withMessageStartingWith("layer 3, expert 7: kept[")
                    .withMessageEndingWith("(expected: ascending indices below the width 4)");
        }
    }

    @Test
    void expertsOutOfOrderAreRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KeepPlan.of(List.of(new KeepPlan.Expert(1, 1, 4, new int[0]), new KeepPlan.Expert(1, 1, 4, new int[0]))))
                .withMessage("layer 1, expert 1 after layer 1, expert 1 (expected: ascending by layer, then expert)");
    }

    @Test
    void aTextThatIsNoPlanIsRefused() {
        for (String wrong : List.of("", "{}", "[]", "{\"experts\":[{\"layer\":1,\"expert\":0,\"width\":4}]}",
                "{\"experts\":[{\"layer\":1,\"expert\":0,\"width\":2,\"kept\":[5]}]}")) {
            assertThatIllegalArgumentException().isThrownBy(() -> KeepPlan.fromJson(wrong));
        }
    }

    @Test
    void anExpertThatGoesWholeIsToldFromOneThatKeepsNoAtom() {
        KeepPlan plan = KeepPlan.of(List.of(KeepPlan.Expert.removed(0, 0, 4), new KeepPlan.Expert(0, 1, 4, new int[0]),
                new KeepPlan.Expert(0, 2, 4, new int[]{0, 1})));
        assertThat(plan.toJson()).startsWith("{\"experts\":[{\"layer\":0,\"expert\":0,\"width\":4,\"kept\":[],\"removed\":true},"
                + "{\"layer\":0,\"expert\":1,\"width\":4,\"kept\":[]},");
        assertThat(KeepPlan.fromJson(plan.toJson())).isEqualTo(plan).hasSameHashCodeAs(plan);
        KeepPlan empty = KeepPlan.of(List.of(new KeepPlan.Expert(0, 0, 4, new int[0]), plan.experts().get(1), plan.experts().get(2)));
        assertThat(empty).isNotEqualTo(plan);
        assertThat(empty.digest()).isNotEqualTo(plan.digest());
        assertThat(plan.removedExperts()).isEqualTo(1);
        assertThat(plan.emptyExperts()).isEqualTo(1);
        assertThat(plan.removedAtoms()).isEqualTo(10);
        assertThat(plan.remainingWidths().get(0)).containsExactly(0, 2);
        assertThatIllegalArgumentException().isThrownBy(() -> new KeepPlan.Expert(3, 7, 4, new int[]{1}, true))
                .withMessage("layer 3, expert 7: removed, and kept 1 atoms (expected: none)");
    }
}
