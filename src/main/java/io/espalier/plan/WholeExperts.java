package io.espalier.plan;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.Violation;

/**
 * Whole experts go, equally many in every layer. Within a layer experts are ranked by the sum of their atoms' scores, ascending by (sum, expert); the
 * router's rows go with them, and are not counted in the target: a row is a three-hundredth of an expert where experts are narrow.
 */
final class WholeExperts {

    private final Allocation order;
    private final List<ExpertScores> experts;
    private final List<LayerRange> layers;

    WholeExperts(Allocation order, List<ExpertScores> experts) {
        this.order = order;
        this.experts = experts;
        this.layers = LayerRange.of(experts);
    }

    /**
     * Whether each expert goes.
     *
     * @param total what the budget's ratio is a share of
     * @param whole cost of all routed experts
     */
    boolean[] decide(long total, long whole) {
        int count = count();
        int atLeast = Math.max(1, order.demands().topK());
        int step = order.demands().tensorParallel();
        long target = order.target(total, whole, whole);
        List<List<Integer>> ranked = layers.stream().map(this::worstFirst).toList();
        int stay = count - count % step;
        while (stay >= atLeast && cost(ranked, count - stay) < target) {
            stay -= step;
        }
        if (stay < atLeast) {
            refuse(total, ranked, count, Math.ceilDiv(atLeast, step) * step);
        }
        boolean[] goes = new boolean[experts.size()];
        for (List<Integer> layer : ranked) {
            layer.subList(0, count - stay).forEach(e -> goes[e] = true);
        }
        return goes;
    }

    /** Experts of every layer. */
    private int count() {
        if (layers.stream().mapToInt(LayerRange::count).distinct().count() > 1) {
            throw refused("layout", "experts", "ragged, per_layer or uniform, because the model's layers have "
                    + layers.stream().map(layer -> String.valueOf(layer.count())).distinct().collect(Collectors.joining(" and "))
                    + " experts, and whole experts go equally from each");
        }
        return layers.getFirst().count();
    }

    private void refuse(long total, List<List<Integer>> ranked, int count, int least) {
        if (least > count) {
            throw refused("tensor_parallel", String.valueOf(order.demands().tensorParallel()),
                    "a divisor of a number of experts from top_k "
                            + order.demands().topK() + " to the " + count + " of a layer");
        }
        BigDecimal most = new BigDecimal(cost(ranked, count - least)).divide(new BigDecimal(total), 6, RoundingMode.FLOOR);
        throw order.unreachable(most, "of the " + count + " experts of a layer at least " + least + " stay, because a token selects top_k "
                + order.demands().topK()
                + (order.demands().tensorParallel() == 1
                        ? ""
                        : " and tensor_parallel " + order.demands().tensorParallel() + " divides them"));
    }

    private static PruningException refused(String field, String given, String expected) {
        return new PruningException(ErrorCode.INVALID_RECIPE, List.of(new Violation(field, given, expected)));
    }

    private long cost(List<List<Integer>> ranked, int goes) {
        return ranked.stream().flatMap(layer -> layer.subList(0, goes).stream()).map(experts::get)
                .mapToLong(expert -> order.cost(expert, expert.scores().length)).sum();
    }

    /** Positions of a layer's experts. */
    private List<Integer> worstFirst(LayerRange layer) {
        double[] sums = new double[layer.count()];
        for (int e = 0; e < sums.length; e++) {
            for (double score : experts.get(layer.from() + e).scores()) {
                sums[e] = LayerWidths.sum(sums[e], score);
            }
        }
        List<Integer> positions = new ArrayList<>();
        for (int e : StableOrder.of(sums)) {
            positions.add(layer.from() + e);
        }
        return positions;
    }
}
