package io.espalier.plan;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;

import io.espalier.recipe.ScoreSummary.Agreement;
import io.espalier.recipe.ScoreSummary.Overlap;

/**
 * Whether two disjoint halves of a calibration say the same. Scores that do not, say more about the text than about the model.
 *
 * <pre>
 * Spearman   correlation of the ranks of both scores; equal scores share their mean rank
 * Jaccard    |A and B| / |A or B|, A and B the floor(ratio * atoms) worst atoms by each half, equal scores in the order of the atoms
 * </pre>
 */
public final class Halves {

    private static final List<String> RATIOS = List.of("0.1", "0.25", "0.5", "0.75");

    private Halves() {}

    /**
     * @param first scores by the first half, [expert ordinal][atom]
     * @param second by the second
     * @param compared the experts to look at: those that both halves reached
     * @param tokens of both
     * @return {@code null} when there is no atom to compare
     */
    public static Agreement agreement(double[][] first, double[][] second, boolean[] compared, List<Long> tokens) {
        double[] a = joined(first, compared);
        double[] b = joined(second, compared);
        if (a.length == 0) {
            return null;
        }
        int[] worstA = StableOrder.of(a);
        int[] worstB = StableOrder.of(b);
        List<Overlap> jaccard = new ArrayList<>();
        for (String ratio : RATIOS) {
            int removed = new BigDecimal(ratio).multiply(BigDecimal.valueOf(a.length)).intValue();
            if (removed > 0) {
                jaccard.add(new Overlap(Double.parseDouble(ratio), jaccard(worstA, worstB, removed)));
            }
        }
        return new Agreement(tokens, a.length, correlation(ranks(a, worstA), ranks(b, worstB)), jaccard);
    }

    private static double[] joined(double[][] scores, boolean[] compared) {
        int atoms = 0;
        for (int e = 0; e < scores.length; e++) {
            atoms += compared[e] ? scores[e].length : 0;
        }
        double[] joined = new double[atoms];
        int at = 0;
        for (int e = 0; e < scores.length; e++) {
            if (compared[e]) {
                System.arraycopy(scores[e], 0, joined, at, scores[e].length);
                at += scores[e].length;
            }
        }
        return joined;
    }

    private static double jaccard(int[] worstA, int[] worstB, int removed) {
        boolean[] inA = new boolean[worstA.length];
        for (int i = 0; i < removed; i++) {
            inA[worstA[i]] = true;
        }
        int both = 0;
        for (int i = 0; i < removed; i++) {
            both += inA[worstB[i]] ? 1 : 0;
        }
        return (double) both / (2L * removed - both);
    }

    private static double[] ranks(double[] scores, int[] order) {
        double[] ranks = new double[scores.length];
        for (int from = 0; from < order.length;) {
            int to = from;
            while (to < order.length && scores[order[to]] == scores[order[from]]) {
                to++;
            }
            for (int i = from; i < to; i++) {
                ranks[order[i]] = (from + to - 1) / 2.0;
            }
            from = to;
        }
        return ranks;
    }

    private static Double correlation(double[] a, double[] b) {
        // why: ranks, shared or not, have the same mean
        double mean = (a.length - 1) / 2.0;
        double ab = 0;
        double aa = 0;
        double bb = 0;
        for (int i = 0; i < a.length; i++) {
            ab += (a[i] - mean) * (b[i] - mean);
            aa += (a[i] - mean) * (a[i] - mean);
            bb += (b[i] - mean) * (b[i] - mean);
        }
        return aa == 0 || bb == 0 ? null : Double.valueOf(Math.clamp(ab / Math.sqrt(aa * bb), -1, 1));
    }
}
