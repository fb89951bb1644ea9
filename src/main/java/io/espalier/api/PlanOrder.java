package io.espalier.api;

import io.espalier.catalog.ScoreSet;
import io.espalier.recipe.Alignment;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice.Scope;
import io.espalier.recipe.Protections;
import io.espalier.recipe.PruningRecipe;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/** The words of an order that a plan depends on, once there are scores; {@code scope} is the one of {@code method}. */
@JsonNaming(SnakeCaseStrategy.class)
record PlanOrder(Budget budget, Layout layout, Alignment alignment, Integer tensorParallel, Boolean allowEmptyExperts, Scope scope,
        Protections protections) {

    /** The same words in another layout, for another budget. */
    PlanOrder in(Layout other, Budget much) {
        return new PlanOrder(much, other, other == Layout.EXPERTS ? null : alignment, tensorParallel, allowEmptyExperts, scope,
                protections);
    }

    /** The whole order. */
    PruningRecipe on(ScoreSet set) {
        return new PruningRecipe(set.origin().model(), set.origin().method().within(scope), null, budget, layout, alignment,
                tensorParallel, allowEmptyExperts, null, set.origin().precision(), null, set.project(), null, protections, set.id());
    }
}
