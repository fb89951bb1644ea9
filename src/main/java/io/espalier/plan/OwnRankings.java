package io.espalier.plan;

import java.util.Arrays;
import java.util.List;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;

/**
 * Every expert's atoms in ascending order of (score, index), and cut into units of {@code alignment} atoms from the top; the rest at the bottom
 * belongs to no unit.
 */
final class OwnRankings {

    private final List<ExpertScores> experts;
    private final int alignment;
    /** First atom of each expert in {@link #ranked}, and the end. */
    private final int[] start;
    /** Atom indices, expert after expert, worst first. */
    private final int[] ranked;
    private final int[] expertOfUnit;

    private OwnRankings(List<ExpertScores> experts, int alignment, int[] start, int[] ranked) {
        this.experts = experts;
        this.alignment = alignment;
        this.start = start;
        this.ranked = ranked;
        this.expertOfUnit = new int[Arrays.stream(groups()).sum()];
        int unit = 0;
        for (int e = 0; e < experts.size(); e++) {
            int groups = width(e) / alignment;
            Arrays.fill(expertOfUnit, unit, unit + groups, e);
            unit += groups;
        }
    }

    static OwnRankings of(List<ExpertScores> experts, int alignment) {
        if (experts.isEmpty()) {
            throw new PruningException(ErrorCode.MODEL_WITHOUT_EXPERTS, "model: no routed experts (expected: at least one)");
        }
        int[] start = new int[experts.size() + 1];
        for (int e = 0; e < experts.size(); e++) {
            ExpertScores expert = experts.get(e);
            start[e + 1] = Math.addExact(start[e], expert.scores().length);
            if (expert.scores().length > 0 && expert.scores().length < alignment) {
                throw new PruningException(ErrorCode.ALIGNMENT_LEAVES_NOTHING, "alignment: " + alignment + " (expected: at most "
                        + expert.scores().length + ", the width of layer " + expert.layer() + ", expert " + expert.expert() + ")");
            }
        }
        double[] scores = new double[start[experts.size()]];
        for (int e = 0; e < experts.size(); e++) {
            refuseNaN(experts.get(e));
            System.arraycopy(experts.get(e).scores(), 0, scores, start[e], start[e + 1] - start[e]);
        }
        return new OwnRankings(experts, alignment, start, dealtOut(StableOrder.of(scores), start));
    }

    private static void refuseNaN(ExpertScores expert) {
        for (int k = 0; k < expert.scores().length; k++) {
            if (Double.isNaN(expert.scores()[k])) {
                throw new PruningException(ErrorCode.NOT_FINITE,
                        "layer " + expert.layer() + ", expert " + expert.expert() + ", atom " + k + ": score NaN (expected: a number)");
            }
        }
    }

    /** Deals the atoms of all experts, worst first, out to their experts: each receives its own worst first. */
    private static int[] dealtOut(int[] order, int[] start) {
        int[] expertOf = new int[order.length];
        for (int e = 0; e + 1 < start.length; e++) {
            Arrays.fill(expertOf, start[e], start[e + 1], e);
        }
        int[] next = start.clone();
        int[] ranked = new int[order.length];
        for (int atom : order) {
            int e = expertOf[atom];
            ranked[next[e]++] = atom - start[e];
        }
        return ranked;
    }

    List<ExpertScores> experts() {
        return experts;
    }

    long atoms() {
        return ranked.length;
    }

    private int width(int e) {
        return start[e + 1] - start[e];
    }

    /** Atoms of the narrowest expert. */
    int narrowest() {
        int narrowest = Integer.MAX_VALUE;
        for (int e = 0; e < experts.size(); e++) {
            narrowest = Math.min(narrowest, width(e));
        }
        return narrowest;
    }

    /** Units of every expert. */
    int[] groups() {
        int[] groups = new int[experts.size()];
        for (int e = 0; e < groups.length; e++) {
            groups[e] = width(e) / alignment;
        }
        return groups;
    }

    int expertOfUnit(int unit) {
        return expertOfUnit[unit];
    }

    /** Mean score of every unit, expert after expert, worst first. */
    double[] unitMeans() {
        double[] means = new double[expertOfUnit.length];
        int unit = 0;
        for (int e = 0; e < experts.size(); e++) {
            for (int at = start[e] + width(e) % alignment; at < start[e + 1]; at += alignment) {
                means[unit++] = mean(e, at, at + alignment);
            }
        }
        return means;
    }

    /** Mean score of every expert. */
    double[] expertMeans() {
        double[] means = new double[experts.size()];
        for (int e = 0; e < means.length; e++) {
            means[e] = mean(e, start[e], start[e + 1]);
        }
        return means;
    }

    private double mean(int e, int from, int to) {
        double[] scores = experts.get(e).scores();
        double worst = scores[ranked[from]];
        double best = scores[ranked[to - 1]];
        // why: equal scores have exactly that mean however many they are, and one infinity decides, both together the higher
        if (worst == best || Double.isInfinite(best)) {
            return best;
        }
        double sum = 0;
        for (int at = from; at < to; at++) {
            sum += scores[ranked[at]];
        }
        return Math.clamp(sum / (to - from), worst, best);
    }

    /** The best {@code count} atoms of expert {@code e}, as ascending indices. */
    int[] best(int e, int count) {
        int[] kept = Arrays.copyOfRange(ranked, start[e + 1] - count, start[e + 1]);
        Arrays.sort(kept);
        return kept;
    }
}
