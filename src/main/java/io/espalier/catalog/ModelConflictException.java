package io.espalier.catalog;

/** What was asked for does not go with how a model stands. */
public final class ModelConflictException extends RuntimeException {

    /** What stands in the way. */
    public enum Reason {
        /** The name is taken. */
        NAME,
        /** The model is in another state. */
        STATE,
        /** A live job needs it. */
        NEEDED,
        /** The part does not begin where the file ends, or another one is being received. */
        OFFSET
    }

    private final Reason reason;
    private final ModelState state;
    private final long received;

    ModelConflictException(Reason reason, ModelState state, long received, String words) {
        super(words);
        this.reason = reason;
        this.state = state;
        this.received = received;
    }

    public Reason reason() {
        return reason;
    }

    /** How the model stands. */
    public ModelState state() {
        return state;
    }

    /** How many bytes of the file are there, where that is the reason. */
    public long received() {
        return received;
    }
}
