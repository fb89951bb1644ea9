package io.espalier.webhook;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotEmpty;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Pattern;

import org.hibernate.validator.constraints.time.DurationMin;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * How messages are sent.
 *
 * @param deliver whether this process sends them
 * @param keyFile keys that secrets are encrypted with, 32 bytes in Base64 each, one a line; the first encrypts
 * @param secrets directory of secrets that webhooks may name, in a subdirectory for each project; blank: none may be named
 * @param source who sends, an attribute of each event
 * @param concurrency messages under way at once
 * @param perWebhook of these to one webhook; one that fails gets one
 * @param timeout how long a receiver may take
 * @param poll how often is looked for messages that are due
 * @param retries pauses between tries; after the last the message is given up
 * @param disableAfter a webhook is disabled when nothing has arrived for so long
 * @param rotationOverlap how long the secret before signs as well
 * @param keep how long messages are kept
 * @param perProject so many webhooks may one project have
 */
@Validated
@ConfigurationProperties("espalier.webhooks")
record WebhookSettings(boolean deliver, @NotNull Path keyFile, @NotNull String secrets,
        @NotNull @Pattern(regexp = "[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+", message = "a URI or a part of one, such as /espalier") String source,
        @Min(1) int concurrency, @Min(1) int perWebhook, @NotNull @DurationMin(millis = 100) Duration timeout,
        @NotNull @DurationMin(millis = 10) Duration poll, @NotEmpty List<@NotNull @DurationMin(millis = 0) Duration> retries,
        @NotNull @DurationMin(seconds = 1) Duration disableAfter, @NotNull @DurationMin(millis = 0) Duration rotationOverlap,
        @NotNull @DurationMin(seconds = 1) Duration keep, @Min(1) int perProject) {

    /**
     * The pause before the next try.
     *
     * @param tries so far, 1 or more
     * @param chance 0 to 1, lest everything that failed at once comes back at once: up to a fifth less or more
     * @return {@code null} when there is none
     */
    Duration pause(int tries, double chance) {
        return tries > retries.size() ? null : Duration.ofMillis((long) (retries.get(tries - 1).toMillis() * (0.8 + 0.4 * chance)));
    }
}
