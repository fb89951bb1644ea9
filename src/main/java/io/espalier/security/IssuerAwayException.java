package io.espalier.security;

/** Whether a token is good cannot be told now. */
public final class IssuerAwayException extends RuntimeException {

    IssuerAwayException(String message, Throwable cause) {
        super(message, cause);
    }
}
