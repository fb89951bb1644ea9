package io.espalier.security;

/** A token that is not good, or says too little. */
public final class RefusedTokenException extends RuntimeException {

    private final boolean known;

    private RefusedTokenException(String why, boolean known, Throwable cause) {
        super(why, cause);
        this.known = known;
    }

    /** Nobody vouches for it. */
    static RefusedTokenException invalid(String why, Throwable cause) {
        return new RefusedTokenException(why, false, cause);
    }

    /** It is genuine, and its holder may do nothing here. */
    static RefusedTokenException powerless(String why) {
        return new RefusedTokenException(why, true, null);
    }

    /** Whether it is known who asks: then another token of the same holder will do no better. */
    public boolean known() {
        return known;
    }
}
