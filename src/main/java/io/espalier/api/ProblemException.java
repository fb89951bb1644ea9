package io.espalier.api;

import java.util.List;

import io.espalier.recipe.Violation;

/** A request that is answered with a problem. */
final class ProblemException extends RuntimeException {

    private static final int IN_WORDS = 10;

    private final ProblemCode code;
    private final List<Violation> violations;
    private final String state;

    ProblemException(ProblemCode code, String detail) {
        this(code, detail, List.of(), null);
    }

    private ProblemException(ProblemCode code, String detail, List<Violation> violations, String state) {
        super(detail);
        this.code = code;
        this.violations = List.copyOf(violations);
        this.state = state;
    }

    /** Everything that is wrong, at once; {@code detail} has the first of it in words. */
    static ProblemException violated(ProblemCode code, List<Violation> violations) {
        String words = String.join("; ", violations.stream().limit(IN_WORDS).map(Violation::sentence).toList());
        return new ProblemException(code, violations.size() == 1
                ? words
                : violations.size() + " violations; " + words
                        + (violations.size() > IN_WORDS ? "; ..." : ""),
                violations, null);
    }

    /** The job is not in a state for this. */
    static ProblemException conflict(ProblemCode code, String detail, String state) {
        return new ProblemException(code, detail, List.of(), state);
    }

    ProblemCode code() {
        return code;
    }

    List<Violation> violations() {
        return violations;
    }

    String state() {
        return state;
    }
}
