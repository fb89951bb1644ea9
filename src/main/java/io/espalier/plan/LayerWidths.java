package io.espalier.plan;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.stream.IntStream;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.MethodChoice.Scope;

/**
 * One width a layer. Every expert of a layer keeps its best W atoms; what competes is the layer's next narrower width, by the mean score of all the atoms
 * that it costs, ascending by (mean, layer), until the target is reached. A layer keeps its narrowest possible width whatever the budget; a protected
 * layer keeps its own and is in no share.
 */
final class LayerWidths implements Competition {

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

    private final Allocation shape;
    private final List<ExpertScores> experts;
    private final OwnRankings ranked;
    private final Guarded guarded;
    private final long total;
    private final List<Steps> layers;

    /** @param total what the budget is a share of */
    LayerWidths(Allocation order, RankedScores scores, Guarded guarded, long total) {
        this.shape = order;
        this.experts = scores.experts();
        this.ranked = guarded.inUnits(scores, order.step()).own();
        this.guarded = guarded;
        this.total = total;
        this.layers = LayerRange.of(experts).stream().map(this::steps).toList();
    }

    @Override
    public Stay stay(Allocation order) {
        List<Steps> competing = layers.stream().filter(steps -> !protectedWhole(steps.layer)).toList();
        if (competing.isEmpty()) {
            throw order.unreachable(BigDecimal.ZERO, total, "the protections let no more go");
        }
        long whole = competing.stream().mapToLong(steps -> layerCost(steps.layer, Integer.MAX_VALUE)).sum();
        if (order.scope() == Scope.GLOBAL) {
            narrow(order, competing, whole);
        } else {
            competing.forEach(layer -> narrow(order, List.of(layer), whole));
        }
        int[] widths = new int[experts.size()];
        for (Steps steps : layers) {
            Arrays.fill(widths, steps.layer.from(), steps.layer.to(), steps.widths[steps.at]);
        }
        Stay stay = Stay.widths(ranked, widths);
        guarded.requireKept(stay);
        return stay;
    }

    private void narrow(Allocation order, List<Steps> some, long whole) {
        long share = some.stream().mapToLong(steps -> layerCost(steps.layer, Integer.MAX_VALUE)).sum();
        long target = order.target(total, share, whole);
        long stays = some.stream().mapToLong(steps -> layerCost(steps.layer, steps.widths[0])).sum();
        if (target > share - stays) {
            throw order.unreachable(new BigDecimal(share - stays).multiply(new BigDecimal(whole))
                    .divide(new BigDecimal(share), new MathContext(34, RoundingMode.FLOOR)), total,
                    "every layer keeps a width of at least " + some.stream().mapToInt(steps -> steps.widths[0]).max().orElseThrow());
        }
        PriorityQueue<Steps> next = new PriorityQueue<>(
                Comparator.<Steps>comparingDouble(steps -> steps.means[steps.at]).thenComparingInt(steps -> steps.layer.layer()));
        some.stream().filter(steps -> steps.at > 0).forEach(next::add);
        long gone = share - some.stream().mapToLong(steps -> layerCost(steps.layer, steps.widths[steps.at])).sum();
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
            ExpertScores expert = experts.get(e);
            cost += shape.cost(expert, Math.min(width, expert.scores().length));
        }
        return cost;
    }

    private boolean protectedWhole(LayerRange layer) {
        return guarded.whole()[layer.from()];
    }

    private Steps steps(LayerRange layer) {
        int[] widths = allowed(layer);
        int[][] worstFirst = IntStream.range(layer.from(), layer.to()).mapToObj(ranked::worstFirst).toArray(int[][]::new);
        double[] means = new double[widths.length];
        for (int i = 1; i < widths.length; i++) {
            double sum = 0;
            long count = 0;
            for (int e = layer.from(); e < layer.to(); e++) {
                // why not the ranking's own scores: there, what is protected is infinite
                double[] scores = experts.get(e).scores();
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
        if (shape.sourceBlock() == 1) {
            return Arrays.copyOfRange(worstFirst, worstFirst.length - wide, worstFirst.length - narrow);
        }
        int[] stays = ranked.ofWidth(e, narrow);
        return Arrays.stream(ranked.ofWidth(e, wide)).filter(atom -> Arrays.binarySearch(stays, atom) < 0).toArray();
    }

    /** The widths that a layer may have, narrowest first. */
    private int[] allowed(LayerRange layer) {
        requireWhollyOrNot(layer);
        int narrowest = ranked.narrowest(layer.from(), layer.to());
        List<Integer> widths = new ArrayList<>();
        for (int width = shape.step(); width <= narrowest; width += shape.step()) {
            if (ranked.inBlocks(width, layer.from(), layer.to())) {
                widths.add(width);
            }
        }
        if (widths.isEmpty()) {
            throw Allocation.refused(ErrorCode.ALIGNMENT_LEAVES_NOTHING, "alignment", shape.alignmentWords(), "at most " + narrowest
                    + ", the narrowest expert of layer " + layer.layer());
        }
        for (int e = layer.from(); e < layer.to(); e++) {
            if (guarded.width(e, ranked) > widths.getLast()) {
                throw guarded.uneven(e, ranked, widths.getLast(),
                        "alignment, source blocks and the layer's narrowest expert let its layer be");
            }
        }
        int least = IntStream.range(layer.from(), layer.to()).map(e -> guarded.width(e, ranked)).max().orElse(0);
        return widths.stream().mapToInt(Integer::intValue).filter(width -> width >= least).toArray();
    }

    private void requireWhollyOrNot(LayerRange layer) {
        long whole = IntStream.range(layer.from(), layer.to()).filter(e -> guarded.whole()[e]).count();
        if (whole > 0 && whole < layer.count()) {
            throw Allocation.refused(ErrorCode.INVALID_RECIPE, "layout", shape.layout().json(),
                    "ragged or experts, because one width a layer cannot spare single experts of layer " + layer.layer());
        }
    }
}
