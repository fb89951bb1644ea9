package io.espalier.egress;

import java.io.IOException;
import java.net.URI;

/** Why an exchange did not come about or was broken off. Its words name scheme, host and port; a path or a query may be a secret, and is left out. */
public class EgressException extends IOException {

    /** What kind of reason it is. */
    public enum Reason {
        /** The address is not allowed. */
        REFUSED,
        /** No answer: no connection, or one that broke. */
        UNREACHABLE,
        /** It took too long. */
        TIMED_OUT,
        /** The answer is longer than was asked for. */
        TOO_LARGE,
        /** The server sent us on too often, or nowhere. */
        REDIRECTS
    }

    private final Reason reason;

    EgressException(Reason reason, URI uri, String words) {
        super(origin(uri) + ": " + words);
        this.reason = reason;
    }

    public Reason reason() {
        return reason;
    }

    /** Scheme, host and port of an address: all of it that may be said aloud. */
    static String origin(URI uri) {
        return uri.getScheme() + "://" + uri.getHost() + (uri.getPort() < 0 ? "" : ":" + uri.getPort());
    }
}
