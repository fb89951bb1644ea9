package io.espalier.plan;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.espalier.recipe.Budget;
import io.espalier.recipe.Layout;
import io.espalier.recipe.PruningException;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What every ratio would do in one layout, from nothing to as much as can go.
 *
 * @param layout which shapes the experts may have
 * @param points ascending by ratio, up to the last that can be reached; empty where not even the first can
 */
public record Curve(Layout layout, List<Point> points) {

    /**
     * @param ratio asked for
     * @param routedAtomRatio share of the routed atoms that goes for it
     * @param totalParameters after
     * @param bytes after
     * @param minWidth narrowest expert after, of those that the router still knows
     * @param maxWidth widest expert after
     * @param removedExperts experts that go whole
     * @param predictedLossChange as {@link Forecast#predictedLossChange} has it
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Point(BigDecimal ratio, double routedAtomRatio, long totalParameters, long bytes, int minWidth, int maxWidth,
            int removedExperts,
            Double predictedLossChange) {}

    /**
     * @param shape an order whose ratio does not count, only what it is a share of
     * @param points from ratio 0 to ratio 1, both among them, at least 2
     */
    public static Curve of(Allocation shape, StoredScores scores, int points) {
        List<Point> reached = new ArrayList<>();
        RunningLoss loss = scores.lossWeights() == null ? null : new RunningLoss(scores.lossWeights());
        try {
            Competition competition = shape.competition(scores.ranked(), scores.model());
            for (int i = 0; i < points; i++) {
                BigDecimal ratio = BigDecimal.valueOf(i).divide(BigDecimal.valueOf(points - 1), 6, RoundingMode.HALF_EVEN)
                        .stripTrailingZeros();
                reached.add(point(ratio, competition.stay(shape.within(new Budget(ratio, shape.budget().ratioOf()))), scores, loss));
            }
        } catch (PruningException beyond) {
            // why the end: whoever cannot reach a ratio cannot reach a greater one, and where there is no such layout there is no point
            return new Curve(shape.layout(), reached);
        }
        return new Curve(shape.layout(), reached);
    }

    private static Point point(BigDecimal ratio, Stay stay, StoredScores scores, RunningLoss loss) {
        Forecast.Size before = Forecast.before(scores);
        Forecast.Size gone = Forecast.gone(stay, scores);
        return new Point(ratio, Forecast.share(gone.routedAtoms(), before.routedAtoms()), before.totalParameters() - gone.totalParameters(),
                before.bytes() - gone.bytes(), stay.remainingWidths().min().orElse(0), stay.remainingWidths().max().orElse(0),
                stay.removedExperts(), loss == null ? null : loss.of(stay));
    }

    /** Sums what goes on from one point to the next, in the order in which a single plan would. */
    private static final class RunningLoss {

        private final double[] weights;
        private final double[] scores;
        private final int[] gone;

        RunningLoss(double[] weights) {
            this.weights = weights;
            this.scores = new double[weights.length];
            this.gone = new int[weights.length];
        }

        double of(Stay stay) {
            double[] changes = new double[weights.length];
            for (int e = 0; e < weights.length; e++) {
                if (weights[e] != 0) {
                    changes[e] = weights[e] * score(stay, e);
                }
            }
            return Arrays.stream(changes).sum();
        }

        private double score(Stay stay, int e) {
            int goes = stay.ranked().width(e) - stay.width(e);
            if (!stay.nested(e) || goes < gone[e]) {
                return stay.goneScore(e);
            }
            scores[e] = stay.ranked().sumOfWorst(e, gone[e], goes, scores[e]);
            gone[e] = goes;
            return scores[e];
        }
    }
}
