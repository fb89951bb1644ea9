package io.espalier.plan;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Arrays;

import io.espalier.plan.Allocation.Granularity;

/** Every expert its own width: one walk over the units of all, from which each budget takes on where the one before stopped. */
final class RaggedCompetition implements Competition {

    private final RaggedWalk walk;
    /** What the experts of each share weigh that are not protected as a whole. */
    private final long[] costs;
    private final long[] taken;
    private final long total;
    private final boolean nothingGuarded;

    /** @param total what the budget is a share of */
    RaggedCompetition(Allocation order, RankedScores scores, Guarded guarded, long total) {
        RankedScores.InUnits inUnits = guarded.inUnits(scores, order.step());
        OwnRankings ranked = inUnits.own();
        boolean whole = order.granularity() == Granularity.EXPERT;
        // why not the raised scores: what is protected stays anyway, and says nothing about the rest of its expert
        int[] turns = whole ? StableOrder.of(scores.inUnitsOf(order.step()).own().expertMeans()) : inUnits.experts();
        walk = new RaggedWalk(ranked, turns, guarded.units(ranked, order.allowEmptyExperts() ? 0 : 1), order.scope(), whole, order::cost);
        costs = new long[walk.shares().count()];
        for (int e = 0; e < ranked.experts().size(); e++) {
            costs[walk.shares().of(e)] += guarded.whole()[e] ? 0 : order.cost(ranked.experts().get(e), ranked.width(e));
        }
        taken = new long[costs.length];
        this.total = total;
        this.nothingGuarded = guarded.nothing();
    }

    @Override
    public Stay stay(Allocation order) {
        long[] targets = targets(order);
        requireReachable(order, targets);
        long[] more = new long[targets.length];
        for (int share = 0; share < more.length; share++) {
            more[share] = targets[share] - taken[share];
            taken[share] = targets[share];
        }
        return walk.take(more);
    }

    /** What each share has to give. */
    private long[] targets(Allocation order) {
        long whole = Arrays.stream(costs).sum();
        return Arrays.stream(costs).map(cost -> cost == 0 ? 0 : order.target(total, cost, whole)).toArray();
    }

    private void requireReachable(Allocation order, long[] targets) {
        long[] removable = walk.removable();
        boolean reached = Arrays.stream(costs).sum() > 0;
        for (int s = 0; s < targets.length; s++) {
            reached &= targets[s] <= removable[s];
        }
        if (reached) {
            return;
        }
        BigDecimal whole = BigDecimal.valueOf(Arrays.stream(costs).sum());
        BigDecimal most = null;
        for (int s = 0; s < costs.length; s++) {
            if (costs[s] > 0) {
                BigDecimal here = BigDecimal.valueOf(removable[s]).multiply(whole)
                        .divide(BigDecimal.valueOf(costs[s]), new MathContext(34, RoundingMode.FLOOR));
                most = most == null ? here : most.min(here);
            }
        }
        throw order.unreachable(most == null ? BigDecimal.ZERO : most, total, leastWords(order));
    }

    private String leastWords(Allocation order) {
        String least = order.sourceBlock() == 1
                ? order.step() + " atoms"
                : "one unit of whole source blocks of " + order.sourceBlock() + " atoms";
        return !nothingGuarded
                ? "the protections let no more go"
                : order.allowEmptyExperts() ? "all that routed experts hold" : "every expert keeps at least " + least;
    }
}
