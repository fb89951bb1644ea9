package io.espalier.plan;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The scores of a whole model, sorted once, so that every allocation after that only walks along. Safe for several threads; holds the order in units of
 * the {@value #ALIGNMENTS} alignments that were asked for last.
 */
public final class RankedScores {

    private static final int ALIGNMENTS = 3;

    private static final int STRIDE = 64;

    /** Above every score that was measured, and far enough below infinity that a unit of them has a mean. */
    static final double ABOVE_MEASURED = 1e300;

    /**
     * @param own every expert's units
     * @param experts whose turn it is to lose its worst unit, first to last: the units of all experts ascending by (mean score, layer, expert, rank)
     * @param means of the units at every {@value #STRIDE}th turn
     */
    record InUnits(OwnRankings own, int[] experts, double[] means) {}

    private final List<ExpertScores> experts;
    private final int sourceBlock;
    private final Map<Integer, InUnits> byAlignment = new LinkedHashMap<>(ALIGNMENTS, 0.75f, true);
    private OwnRankings ranked;

    private RankedScores(List<ExpertScores> experts, int sourceBlock) {
        this.experts = experts;
        this.sourceBlock = sourceBlock;
    }

    /**
     * @param experts every routed expert of the model, in order of (layer, expert)
     * @param sourceBlock atoms that share FP8 scales in the source; 1 where each goes by itself
     */
    public static RankedScores of(List<ExpertScores> experts, int sourceBlock) {
        return new RankedScores(List.copyOf(experts), sourceBlock);
    }

    List<ExpertScores> experts() {
        return experts;
    }

    int sourceBlock() {
        return sourceBlock;
    }

    /** @throws io.espalier.recipe.PruningException for scores that are NaN, or an alignment wider than an expert */
    synchronized InUnits inUnitsOf(int alignment) {
        InUnits known = byAlignment.get(alignment);
        if (known == null) {
            OwnRankings own = own(alignment);
            double[] all = own.unitMeans();
            int[] order = StableOrder.of(all);
            double[] means = new double[Math.ceilDiv(order.length, STRIDE)];
            for (int i = 0; i < order.length; i++) {
                if (i % STRIDE == 0) {
                    means[i / STRIDE] = all[order[i]];
                }
                order[i] = own.expertOfUnit(order[i]);
            }
            known = new InUnits(own, order, means);
            byAlignment.put(alignment, known);
            if (byAlignment.size() > ALIGNMENTS) {
                byAlignment.remove(byAlignment.keySet().iterator().next());
            }
        }
        return known;
    }

    private OwnRankings own(int alignment) {
        if (sourceBlock > 1) {
            return OwnRankings.of(experts, alignment, sourceBlock);
        }
        if (ranked == null) {
            ranked = OwnRankings.of(experts, 1, 1);
        }
        return alignment == 1 ? ranked : ranked.inUnitsOf(alignment);
    }

    /**
     * In units of an alignment, with other scores for a few experts: theirs are sorted anew and put in between, the rest keeps its order.
     *
     * @param others by the experts' ordinals, as wide as those that they stand for
     */
    InUnits inUnitsOf(int alignment, Map<Integer, ExpertScores> others) {
        InUnits before = inUnitsOf(alignment);
        if (others.isEmpty()) {
            return before;
        }
        OwnRankings own = before.own.rescored(others, alignment);
        double[] means = new double[others.keySet().stream().mapToInt(own::units).sum()];
        int[] units = new int[means.length];
        int at = 0;
        for (int e : others.keySet().stream().sorted().toList()) {
            for (int unit = own.firstUnit(e); unit < own.firstUnit(e) + own.units(e); unit++) {
                units[at] = unit;
                means[at++] = own.unitMean(unit);
            }
        }
        boolean[] other = new boolean[experts.size()];
        others.keySet().forEach(e -> other[e] = true);
        return new InUnits(own, merged(before, own, other, units, means), null);
    }

    /** The turns of the experts that stayed as they were, with those of the others in between. */
    private static int[] merged(InUnits before, OwnRankings own, boolean[] other, int[] units, double[] means) {
        int[] order = StableOrder.of(means);
        int[] turns = before.experts;
        int[] merged = new int[turns.length];
        int[] passed = new int[other.length];
        int next = 0;
        int end = 0;
        for (int i = 0; i < turns.length; i++) {
            int e = turns[i];
            if (other[e]) {
                continue;
            }
            // why: almost everywhere nothing is to be put in, and a mean of a unit costs more than all the rest
            int later = i / STRIDE + 1;
            if (next < order.length && (later == before.means.length || means[order[next]] <= before.means[later])) {
                int unit = own.firstUnit(e) + passed[e];
                double mean = own.unitMean(unit);
                while (next < order.length && comesFirst(means[order[next]], units[order[next]], mean, unit)) {
                    merged[end++] = own.expertOfUnit(units[order[next++]]);
                }
            }
            passed[e]++;
            merged[end++] = e;
        }
        while (next < order.length) {
            merged[end++] = own.expertOfUnit(units[order[next++]]);
        }
        return merged;
    }

    private static boolean comesFirst(double mean, int unit, double otherMean, int otherUnit) {
        // why + 0.0: to the order of all, -0.0 equals 0.0
        int byMean = Double.compare(mean + 0.0, otherMean + 0.0);
        return byMean < 0 || byMean == 0 && unit < otherUnit;
    }

    /** About how much memory this takes once the usual alignments were asked for. */
    public long bytes() {
        long atoms = experts.stream().mapToLong(expert -> expert.scores().length).sum();
        return atoms * (Double.BYTES + 4 * Integer.BYTES) + atoms * 2 * Integer.BYTES;
    }

    /** The scores of some experts with infinity for the atoms that are to stay, by the experts' ordinals. */
    Map<Integer, ExpertScores> raised(Map<Integer, List<Integer>> atoms) {
        Map<Integer, ExpertScores> raised = new LinkedHashMap<>();
        atoms.forEach((e, staying) -> {
            ExpertScores expert = experts.get(e);
            double[] scores = expert.scores().clone();
            // why: what stays must rank above what ranks above every number because no token reached it
            Arrays.setAll(scores, k -> Math.min(scores[k], ABOVE_MEASURED));
            staying.forEach(k -> scores[k] = Double.POSITIVE_INFINITY);
            raised.put(e, new ExpertScores(expert.layer(), expert.expert(), scores, expert.parametersPerAtom(), expert.bytesPerAtom(),
                    expert.bytesPerBlock()));
        });
        return raised;
    }
}
