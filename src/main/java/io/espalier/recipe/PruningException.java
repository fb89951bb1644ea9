package io.espalier.recipe;

import java.util.List;

/** A run that cannot go on, with everything that is wrong at once. */
public final class PruningException extends RuntimeException {

    private final ErrorCode code;
    private final List<Violation> violations;

    public PruningException(ErrorCode code, String message) {
        this(code, message, List.of(), null);
    }

    public PruningException(ErrorCode code, String message, Throwable cause) {
        this(code, message, List.of(), cause);
    }

    public PruningException(ErrorCode code, List<Violation> violations) {
        this(code, String.join("; ", violations.stream().map(Violation::sentence).toList()), violations, null);
    }

    private PruningException(ErrorCode code, String message, List<Violation> violations, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.violations = List.copyOf(violations);
    }

    /** Several at once: the code of the first, the sentences of all. */
    public static PruningException all(List<PruningException> several) {
        if (several.size() == 1) {
            return several.get(0);
        }
        return new PruningException(several.get(0).code, String.join("; ", several.stream().map(Throwable::getMessage).toList()),
                several.stream().flatMap(each -> each.violations.stream()).toList(), several.get(0));
    }

    public ErrorCode code() {
        return code;
    }

    public List<Violation> violations() {
        return violations;
    }
}
