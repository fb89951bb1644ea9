package io.espalier.webhook;

/** The keys of secrets cannot be had: nothing is encrypted until an operator has mended their file. The message is for him, and names the file. */
public final class KeyFileException extends IllegalStateException {

    private static final long serialVersionUID = 1L;

    KeyFileException(String message) {
        super(message);
    }

    KeyFileException(String message, Throwable cause) {
        super(message, cause);
    }
}
