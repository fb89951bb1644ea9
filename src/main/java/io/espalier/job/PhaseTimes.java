package io.espalier.job;

import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;

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

    /** With the last one finished. */
    static List<PhaseTimes> finished(List<PhaseTimes> phases, Instant at) {
        PhaseTimes last = phases.getLast();
        return Stream.concat(phases.stream().limit(phases.size() - 1), Stream.of(new PhaseTimes(last.phase, last.startedAt, at))).toList();
    }

    /** With one more; those that come after it are forgotten, and so is its own first time. */
    static List<PhaseTimes> begun(List<PhaseTimes> phases, Phase phase, Instant at) {
        return Stream
                .concat(phases.stream().filter(before -> before.phase.compareTo(phase) < 0), Stream.of(new PhaseTimes(phase, at, null)))
                .toList();
    }
}
