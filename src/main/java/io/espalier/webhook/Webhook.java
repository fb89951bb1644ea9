package io.espalier.webhook;

import java.time.Instant;
import java.util.List;
import java.util.Locale;

import com.fasterxml.jackson.annotation.JsonValue;

/**
 * An address that wants to be told.
 *
 * @param project whose jobs it is told of
 * @param url may hold a secret in its path: for its owner, not for a log
 * @param events what it is told
 * @param disabledReason {@code null} while it is enabled
 * @param failingSince when the first of the messages failed after which none has arrived; {@code null}: the last one arrived
 * @param secretRef name of the file with its secret; {@code null}: the secret is kept here, encrypted
 * @param previousSecretUntil until when the secret before signs as well; {@code null}: there is none
 */
public record Webhook(String id, String project, String url, List<EventType> events, String description, boolean enabled,
        Disabled disabledReason, Instant createdAt, Instant updatedAt, Instant failingSince, Instant lastSuccessAt, String secretRef,
        Instant previousSecretUntil) {

    /** Why nothing is sent. */
    public enum Disabled {
        /** Somebody said so. */
        CLIENT,
        /** The receiver answered 410. */
        GONE,
        /** Nothing has arrived for too long. */
        FAILING;

        @JsonValue
        public String json() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * What a new one is to be.
     *
     * @param events empty: the ends of jobs
     * @param secretRef {@code null}: a secret is made
     */
    public record Wanted(String project, String url, List<EventType> events, String description, String secretRef) {}

    /** What is to change; {@code null}: nothing. */
    public record Change(String url, List<EventType> events, String description, Boolean enabled) {}

    /** @param secret {@code whsec_...}, which is not told again; {@code null}: it is in a file */
    public record Made(Webhook webhook, String secret) {}
}
