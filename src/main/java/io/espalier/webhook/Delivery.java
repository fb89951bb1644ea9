package io.espalier.webhook;

import java.time.Instant;
import java.util.List;
import java.util.Locale;

import com.fasterxml.jackson.annotation.JsonValue;

/**
 * A message to one webhook. Its id is the message's, however often it is sent.
 *
 * @param jobId {@code null} for a test
 * @param sequence number of the line in the job's history; {@code null} for a test
 * @param eventAt when it happened
 * @param nextTryAt {@code null} when there is none to come
 * @param finishedAt when it arrived or was given up
 * @param attempts oldest first
 */
public record Delivery(String id, EventType event, String jobId, Long sequence, Instant eventAt, State state, Instant createdAt,
        Instant nextTryAt, Instant finishedAt, List<Attempt> attempts) {

    /** Where it stands. */
    public enum State {
        PENDING, DELIVERED,
        /** Given up: tried often enough, or its webhook was disabled. */
        FAILED;

        @JsonValue
        public String json() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * One time it was sent.
     *
     * @param number counts up; one is missing where whoever sent it was lost
     * @param status {@code null} when there was no answer
     * @param latencyMs until the answer's head was there, or the end of the attempt
     * @param error {@code null} when it arrived
     */
    public record Attempt(int number, Instant at, Integer status, long latencyMs, String error) {}
}
