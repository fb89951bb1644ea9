package io.espalier.api;

import java.time.Instant;
import java.util.List;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.espalier.webhook.Delivery;
import io.espalier.webhook.EventType;
import io.espalier.webhook.Webhook;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * A webhook as the outside sees it.
 *
 * @param secret told once; absent otherwise
 */
@JsonNaming(SnakeCaseStrategy.class)
record WebhookView(String id, String project, String url, List<EventType> events, String description, boolean enabled,
        Webhook.Disabled disabledReason, Instant createdAt, Instant updatedAt, Instant failingSince, Instant lastSuccessAt,
        String secretRef,
        Instant previousSecretUntil, @JsonInclude(JsonInclude.Include.NON_NULL) String secret, Links links) {

    /** What makes one. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Order(String url, List<EventType> events, String project, String description, String secretRef) {}

    /** @param rotateSecret {@code null} where the secret is in a file */
    @JsonNaming(SnakeCaseStrategy.class)
    record Links(String self, String deliveries, String test, String rotateSecret) {}

    /** A message to a webhook. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Sent(String id, EventType event, String jobId, Long sequence, Instant eventAt, Delivery.State state, Instant createdAt,
            Instant nextTryAt, Instant finishedAt, List<Attempt> attempts, SentLinks links) {

        static Sent of(String webhookId, Delivery delivery) {
            return new Sent(delivery.id(), delivery.event(), delivery.jobId(), delivery.sequence(), delivery.eventAt(), delivery.state(),
                    delivery.createdAt(), delivery.nextTryAt(), delivery.finishedAt(),
                    delivery.attempts().stream().map(Attempt::of).toList(),
                    new SentLinks(delivery.jobId() == null ? null : JobView.href(delivery.jobId()),
                            href(webhookId) + "/deliveries/" + delivery.id() + "/redeliver"));
        }
    }

    @JsonNaming(SnakeCaseStrategy.class)
    record Attempt(int number, Instant at, Integer status, long latencyMs, String error) {

        static Attempt of(Delivery.Attempt attempt) {
            return new Attempt(attempt.number(), attempt.at(), attempt.status(), attempt.latencyMs(), attempt.error());
        }
    }

    record SentLinks(String job, String redeliver) {}

    static String href(String id) {
        return WebhookController.PATH + "/" + id;
    }

    static WebhookView of(Webhook webhook) {
        return of(new Webhook.Made(webhook, null));
    }

    static WebhookView of(Webhook.Made made) {
        Webhook webhook = made.webhook();
        String self = href(webhook.id());
        return new WebhookView(webhook.id(), webhook.project(), webhook.url(), webhook.events(), webhook.description(), webhook.enabled(),
                webhook.disabledReason(), webhook.createdAt(), webhook.updatedAt(), webhook.failingSince(), webhook.lastSuccessAt(),
                webhook.secretRef(), webhook.previousSecretUntil(), made.secret(),
                new Links(self, self + "/deliveries", self + "/test", webhook.secretRef() == null ? self + "/rotate-secret" : null));
    }
}
