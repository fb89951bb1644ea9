package io.espalier.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.Violation;

/**
 * Every expert's atoms in ascending order of (score, index), and cut into units of {@code alignment} atoms from the top; the rest at the bottom
 * belongs to no unit. With source blocks the order is that of the blocks by (mean score, index), and a unit is as many blocks as the alignment needs; a
 * last, smaller block is a unit of its own where the alignment divides it, else it is part of the rest.
 */
final class OwnRankings {

    private final List<ExpertScores> experts;
    private final int block;
    /** First atom of each expert in {@link #ranked}, and the end. */
    private final int[] start;
    /** Atom indices, expert after expert, worst first. */
    private final int[] ranked;
    /** First unit of each expert, and the end. */
    private final int[] firstUnit;
    /** Where each unit begins in {@link #ranked}; it ends where the next begins, or the expert ends. */
    private final int[] unitStart;
    private final int[] expertOfUnit;

    private OwnRankings(List<ExpertScores> experts, int alignment, int block, int[] start, int[] ranked) {
        this.experts = experts;
        this.block = block;
        this.start = start;
        this.ranked = ranked;
        this.firstUnit = new int[experts.size() + 1];
        int[] starts = new int[ranked.length];
        int[] owners = new int[ranked.length];
        int unit = 0;
        for (int e = 0; e < experts.size(); e++) {
            for (int at = start[e] + rest(width(e), alignment, block); at < start[e + 1]; at += step(e, at, alignment)) {
                starts[unit] = at;
                owners[unit++] = e;
            }
            firstUnit[e + 1] = unit;
            if (firstUnit[e] == unit && width(e) > 0) {
                throw new PruningException(ErrorCode.ALIGNMENT_LEAVES_NOTHING, List.of(new Violation("alignment",
                        alignment + (block == 1 ? "" : " in whole source blocks of " + block), "at most " + width(e)
                                + ", the width of layer " + experts.get(e).layer() + ", expert " + experts.get(e).expert())));
            }
        }
        this.unitStart = Arrays.copyOf(starts, unit);
        this.expertOfUnit = Arrays.copyOf(owners, unit);
    }

    /** The same units in another order of the atoms. */
    private OwnRankings(OwnRankings like, List<ExpertScores> experts, int[] ranked) {
        this.experts = experts;
        this.block = like.block;
        this.start = like.start;
        this.ranked = ranked;
        this.firstUnit = like.firstUnit;
        this.unitStart = like.unitStart;
        this.expertOfUnit = like.expertOfUnit;
    }

    /** @param block atoms of a source block, which stay or go as a whole; 1 when each goes by itself */
    static OwnRankings of(List<ExpertScores> experts, int alignment, int block) {
        if (experts.isEmpty()) {
            throw new PruningException(ErrorCode.MODEL_WITHOUT_EXPERTS, "model: no routed experts (expected: at least one)");
        }
        int[] start = new int[experts.size() + 1];
        for (int e = 0; e < experts.size(); e++) {
            start[e + 1] = Math.addExact(start[e], experts.get(e).scores().length);
        }
        experts.forEach(OwnRankings::refuseNaN);
        int[] ranked = block == 1 ? byAtoms(experts, start) : byBlocks(experts, start, alignment, block);
        return new OwnRankings(experts, alignment, block, start, ranked);
    }

    /** The same order in units of another alignment, where each atom goes by itself. */
    OwnRankings inUnitsOf(int alignment) {
        return new OwnRankings(experts, alignment, block, start, ranked);
    }

    /** The same with other scores for some experts, by their ordinals. */
    OwnRankings rescored(Map<Integer, ExpertScores> others, int alignment) {
        List<ExpertScores> rescored = new ArrayList<>(experts);
        others.forEach(rescored::set);
        int[] copy = ranked.clone();
        others.forEach((e, expert) -> {
            int[] own = of(List.of(expert), alignment, block).ranked;
            System.arraycopy(own, 0, copy, start[e], own.length);
        });
        return block == 1 ? new OwnRankings(this, rescored, copy) : new OwnRankings(rescored, alignment, block, start, copy);
    }

    private static void refuseNaN(ExpertScores expert) {
        for (int k = 0; k < expert.scores().length; k++) {
            if (Double.isNaN(expert.scores()[k])) {
                throw new PruningException(ErrorCode.NOT_FINITE,
                        "layer " + expert.layer() + ", expert " + expert.expert() + ", atom " + k + ": score NaN (expected: a number)");
            }
        }
    }

    /** Sorts the atoms of all experts, worst first, and deals them out to their experts: each receives its own worst first. */
    private static int[] byAtoms(List<ExpertScores> experts, int[] start) {
        double[] scores = new double[start[experts.size()]];
        int[] expertOf = new int[scores.length];
        for (int e = 0; e < experts.size(); e++) {
            System.arraycopy(experts.get(e).scores(), 0, scores, start[e], start[e + 1] - start[e]);
            Arrays.fill(expertOf, start[e], start[e + 1], e);
        }
        int[] next = start.clone();
        int[] ranked = new int[scores.length];
        for (int atom : StableOrder.of(scores)) {
            int e = expertOf[atom];
            ranked[next[e]++] = atom - start[e];
        }
        return ranked;
    }

    /** Each expert's blocks, worst first, each with its atoms in order; a smaller last block that no unit may hold comes before all. */
    private static int[] byBlocks(List<ExpertScores> experts, int[] start, int alignment, int block) {
        int[] ranked = new int[start[experts.size()]];
        for (int e = 0; e < experts.size(); e++) {
            double[] scores = experts.get(e).scores();
            int last = scores.length % block;
            boolean lastAlone = last > 0 && unitAlone(last, alignment, block);
            double[] means = new double[scores.length / block + (lastAlone ? 1 : 0)];
            for (int b = 0; b < means.length; b++) {
                means[b] = mean(scores, null, b * block, Math.min((b + 1) * block, scores.length));
            }
            int next = start[e];
            for (int k = scores.length - last; !lastAlone && k < scores.length; k++) {
                ranked[next++] = k;
            }
            for (int b : StableOrder.of(means)) {
                for (int k = b * block; k < Math.min((b + 1) * block, scores.length); k++) {
                    ranked[next++] = k;
                }
            }
        }
        return ranked;
    }

    private static boolean unitAlone(int atoms, int alignment, int block) {
        return block % alignment == 0 && atoms % alignment == 0;
    }

    /** Atoms of an expert that are in no unit. */
    private static int rest(int width, int alignment, int block) {
        int last = width % block;
        return unitAlone(last, alignment, block) ? 0 : last + (width - last) % common(alignment, block);
    }

    private int step(int e, int at, int alignment) {
        int atom = ranked[at];
        boolean last = atom / block == width(e) / block;
        return last ? width(e) % block : common(alignment, block);
    }

    /** The least number of atoms that is whole blocks and a multiple of the alignment. */
    private static int common(int alignment, int block) {
        int a = alignment;
        int b = block;
        while (b != 0) {
            int rest = a % b;
            a = b;
            b = rest;
        }
        return Math.multiplyExact(alignment / a, block);
    }

    List<ExpertScores> experts() {
        return experts;
    }

    long atoms() {
        return ranked.length;
    }

    /** Atoms of expert {@code e}. */
    int width(int e) {
        return start[e + 1] - start[e];
    }

    /** Atoms of the narrowest expert. */
    int narrowest() {
        return narrowest(0, experts.size());
    }

    /** Atoms of the narrowest of some experts. */
    int narrowest(int from, int to) {
        int narrowest = Integer.MAX_VALUE;
        for (int e = from; e < to; e++) {
            narrowest = Math.min(narrowest, width(e));
        }
        return narrowest;
    }

    /** Units of every expert. */
    int[] units() {
        int[] units = new int[experts.size()];
        Arrays.setAll(units, this::units);
        return units;
    }

    int units(int e) {
        return firstUnit[e + 1] - firstUnit[e];
    }

    int expertOfUnit(int unit) {
        return expertOfUnit[unit];
    }

    /** The first unit, the worst, of expert {@code e}. */
    int firstUnit(int e) {
        return firstUnit[e];
    }

    private int endOf(int unit) {
        int e = expertOfUnit[unit];
        return unit + 1 < firstUnit[e + 1] ? unitStart[unit + 1] : start[e + 1];
    }

    /** The atoms of expert {@code e}, worst first. */
    int[] worstFirst(int e) {
        return Arrays.copyOfRange(ranked, start[e], start[e + 1]);
    }

    /** Atoms of the best {@code units} units of expert {@code e}. */
    int widthOf(int e, int units) {
        return units == 0 ? 0 : start[e + 1] - unitStart[firstUnit[e + 1] - units];
    }

    /** How many units of expert {@code e} have to stay so that at least its best {@code width} atoms do; one too many where even all are too few. */
    int unitsFor(int e, int width) {
        int units = 0;
        while (widthOf(e, units) < width && units < units(e)) {
            units++;
        }
        return widthOf(e, units) < width ? units + 1 : units;
    }

    /** How many of the best atoms of expert {@code e} it takes to have all of these among them. */
    int widthFrom(int e, List<Integer> atoms) {
        Set<Integer> sought = new HashSet<>(atoms);
        for (int at = start[e]; at < start[e + 1]; at++) {
            if (sought.contains(ranked[at])) {
                return start[e + 1] - at;
            }
        }
        return 0;
    }

    /** What the worst atoms of expert {@code e}, from one place of its own ranking up to another, score together with those before. */
    double sumOfWorst(int e, int from, int to, double before) {
        double[] scores = experts.get(e).scores();
        double sum = before;
        for (int at = start[e] + from; at < start[e] + to; at++) {
            sum += scores[ranked[at]];
        }
        return sum;
    }

    /** Whether the best so many atoms of expert {@code e} are the last ones of its ranking, however many. */
    boolean nested(int e) {
        return width(e) % block == 0;
    }

    /** Whether all units of an expert have as many atoms. */
    boolean evenUnits() {
        return block == 1;
    }

    /** Mean score of every unit, expert after expert, worst first. */
    double[] unitMeans() {
        double[] means = new double[unitStart.length];
        for (int unit = 0; unit < means.length; unit++) {
            means[unit] = mean(expertOfUnit[unit], unitStart[unit], endOf(unit));
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

    /** Mean score of one unit. */
    double unitMean(int unit) {
        return mean(expertOfUnit[unit], unitStart[unit], endOf(unit));
    }

    private double mean(int e, int from, int to) {
        return mean(experts.get(e).scores(), ranked, from, to);
    }

    /** Mean of the scores at {@code order[from]} to {@code order[to - 1]}, or of those from {@code from} on without an order. */
    private static double mean(double[] scores, int[] order, int from, int to) {
        double worst = Double.POSITIVE_INFINITY;
        double best = Double.NEGATIVE_INFINITY;
        double sum = 0;
        for (int at = from; at < to; at++) {
            double score = scores[order == null ? at : order[at]];
            worst = Math.min(worst, score);
            best = Math.max(best, score);
            sum += score;
        }
        // why: equal scores have exactly that mean however many they are, and one infinity decides, both together the higher
        return worst >= best || Double.isInfinite(best) ? best : Math.clamp(sum / (to - from), worst, best);
    }

    /** The last {@code width} atoms of the ranking of expert {@code e}, as ascending indices. */
    int[] bestOfWidth(int e, int width) {
        int[] kept = Arrays.copyOfRange(ranked, start[e + 1] - width, start[e + 1]);
        Arrays.sort(kept);
        return kept;
    }

    /** Whether {@code width} atoms of every expert can be whole blocks. */
    boolean inBlocks(int width) {
        return inBlocks(width, 0, experts.size());
    }

    /** The same for some experts. */
    boolean inBlocks(int width, int from, int to) {
        for (int e = from; e < to; e++) {
            if (width % block != 0 && width % block != width(e) % block) {
                return false;
            }
        }
        return true;
    }

    /** The best {@code width} atoms of expert {@code e} in whole blocks, ascending; a last, smaller block is among them exactly when it is needed. */
    int[] ofWidth(int e, int width) {
        int smaller = width % block;
        int left = width - smaller;
        int[] kept = new int[width];
        int next = 0;
        for (int at = start[e + 1] - 1; at >= start[e]; at--) {
            boolean last = ranked[at] / block == width(e) / block;
            if (last ? smaller > 0 : left > 0) {
                kept[next++] = ranked[at];
                left -= last ? 0 : 1;
            }
        }
        Arrays.sort(kept);
        return kept;
    }
}
