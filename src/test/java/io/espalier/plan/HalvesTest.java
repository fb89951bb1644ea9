package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;

import io.espalier.recipe.ScoreSummary.Agreement;
import io.espalier.recipe.ScoreSummary.Overlap;
import org.junit.jupiter.api.Test;

class HalvesTest {

    private static Agreement of(double[][] first, double[][] second, boolean... compared) {
        return Halves.agreement(first, second, compared, List.of(10L, 12L));
    }

    @Test
    void theSameOrderAgreesWhollyWhateverTheValues() {
        Agreement same = of(new double[][]{{1, 2, 3, 4}}, new double[][]{{10, 200, 3000, 4e9}}, true);
        assertThat(same.spearman()).isEqualTo(1);
        assertThat(same.jaccard()).extracting(Overlap::jaccard).containsOnly(1.0);
        // floor(0.1 * 4) is nothing to compare
        assertThat(same.jaccard()).extracting(Overlap::ratio).containsExactly(0.25, 0.5, 0.75);
        assertThat(same.tokens()).containsExactly(10L, 12L);
        assertThat(of(new double[][]{{1, 2, 3, 4}}, new double[][]{{4, 3, 2, 1}}, true).spearman()).isEqualTo(-1);
    }

    @Test
    void equalScoresShareTheirRank() {
        // ranks 0.5 0.5 2 3 and 0 1 2.5 2.5: by hand, 4 / sqrt(4.5 * 4.5)
        Agreement tied = of(new double[][]{{1, 1, 2, 3}}, new double[][]{{0, 1, 5, 5}}, true);
        assertThat(tied.spearman()).isCloseTo(4 / 4.5, within(1e-12));
        assertThat(of(new double[][]{{1, 1}}, new double[][]{{0, 1}}, true).spearman()).isNull();
    }

    @Test
    void onlyExpertsThatBothHalvesReachedAreCompared() {
        double[][] first = {{1, 2}, {Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY}, {4, 3}};
        double[][] second = {{1, 2}, {9, 8}, {3, 4}};
        Agreement two = of(first, second, true, false, true);
        assertThat(two.atoms()).isEqualTo(4);
        assertThat(two.spearman()).isCloseTo(0.8, within(1e-12));
        assertThat(two.jaccard()).containsExactly(new Overlap(0.25, 1), new Overlap(0.5, 1), new Overlap(0.75, 0.5));
        assertThat(of(first, second, false, false, false)).isNull();
    }
}
