package io.espalier.recipe;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * One more model to make of an order's scores.
 *
 * @param layout which shapes it may have
 * @param alignment what every kept expert width is a multiple of; 1 when absent
 * @param tensorParallel over how many devices an engine is to split the experts; 1 when absent
 * @param allowEmptyExperts whether an expert may lose all its atoms; false when absent
 * @param budget how much has to go; the order's when absent
 */
@JsonNaming(SnakeCaseStrategy.class)
public record Output(Layout layout, Alignment alignment, Integer tensorParallel, Boolean allowEmptyExperts, Budget budget) {

    public Output {
        alignment = alignment == null ? Alignment.NONE : alignment;
        tensorParallel = tensorParallel == null ? 1 : tensorParallel;
        allowEmptyExperts = allowEmptyExperts != null && allowEmptyExperts;
    }

    /** With the order's budget where it has none of its own. */
    Output within(Budget ofOrder) {
        return budget == null ? new Output(layout, alignment, tensorParallel, allowEmptyExperts, ofOrder) : this;
    }
}
