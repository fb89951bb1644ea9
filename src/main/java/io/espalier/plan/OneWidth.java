package io.espalier.plan;

import java.math.BigDecimal;
import java.util.Arrays;
import java.util.stream.IntStream;

import io.espalier.recipe.ErrorCode;

/** One width for all experts of the model: the widest aligned one that reaches the target. Every budget is looked up by itself. */
final class OneWidth implements Competition {

    private final OwnRankings ranked;
    private final Guarded guarded;
    private final long total;
    private final long whole;
    /** The narrowest width at which every expert keeps what is protected. */
    private final int least;

    /** @param total what the budget is a share of */
    OneWidth(Allocation order, RankedScores scores, Guarded guarded, long total) {
        this.ranked = guarded.inUnits(scores, order.step()).own();
        this.guarded = guarded;
        this.total = total;
        this.whole = order.routedCost(ranked.experts());
        this.least = IntStream.range(0, ranked.experts().size()).map(e -> guarded.width(e, ranked)).max().orElse(0);
    }

    @Override
    public Stay stay(Allocation order) {
        int reached = widestWithin(order, whole - order.target(total, whole, whole));
        if (reached < Math.max(1, least)) {
            int narrowest = least == 0 ? order.step() : Math.ceilDiv(least, order.step()) * order.step();
            throw order.unreachable(BigDecimal.valueOf(whole - column(order, narrowest)), total, "one width for all is at least "
                    + narrowest + (least == 0 ? "" : " because of the protections"));
        }
        int width = reached;
        while (width > 0 && (width % order.step() != 0 || !ranked.inBlocks(width))) {
            width--;
        }
        if (width < Math.max(1, least)) {
            throw Allocation.refused(ErrorCode.ALIGNMENT_LEAVES_NOTHING, "alignment", order.alignmentWords(), "at most " + reached
                    + ", the uniform expert width that " + order.budgetWords() + " leaves"
                    + (least == 0 ? "" : ", and a width of " + least + " or more because of the protections"));
        }
        int[] widths = new int[ranked.experts().size()];
        Arrays.fill(widths, width);
        Stay stay = Stay.widths(ranked, widths);
        guarded.requireKept(stay);
        return stay;
    }

    /** The widest width for all that weighs no more; 0 when none does. */
    private int widestWithin(Allocation order, long left) {
        int fits = 0;
        int tooWide = ranked.narrowest() + 1;
        while (fits + 1 < tooWide) {
            int middle = (fits + tooWide) >>> 1;
            if (column(order, middle) > left) {
                tooWide = middle;
            } else {
                fits = middle;
            }
        }
        return fits;
    }

    /** What experts of one width weigh. */
    private long column(Allocation order, int width) {
        long sum = 0;
        for (ExpertScores expert : ranked.experts()) {
            sum += order.cost(expert, width);
        }
        return sum;
    }
}
