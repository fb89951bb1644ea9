package io.espalier.job;

import java.time.Instant;

import io.espalier.recipe.Phase;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * When the current attempt went through one phase.
 *
 * @param phase which
 * @param startedAt to the microsecond
 * @param finishedAt {@code null} while it is going on, or when the run ended within it
 */
@JsonNaming(SnakeCaseStrategy.class)
public record PhaseTimes(Phase phase, Instant startedAt, Instant finishedAt) {

    PhaseTimes finished(Instant at) {
        return new PhaseTimes(phase, startedAt, at);
    }
}
