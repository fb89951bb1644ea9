package io.espalier.architecture;

import java.util.List;

/** A model that cannot be run with the right mathematics: refused by name, with everything that stands in the way at once. */
public final class UnsupportedModelException extends RuntimeException {

    /** What kind of thing stands in the way. */
    public enum Reason {
        /** {@code config.json} names no architecture that is implemented here. */
        ARCHITECTURE,
        /** A configuration value is missing, nonsense, or would change the mathematics in a way that is not implemented. */
        CONFIGURATION,
        /** The tensors in the files are not those that the configuration describes. */
        TENSORS
    }

    private final Reason reason;
    private final List<String> problems;

    UnsupportedModelException(Reason reason, List<String> problems) {
        super(String.join("; ", problems));
        this.reason = reason;
        this.problems = List.copyOf(problems);
    }

    public Reason reason() {
        return reason;
    }

    /** Each by itself. */
    public List<String> problems() {
        return problems;
    }
}
