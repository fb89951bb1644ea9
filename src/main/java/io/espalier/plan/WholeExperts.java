package io.espalier.plan;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

import io.espalier.recipe.ErrorCode;

/**
 * Whole experts go, equally many in every layer. Within a layer experts are ranked by the sum of their atoms' scores, ascending by (sum, expert), protected
 * ones and those with protected atoms above all others; the router's rows go with them, and are not counted in the target: a row is a three-hundredth of
 * an expert where experts are narrow.
 */
final class WholeExperts implements Competition {

    private final Allocation shape;
    private final OwnRankings ranked;
    private final Guarded guarded;
    private final long total;
    private final List<LayerRange> layers;
    /** Positions of each layer's experts. */
    private final List<List<Integer>> worstFirst;
    /** Experts of every layer. */
    private final int count;
    /** Experts that stay in every layer whatever the budget. */
    private final int least;

    /** @param total what the budget is a share of */
    WholeExperts(Allocation order, RankedScores scores, Guarded guarded, long total) {
        this.shape = order;
        this.ranked = scores.inUnitsOf(1).own();
        this.guarded = guarded;
        this.total = total;
        this.layers = LayerRange.of(scores.experts());
        this.count = count();
        this.worstFirst = layers.stream().map(this::worstFirst).toList();
        refuseMinWidth();
        int step = order.demands().tensorParallel();
        int atLeast = Math.max(mostGuarded(), Math.max(1, order.demands().topK()));
        this.least = Math.ceilDiv(atLeast, step) * step;
        if (least > count) {
            throw mostGuarded() > order.demands().topK()
                    ? Allocation.refused(ErrorCode.INVALID_RECIPE, "tensor_parallel", String.valueOf(step),
                            "a divisor of a number of experts"
                                    + " from " + mostGuarded() + ", which the protections keep in one layer, to the " + count
                                    + " of a layer")
                    : Allocation.refused(ErrorCode.INVALID_RECIPE, "tensor_parallel", String.valueOf(step),
                            "a divisor of a number of experts from top_k " + order.demands().topK() + " to the " + count + " of a layer");
        }
    }

    @Override
    public Stay stay(Allocation order) {
        int step = shape.demands().tensorParallel();
        long whole = order.routedCost(ranked.experts());
        long target = order.target(total, whole, whole);
        int stay = count - count % step;
        while (stay >= least && cost(order, count - stay) < target) {
            stay -= step;
        }
        if (stay < least) {
            throw order.unreachable(new BigDecimal(cost(order, count - least)), total, "of the " + count + " experts of a layer at least "
                    + least + " stay, because " + reasons(step));
        }
        boolean[] goes = new boolean[ranked.experts().size()];
        for (List<Integer> layer : worstFirst) {
            layer.subList(0, count - stay).forEach(e -> goes[e] = true);
        }
        return Stay.whole(ranked, goes);
    }

    private String reasons(int step) {
        return (mostGuarded() > shape.demands().topK()
                ? "the protections keep " + mostGuarded() + " in one layer, and every layer keeps equally many"
                : "a token selects top_k " + shape.demands().topK()) + (step == 1 ? "" : " and tensor_parallel " + step + " divides them");
    }

    private int count() {
        if (layers.stream().mapToInt(LayerRange::count).distinct().count() > 1) {
            throw Allocation.refused(ErrorCode.INVALID_RECIPE, "layout", "experts",
                    "ragged, per_layer or uniform, because the model's layers have "
                            + layers.stream().map(layer -> String.valueOf(layer.count())).distinct().collect(Collectors.joining(" and "))
                            + " experts, and whole experts go equally from each");
        }
        return layers.getFirst().count();
    }

    private void refuseMinWidth() {
        if (guarded.minWidth() > 0) {
            throw Allocation.refused(ErrorCode.INVALID_RECIPE, "protections.min_width", String.valueOf(guarded.minWidth()),
                    "absent, because layout experts takes whole experts and leaves the widths of the others as they are");
        }
    }

    private boolean stays(int e) {
        return guarded.whole()[e] || guarded.atoms().containsKey(e);
    }

    /** Protected experts of the layer that has most of them. */
    private int mostGuarded() {
        int most = 0;
        for (List<Integer> layer : worstFirst) {
            most = Math.max(most, (int) layer.stream().filter(this::stays).count());
        }
        return most;
    }

    private long cost(Allocation order, int goes) {
        return worstFirst.stream().flatMap(layer -> layer.subList(0, goes).stream()).map(ranked.experts()::get)
                .mapToLong(expert -> order.cost(expert, expert.scores().length)).sum();
    }

    private List<Integer> worstFirst(LayerRange layer) {
        double[] sums = new double[layer.count()];
        for (int e = 0; e < sums.length; e++) {
            for (double score : ranked.experts().get(layer.from() + e).scores()) {
                sums[e] = LayerWidths.sum(sums[e], score);
            }
        }
        List<Integer> free = new ArrayList<>();
        List<Integer> staying = new ArrayList<>();
        for (int e : StableOrder.of(sums)) {
            (stays(layer.from() + e) ? staying : free).add(layer.from() + e);
        }
        free.addAll(staying);
        return free;
    }
}
