package io.espalier.job;

import java.util.List;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Violation;

/**
 * Why a job failed.
 *
 * @param code for programs
 * @param message for people: what was given, what was expected
 * @param violations all that was wrong with the order; empty when the order was right
 */
public record JobError(ErrorCode code, String message, List<Violation> violations) {

    public JobError {
        violations = violations == null ? List.of() : List.copyOf(violations);
    }
}
