package io.espalier.plan;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.stream.IntStream;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.MethodChoice.Scope;
import io.espalier.recipe.PruningException;

/**
 * One width a layer. Every expert of a layer keeps its best W atoms; what competes is the layer's next narrower width, by the mean score of all the atoms
 * that it costs, ascending by (mean, layer), until the target is reached. A layer keeps its narrowest possible width whatever the budget.
 */
final class LayerWidths {

    /** A layer's widths, narrowest first, and the mean score of what goes between each and the one before it. */
    private static final class Steps {

        private final LayerRange layer;
        private final int[] widths;
        private final double[] means;
        private int at;

        private Steps(LayerRange layer, int[] widths, double[] means) {
            this.layer = layer;
            this.widths = widths;
            this.means = means;
            this.at = widths.length - 1;
        }
    }

    private final Allocation order;
    private final OwnRankings ranked;

    LayerWidths(Allocation order, OwnRankings ranked) {
        this.order = order;
        this.ranked = ranked;
    }

    /**
     * The width of every expert.
     *
     * @param total what the budget's ratio is a share of
     */
    int[] decide(long total) {
        List<Steps> layers = LayerRange.of(ranked.experts()).stream().map(this::steps).toList();
        if (order.scope() == Scope.GLOBAL) {
            narrow(layers, total);
        } else {
            layers.forEach(layer -> narrow(List.of(layer), total));
        }
        int[] widths = new int[ranked.experts().size()];
        for (Steps steps : layers) {
            Arrays.fill(widths, steps.layer.from(), steps.layer.to(), steps.widths[steps.at]);
        }
        return widths;
    }

    private void narrow(List<Steps> layers, long total) {
        long whole = order.routedCost(ranked);
        long share = layers.stream().mapToLong(layer -> layerCost(layer.layer, Integer.MAX_VALUE)).sum();
        long target = order.target(total, share, whole);
        long stays = layers.stream().mapToLong(steps -> layerCost(steps.layer, steps.widths[0])).sum();
        if (target > share - stays) {
            throw order.unreachable(new BigDecimal(share - stays).multiply(new BigDecimal(whole))
                    .divide(new BigDecimal(share).multiply(new BigDecimal(total)), 6, java.math.RoundingMode.FLOOR),
                    "every layer keeps a width of at least " + layers.stream().mapToInt(steps -> steps.widths[0]).max().orElseThrow());
        }
        PriorityQueue<Steps> next = new PriorityQueue<>(
                Comparator.<Steps>comparingDouble(steps -> steps.means[steps.at]).thenComparingInt(steps -> steps.layer.layer()));
        layers.stream().filter(steps -> steps.at > 0).forEach(next::add);
        long gone = share - layers.stream().mapToLong(steps -> layerCost(steps.layer, steps.widths[steps.at])).sum();
        while (gone < target) {
            Steps cheapest = next.remove();
            gone += layerCost(cheapest.layer, cheapest.widths[cheapest.at]) - layerCost(cheapest.layer, cheapest.widths[cheapest.at - 1]);
            cheapest.at--;
            if (cheapest.at > 0) {
                next.add(cheapest);
            }
        }
    }

    /** What a layer's experts of a width, or of their own smaller one, weigh. */
    private long layerCost(LayerRange layer, int width) {
        long cost = 0;
        for (int e = layer.from(); e < layer.to(); e++) {
            ExpertScores expert = ranked.experts().get(e);
            cost += order.cost(expert, Math.min(width, expert.scores().length));
        }
        return cost;
    }

    private Steps steps(LayerRange layer) {
        int[] widths = allowed(layer);
        int[][] worstFirst = IntStream.range(layer.from(), layer.to()).mapToObj(ranked::worstFirst).toArray(int[][]::new);
        double[] means = new double[widths.length];
        for (int i = 1; i < widths.length; i++) {
            double sum = 0;
            long count = 0;
            for (int e = layer.from(); e < layer.to(); e++) {
                double[] scores = ranked.experts().get(e).scores();
                for (int atom : goes(e, worstFirst[e - layer.from()], widths[i], widths[i - 1])) {
                    sum = sum(sum, scores[atom]);
                    count++;
                }
            }
            // why + 0.0: minus zero would sort before zero
            means[i] = sum / Math.max(1, count) + 0.0;
        }
        return new Steps(layer, widths, means);
    }

    /** One infinity decides, both together the higher. */
    static double sum(double a, double b) {
        return Double.isInfinite(a) && Double.isInfinite(b) && a != b ? Double.POSITIVE_INFINITY : a + b;
    }

    /** Atoms of the wider choice that are not in the narrower. */
    private int[] goes(int e, int[] worstFirst, int wide, int narrow) {
        if (order.sourceBlock() == 1) {
            return Arrays.copyOfRange(worstFirst, worstFirst.length - wide, worstFirst.length - narrow);
        }
        int[] stays = ranked.ofWidth(e, narrow);
        return Arrays.stream(ranked.ofWidth(e, wide)).filter(atom -> Arrays.binarySearch(stays, atom) < 0).toArray();
    }

    private int[] allowed(LayerRange layer) {
        int narrowest = ranked.narrowest(layer.from(), layer.to());
        List<Integer> widths = new ArrayList<>();
        for (int width = order.step(); width <= narrowest; width += order.step()) {
            if (ranked.inBlocks(width, layer.from(), layer.to())) {
                widths.add(width);
            }
        }
        if (widths.isEmpty()) {
            throw new PruningException(ErrorCode.ALIGNMENT_LEAVES_NOTHING, order.alignmentWords() + " (expected: at most " + narrowest
                    + ", the narrowest expert of layer " + layer.layer() + ")");
        }
        return widths.stream().mapToInt(Integer::intValue).toArray();
    }
}
