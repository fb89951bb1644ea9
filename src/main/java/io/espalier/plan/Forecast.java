package io.espalier.plan;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.IntStream;

import io.espalier.recipe.Budget.RatioOf;
import io.espalier.recipe.Loadability;
import io.espalier.recipe.PruningResult.Achieved;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What an order would do, by arithmetic on stored scores.
 *
 * @param before the model
 * @param after what would be left of it
 * @param achieved what would be removed, against what was asked
 * @param predictedLossChange mean negative log-likelihood a token that the scores say the removed atoms are worth (nats); {@code null} where the
 *     criterion is not in units of loss
 * @param layers MoE layers, in order
 * @param compatibility which engines would open the result; {@code null} where the scores do not say what of the model decides it
 */
@JsonNaming(SnakeCaseStrategy.class)
public record Forecast(Size before, Size after, Achieved achieved, Double predictedLossChange, List<Layer> layers,
        List<Loadability> compatibility) {

    /** How big a model is: all parameters, atoms of its routed experts, bytes of all tensors. */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Size(long totalParameters, long routedAtoms, long bytes) {

        Size less(Size other) {
            return new Size(totalParameters - other.totalParameters, routedAtoms - other.routedAtoms, bytes - other.bytes);
        }
    }

    /**
     * @param layer index of the decoder layer
     * @param atoms of its routed experts, before
     * @param keptAtoms after
     * @param predictedLossChange its part of the whole
     * @param removedExperts those that go whole, by their index within the layer
     * @param widths atoms after, expert by expert; 0 for one that goes whole
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Layer(int layer, long atoms, long keptAtoms, Double predictedLossChange, int[] removedExperts, int[] widths) {}

    /**
     * @param order whose source block is that of the scores
     * @throws io.espalier.recipe.PruningException as {@link Allocation#plan} does
     */
    public static Forecast of(Allocation order, StoredScores scores) {
        Stay stay = order.stay(scores.ranked(), scores.model());
        double[] changes = scores.lossWeights() == null ? null : stay.lossChanges(scores.lossWeights());
        List<ExpertScores> experts = scores.ranked().experts();
        List<Layer> layers = new ArrayList<>();
        SequencedMap<Integer, int[]> widths = new LinkedHashMap<>();
        for (LayerRange layer : LayerRange.of(experts)) {
            layers.add(layer(stay, experts, layer.from(), layer.to(), changes));
            widths.put(layer.layer(), IntStream.range(layer.from(), layer.to()).filter(e -> !stay.removed(e)).map(stay::width).toArray());
        }
        Size before = before(scores);
        Size after = before.less(gone(stay, scores));
        return new Forecast(before, after, achieved(order, stay, before, after), changes == null ? null : sum(changes, 0, changes.length),
                layers, scores.shape() == null ? null : Compatibility.of(scores.shape().cutTo(widths)));
    }

    private static Layer layer(Stay stay, List<ExpertScores> experts, int from, int to, double[] changes) {
        int[] widths = new int[to - from];
        Arrays.setAll(widths, e -> stay.width(from + e));
        return new Layer(experts.get(from).layer(), experts.subList(from, to).stream().mapToLong(expert -> expert.scores().length).sum(),
                Arrays.stream(widths).asLongStream().sum(), changes == null ? null : sum(changes, from, to),
                IntStream.range(from, to).filter(stay::removed).map(e -> experts.get(e).expert()).toArray(), widths);
    }

    private static Double sum(double[] changes, int from, int to) {
        return Arrays.stream(changes, from, to).sum();
    }

    /** What the whole model weighs. */
    public static Size before(StoredScores scores) {
        return new Size(scores.model().parameters(), scores.ranked().experts().stream().mapToLong(expert -> expert.scores().length).sum(),
                scores.model().bytes());
    }

    /** What the atoms that go weigh, and the rows of the router that go with whole experts. */
    static Size gone(Stay stay, StoredScores scores) {
        int block = scores.ranked().sourceBlock();
        long parameters = 0;
        long atoms = 0;
        long bytes = 0;
        for (int e = 0; e < stay.experts(); e++) {
            ExpertScores expert = scores.ranked().experts().get(e);
            int width = expert.scores().length;
            parameters += (width - stay.width(e)) * expert.parametersPerAtom();
            atoms += width - stay.width(e);
            bytes += expert.cost(RatioOf.BYTES, width, block) - expert.cost(RatioOf.BYTES, stay.width(e), block);
            if (stay.removed(e)) {
                parameters += scores.router().parametersPerExpert()[e];
                bytes += scores.router().bytesPerExpert()[e];
            }
        }
        return new Size(parameters, atoms, bytes);
    }

    private static Achieved achieved(Allocation order, Stay stay, Size before, Size after) {
        Size gone = before.less(after);
        return new Achieved(order.budget().ratio(), order.budget().ratio() == null ? null : order.budget().ratioOf(), gone.routedAtoms(),
                share(gone.routedAtoms(), before.routedAtoms()), share(gone.totalParameters(), before.totalParameters()),
                share(gone.bytes(), before.bytes()), stay.remainingWidths().min().orElse(0), stay.remainingWidths().max().orElse(0),
                (int) stay.remainingWidths().filter(width -> width == 0).count(), stay.removedExperts(), order.alignment());
    }

    static double share(long part, long whole) {
        return new BigDecimal(part).divide(new BigDecimal(whole), MathContext.DECIMAL64).doubleValue();
    }
}
