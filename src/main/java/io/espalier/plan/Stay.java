package io.espalier.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * How many atoms of every expert stay. Which ones follows from its own ranking, and is only said when somebody asks: a question what a budget would do
 * needs the widths alone.
 */
public final class Stay {

    private final OwnRankings ranked;
    private final int[] widths;
    /** Whether the widths are whole units of the ragged order; else whole blocks, a last, smaller one exactly where it is needed. */
    private final boolean inUnits;
    /** The experts that go whole, which is another thing than to keep no atom. */
    private final boolean[] removed;

    private Stay(OwnRankings ranked, int[] widths, boolean inUnits, boolean[] removed) {
        this.ranked = ranked;
        this.widths = widths;
        this.inUnits = inUnits;
        this.removed = removed;
    }

    /** The best so many units of every expert. */
    static Stay units(OwnRankings ranked, int[] units) {
        int[] widths = new int[units.length];
        for (int e = 0; e < widths.length; e++) {
            widths[e] = ranked.widthOf(e, units[e]);
        }
        return new Stay(ranked, widths, true, new boolean[widths.length]);
    }

    /** The best so many atoms of every expert, in whole source blocks. */
    static Stay widths(OwnRankings ranked, int[] widths) {
        return new Stay(ranked, widths, false, new boolean[widths.length]);
    }

    /** Every expert as it is, or not at all. */
    static Stay whole(OwnRankings ranked, boolean[] removed) {
        int[] widths = new int[removed.length];
        Arrays.setAll(widths, e -> removed[e] ? 0 : ranked.width(e));
        return new Stay(ranked, widths, true, removed);
    }

    int experts() {
        return widths.length;
    }

    /** Atoms of expert {@code e} that stay. */
    int width(int e) {
        return widths[e];
    }

    /** Whether expert {@code e} goes whole. */
    boolean removed(int e) {
        return removed[e];
    }

    /** Widths of the experts that are not removed. */
    IntStream remainingWidths() {
        return IntStream.range(0, widths.length).filter(e -> !removed[e]).map(e -> widths[e]);
    }

    int removedExperts() {
        return (int) IntStream.range(0, removed.length).filter(e -> removed[e]).count();
    }

    /** Which, ascending. */
    private int[] kept(int e) {
        return inUnits ? ranked.bestOfWidth(e, widths[e]) : ranked.ofWidth(e, widths[e]);
    }

    /** Whether the atoms that stay are the last ones of the expert's ranking. */
    boolean nested(int e) {
        return inUnits || ranked.nested(e);
    }

    OwnRankings ranked() {
        return ranked;
    }

    boolean keeps(int e, List<Integer> atoms) {
        int[] kept = kept(e);
        return atoms.stream().allMatch(atom -> Arrays.binarySearch(kept, atom) >= 0);
    }

    /** What the atoms of expert {@code e} that go score together. */
    double goneScore(int e) {
        int gone = ranked.width(e) - widths[e];
        if (nested(e)) {
            return ranked.sumOfWorst(e, 0, gone, 0);
        }
        double[] scores = ranked.experts().get(e).scores();
        int[] kept = kept(e);
        double sum = 0;
        int next = 0;
        for (int k = 0; k < scores.length; k++) {
            if (next < kept.length && kept[next] == k) {
                next++;
            } else {
                sum += scores[k];
            }
        }
        return sum;
    }

    /**
     * What the removed atoms are expected to add to the mean negative log-likelihood of a token (nats), by expert.
     *
     * @param lossWeights what a score is multiplied with to be that; 0 for an expert that no token reached, whatever its scores
     */
    public double[] lossChanges(double[] lossWeights) {
        double[] changes = new double[widths.length];
        for (int e = 0; e < changes.length; e++) {
            changes[e] = lossWeights[e] == 0 ? 0 : lossWeights[e] * goneScore(e);
        }
        return changes;
    }

    /** Every kept atom by its index. */
    public KeepPlan plan() {
        List<KeepPlan.Expert> kept = new ArrayList<>(widths.length);
        for (int e = 0; e < widths.length; e++) {
            ExpertScores expert = ranked.experts().get(e);
            kept.add(removed[e]
                    ? KeepPlan.Expert.removed(expert.layer(), expert.expert(), ranked.width(e))
                    : new KeepPlan.Expert(expert.layer(), expert.expert(), ranked.width(e), kept(e)));
        }
        return KeepPlan.of(kept);
    }
}
