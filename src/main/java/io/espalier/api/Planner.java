package io.espalier.api;

import java.math.BigDecimal;
import java.util.List;

import io.espalier.catalog.ScoreReadings;
import io.espalier.catalog.ScoreSet;
import io.espalier.catalog.ScoreSets;
import io.espalier.plan.Allocation;
import io.espalier.plan.Curve;
import io.espalier.plan.Forecast;
import io.espalier.plan.StoredScores;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Layout;
import io.espalier.recipe.PruningRecipe;
import org.springframework.stereotype.Component;

/** Answers what an order would do, from scores that it keeps decoded and sorted. */
@Component
final class Planner {

    private final ScoreReadings<StoredScores> readings;

    Planner(ScoreSets sets, ApiSettings settings) {
        readings = new ScoreReadings<>(sets, StoredScores::read, StoredScores::bytes, settings.scoreCache().toBytes());
    }

    /** @throws io.espalier.recipe.PruningException with violations when the order cannot be carried out */
    Forecast forecast(ScoreSet set, PruningRecipe order) {
        StoredScores scores = readings.of(set);
        return Forecast.of(scores.allocation(order), scores);
    }

    /** @param only one layout; {@code null} for all */
    ScoreSetView.Curves curves(ScoreSet set, Budget.RatioOf ratioOf, Layout only, PlanOrder words, int points) {
        StoredScores scores = readings.of(set);
        Budget nothing = new Budget(BigDecimal.ZERO, ratioOf);
        List<Curve> curves = List.of(Layout.values()).stream().filter(layout -> only == null || layout == only).map(layout -> {
            Allocation shape = scores.allocation(words.in(layout, nothing).on(set));
            return Curve.of(shape, scores, points);
        }).toList();
        return new ScoreSetView.Curves(set.id(), Forecast.before(scores), curves);
    }
}
