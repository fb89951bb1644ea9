package io.espalier.plan;

import io.espalier.recipe.MethodChoice.Scope;

/**
 * The ragged competition: units go in the order of their scores until every share has given what it has to. It can be asked for more and goes on from
 * where it stands, so that one walk answers for every ratio.
 */
final class RaggedWalk {

    private final OwnRankings ranked;
    private final Shares shares;
    /** Whose turn it is, first to last, the turns of one share together. */
    private final int[] order;
    /** Where the turns of each share begin, and where its next one is. */
    private final int[] next;
    private final int[] end;
    /** Units that every expert has, and that it keeps whatever comes. */
    private final int[] units;
    private final int[] floors;
    private final boolean wholeExperts;
    private final Weight weight;
    /** What every unit of an expert weighs; {@code null} where a smaller source block makes them differ. */
    private final long[] unitWeight;

    /** What so many atoms of an expert weigh. */
    interface Weight {
        long of(ExpertScores expert, long atoms);
    }

    /**
     * @param order whose turn it is to lose a unit, or everything above its floor, first to last
     * @param floors units that every expert keeps whatever comes
     */
    RaggedWalk(OwnRankings ranked, int[] order, int[] floors, Scope scope, boolean wholeExperts, Weight weight) {
        this.ranked = ranked;
        this.shares = new Shares(ranked.experts(), scope);
        this.floors = floors;
        this.wholeExperts = wholeExperts;
        this.weight = weight;
        this.units = ranked.units();
        this.unitWeight = ranked.evenUnits() ? new long[units.length] : null;
        this.next = new int[shares.count()];
        this.end = new int[shares.count()];
        this.order = shares.count() == 1 ? order : byShare(order);
        if (shares.count() == 1) {
            end[0] = order.length;
        }
        for (int e = 0; e < units.length; e++) {
            // what is in no unit always goes
            shares.gone(e, weigh(e, ranked.width(e)) - inUnits(e, units[e]));
            if (unitWeight != null && units[e] > 0) {
                unitWeight[e] = inUnits(e, 1);
            }
        }
    }

    private int[] byShare(int[] turns) {
        for (int e : turns) {
            end[shares.of(e)]++;
        }
        for (int share = 1; share < end.length; share++) {
            end[share] += end[share - 1];
            next[share] = end[share - 1];
        }
        int[] at = next.clone();
        int[] sorted = new int[turns.length];
        for (int e : turns) {
            sorted[at[shares.of(e)]++] = e;
        }
        return sorted;
    }

    private long weigh(int e, long atoms) {
        return weight.of(ranked.experts().get(e), atoms);
    }

    /** What the best so many units of an expert weigh. */
    private long inUnits(int e, int best) {
        return weigh(e, ranked.widthOf(e, best));
    }

    Shares shares() {
        return shares;
    }

    /** What a share can give at most. */
    long[] removable() {
        long[] removable = new long[shares.count()];
        for (int e = 0; e < units.length; e++) {
            removable[shares.of(e)] += weigh(e, ranked.width(e)) - inUnits(e, floors[e]);
        }
        return removable;
    }

    /** Goes on until a share misses nothing more. */
    private void walk(int share) {
        int at = next[share];
        for (; at < end[share] && shares.misses(share); at++) {
            int e = order[at];
            int spare = units[e] - floors[e];
            if (spare > 0) {
                // an expert's own units go worst first, whoever they compete with
                int going = wholeExperts ? spare : 1;
                shares.gone(e, unitWeight != null ? unitWeight[e] * going : inUnits(e, units[e]) - inUnits(e, units[e] - going));
                units[e] -= going;
            }
        }
        next[share] = at;
    }

    /** Takes so much more from every share, as far as it has it. */
    Stay take(long[] more) {
        for (int share = 0; share < more.length; share++) {
            shares.require(share, more[share]);
            walk(share);
        }
        return Stay.units(ranked, units);
    }
}
