package io.espalier.remote;

import java.io.IOException;

/** Why a file elsewhere cannot be had. The words name the server and the file, never a token, a query or what was answered. */
public final class RemoteException extends IOException {

    private final boolean passing;

    private RemoteException(String words, boolean passing) {
        super(words);
        this.passing = passing;
    }

    /** Asking again would be answered in the same way. */
    static RemoteException lasting(String words) {
        return new RemoteException(words, false);
    }

    /** Asking again in a moment may help. */
    static RemoteException passing(String words) {
        return new RemoteException(words, true);
    }

    /** It ended before its end; what is missing may be had in a moment. */
    public static RemoteException brokenOff(String words) {
        return passing(words);
    }

    /** Whether asking again in a moment may help. */
    public boolean passing() {
        return passing;
    }
}
