package io.espalier.webhook;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.List;

import io.espalier.egress.Call;
import io.espalier.egress.Egress;
import io.espalier.egress.EgressException;
import io.espalier.egress.Reply;
import org.springframework.stereotype.Component;

/**
 * A message on the wire: the body is the job as it was, byte for byte; what signs it (Standard Webhooks) and what says which event it is (CloudEvents,
 * HTTP binding in binary mode) are headers.
 */
@Component
class Message {

    /** The longest a receiver may put us off. */
    private static final Duration LONGEST_WISH = Duration.ofHours(24);
    private static final String TYPE_PREFIX = "io.espalier.";

    private final Egress egress;
    private final WebhookSecrets secrets;
    private final WebhookSettings settings;

    Message(Egress egress, WebhookSecrets secrets, WebhookSettings settings) {
        this.egress = egress;
        this.secrets = secrets;
        this.settings = settings;
    }

    /** Sends it once. The answer's body is not read: nobody here may learn what a stranger's address answers. */
    Postbox.Outcome send(Postbox.Taken message, Clock clock) {
        Instant at = clock.instant();
        long began = System.nanoTime();
        try (Reply reply = egress.send(call(message, at))) {
            int status = reply.status();
            boolean arrived = status >= 200 && status < 300;
            return new Postbox.Outcome(at, status, since(began), arrived ? null : words(status),
                    arrived ? Duration.ZERO : wish(reply.header("Retry-After").orElse(""), at));
        } catch (EgressException e) {
            return new Postbox.Outcome(at, null, since(began), e.getMessage(), Duration.ZERO);
        } catch (KeyFileException e) {
            // why not its words: they name a file of the operator's, and these are a client's to read
            return new Postbox.Outcome(at, null, since(began), "its secret cannot be read here now; the service's log says more",
                    Duration.ZERO);
        } catch (java.io.IOException | RuntimeException e) {
            return new Postbox.Outcome(at, null, since(began), e instanceof IllegalStateException ? e.getMessage() : "it could not be sent",
                    Duration.ZERO);
        }
    }

    private static String words(int status) {
        return "answered " + status + " (expected: 200 to 299" + (status / 100 == 3 ? "; redirects are not followed)" : ")");
    }

    private static long since(long began) {
        return (System.nanoTime() - began) / 1_000_000;
    }

    private Call call(Postbox.Taken message, Instant at) {
        List<String> signing = message.secretRef() == null
                ? message.secrets().stream().map(sealed -> secrets.open(sealed, message.webhookId())).toList()
                : secrets.named(message.project(), message.secretRef());
        long timestamp = at.getEpochSecond();
        boolean ofJob = message.jobId() != null;
        Call call = Call.post(URI.create(message.url()), message.body().getBytes(StandardCharsets.UTF_8)).within(settings.timeout())
                .header("Content-Type", "application/json").header("webhook-id", message.id())
                .header("webhook-timestamp", String.valueOf(timestamp))
                .header("webhook-signature", Signature.of(signing, message.id(), timestamp, message.body()))
                .header("ce-specversion", "1.0").header("ce-id", message.eventId()).header("ce-source", settings.source())
                .header("ce-type", TYPE_PREFIX + message.type().json())
                .header("ce-time", DateTimeFormatter.ISO_INSTANT.format(message.at()));
        return ofJob ? call.header("ce-subject", message.jobId()).header("ce-sequence", String.valueOf(message.sequence())) : call;
    }

    /** How long a receiver wants to be left alone, in seconds or until a date. */
    private static Duration wish(String retryAfter, Instant now) {
        Duration wish;
        try {
            wish = retryAfter.matches("\\d{1,9}")
                    ? Duration.ofSeconds(Long.parseLong(retryAfter))
                    : Duration.between(now, ZonedDateTime.parse(retryAfter, DateTimeFormatter.RFC_1123_DATE_TIME).toInstant());
        } catch (DateTimeParseException e) {
            return Duration.ZERO;
        }
        return wish.isNegative() ? Duration.ZERO : wish.compareTo(LONGEST_WISH) > 0 ? LONGEST_WISH : wish;
    }
}
