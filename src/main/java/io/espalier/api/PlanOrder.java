package io.espalier.api;

import io.espalier.catalog.ScoreSet;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice.Scope;
import io.espalier.recipe.Protections;
import io.espalier.recipe.PruningRecipe;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/** The words of an order that a plan depends on, once there are scores; {@code scope} is the one of {@code method}. */
@JsonNaming(SnakeCaseStrategy.class)
record PlanOrder(Budget budget, Layout layout, Integer alignment, Boolean allowEmptyExperts, Scope scope, Protections protections) {

    /** The whole order. */
    PruningRecipe on(ScoreSet set) {
        return new PruningRecipe(set.origin().model(), set.origin().method().within(scope), null, budget, layout, alignment,
                allowEmptyExperts, null, set.origin().precision(), null, null, protections, set.id());
    }
}
