package io.espalier.catalog;

import java.util.List;

import io.espalier.recipe.Violation;

/** A corpus that is not taken in, or not let go. */
public final class CorpusException extends RuntimeException {

    /** What kind of reason it is. */
    public enum Reason {
        /** It cannot be used; violations say why. */
        INVALID,
        /** The name stands for another one. */
        EXISTS,
        /** Something needs it. */
        IN_USE,
        /** It is longer than is taken in. */
        TOO_LARGE,
        /** The disk has no room. */
        DISK_FULL
    }

    private final Reason reason;
    private final List<Violation> violations;

    CorpusException(Reason reason, String words) {
        super(words);
        this.reason = reason;
        this.violations = List.of();
    }

    CorpusException(List<Violation> violations) {
        super(String.join("; ", violations.stream().map(Violation::sentence).toList()));
        this.reason = Reason.INVALID;
        this.violations = List.copyOf(violations);
    }

    public Reason reason() {
        return reason;
    }

    public List<Violation> violations() {
        return violations;
    }
}
