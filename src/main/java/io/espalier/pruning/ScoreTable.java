package io.espalier.pruning;

import java.util.ArrayList;
import java.util.List;

import io.espalier.checkpoint.ExpertTensors;
import io.espalier.plan.KeepPlan;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.ScoreSummary;

/** Sums scores up by layer and by expert. */
final class ScoreTable {

    private ScoreTable() {}

    static ScoreSummary of(MethodName method, Scored scored, List<ExpertTensors> experts, KeepPlan plan) {
        List<ScoreSummary.Layer> layers = new ArrayList<>();
        int from = 0;
        while (from < experts.size()) {
            int layer = experts.get(from).layer();
            int to = from;
            Range ofLayer = new Range();
            long kept = 0;
            List<ScoreSummary.Expert> lines = new ArrayList<>();
            for (; to < experts.size() && experts.get(to).layer() == layer; to++) {
                Range range = new Range();
                range.add(scored.values()[to]);
                ofLayer.add(scored.values()[to]);
                int keptWidth = plan.experts().get(to).keptWidth();
                kept += keptWidth;
                lines.add(
                        new ScoreSummary.Expert(experts.get(to).expert(), scored.routedTokens() == null ? null : scored.routedTokens()[to],
                                range.mean(),
                                range.min(), range.max(), experts.get(to).width(), keptWidth));
            }
            layers.add(new ScoreSummary.Layer(layer, ofLayer.mean(), ofLayer.min(), ofLayer.max(), kept, lines));
            from = to;
        }
        return new ScoreSummary(method, scored.unit(), scored.tokens(), layers, scored.agreement());
    }

    /** Mean, least and greatest of the finite ones; {@code null} while there is none. */
    private static final class Range {

        private double sum;
        private long count;
        private double min = Double.POSITIVE_INFINITY;
        private double max = Double.NEGATIVE_INFINITY;

        private void add(double[] values) {
            for (double value : values) {
                if (Double.isFinite(value)) {
                    sum += value;
                    count++;
                    min = Math.min(min, value);
                    max = Math.max(max, value);
                }
            }
        }

        private Double mean() {
            return count == 0 ? null : Double.valueOf(sum / count);
        }

        private Double min() {
            return count == 0 ? null : Double.valueOf(min);
        }

        private Double max() {
            return count == 0 ? null : Double.valueOf(max);
        }
    }
}
