package io.espalier.job;

/**
 * A client's word that whatever it posts with this key is one and the same.
 *
 * @param key 1 to 255 printable ASCII characters, the client's own within a project
 * @param fingerprint SHA-256 of the posted body in one spelling (64 hex digits)
 */
public record IdempotencyKey(String key, String fingerprint) {

    /** The key stands for another body. */
    public static final class ReusedException extends RuntimeException {

        /** @param made id of what was made then */
        public ReusedException(String key, String made) {
            super("Idempotency-Key: " + key + " was used before, with another body, for " + made
                    + " (expected: a new key for another body)");
        }
    }

    /** A post with the same key is being carried out, and takes longer than one waits. */
    public static final class InFlightException extends RuntimeException {

        InFlightException(String key, Throwable cause) {
            super("Idempotency-Key: a post with " + key + " is being carried out at this moment; post again in a second", cause);
        }
    }
}
