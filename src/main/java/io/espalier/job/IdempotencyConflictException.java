package io.espalier.job;

/** A key that stood for one order came with another. */
public final class IdempotencyConflictException extends RuntimeException {

    IdempotencyConflictException(String jobId) {
        super("this Idempotency-Key was used for another body, which became " + jobId + " (expected: the same body, or a key of its own)");
    }
}
