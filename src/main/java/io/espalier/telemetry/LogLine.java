package io.espalier.telemetry;

import java.time.Instant;

/**
 * A line of a worker's log about one job. Secrets are masked in it.
 *
 * @param at by the database's clock
 * @param level {@code trace}, {@code debug}, {@code info}, {@code warn} or {@code error}
 * @param logger short name of the class that wrote it
 * @param message with the stack trace, where there is one
 * @param worker the process
 * @param traceId of the trace that the piece belongs to, or {@code null}
 */
public record LogLine(Instant at, String level, String logger, String message, String worker, String traceId) {

    /** About what it takes to keep it. */
    public int bytes() {
        return message.length() + logger.length() + 64;
    }
}
