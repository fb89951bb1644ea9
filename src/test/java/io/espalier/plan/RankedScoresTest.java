package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;

import org.junit.jupiter.api.Test;

class RankedScoresTest {

    @Test
    void aFewExpertsWithOtherScoresComeInAsIfAllWereSortedAnew() {
        Random random = new Random(21);
        for (int trial = 0; trial < 60; trial++) {
            int block = trial % 4 == 3 ? 4 : 1;
            List<ExpertScores> experts = new ArrayList<>();
            for (int e = 0; e < 12; e++) {
                int ties = trial % 2 == 0 ? 40 : 1_000_000;
                double[] scores = random.ints(100 + random.nextInt(200), -1, ties).mapToDouble(x -> x == 7 ? -0.0 : x).toArray();
                experts.add(new ExpertScores(e / 4, e % 4, scores, 6, 12));
            }
            RankedScores ranked = RankedScores.of(experts, block);
            Map<Integer, ExpertScores> others = ranked
                    .raised(Map.of(random.nextInt(6), List.of(3, 50), 6 + random.nextInt(6), List.of(99)));
            List<ExpertScores> replaced = new ArrayList<>(experts);
            others.forEach(replaced::set);
            for (int alignment : List.of(1, 2, 8)) {
                RankedScores.InUnits expected = RankedScores.of(replaced, block).inUnitsOf(alignment);
                RankedScores.InUnits merged = ranked.inUnitsOf(alignment, others);
                assertThat(merged.experts()).as("alignment %s, block %s", alignment, block).isEqualTo(expected.experts());
                for (int e = 0; e < experts.size(); e++) {
                    assertThat(merged.own().bestOfWidth(e, 40)).isEqualTo(expected.own().bestOfWidth(e, 40));
                }
            }
        }
    }

    @Test
    void whatWasSortedIsKeptForTheAlignmentsThatWereAskedForLast() {
        RankedScores ranked = RankedScores.of(List.of(new ExpertScores(0, 0, new Random(1).doubles(64).toArray(), 6, 12)), 1);
        RankedScores.InUnits first = ranked.inUnitsOf(1);
        RankedScores.InUnits second = ranked.inUnitsOf(2);
        ranked.inUnitsOf(4);
        assertThat(ranked.inUnitsOf(1)).isSameAs(first);
        ranked.inUnitsOf(8);
        assertThat(ranked.inUnitsOf(1)).isSameAs(first);
        assertThat(ranked.inUnitsOf(2)).isNotSameAs(second);
    }
}
