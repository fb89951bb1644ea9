package io.espalier.security;

import java.time.Instant;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * A key that was given out, without what makes it one.
 *
 * @param id {@code key_...}
 * @param name for people
 * @param project its holder's; {@code null} for all
 * @param createdBy name of the caller who made it
 * @param createdAt to the microsecond, like every time here
 * @param expiresAt from when on it is refused; {@code null} for never
 * @param lastUsedAt the hour in which it was used last; {@code null} before the first time
 */
@JsonNaming(SnakeCaseStrategy.class)
public record ApiKey(String id, String name, String project, Role role, String createdBy, Instant createdAt, Instant expiresAt,
        Instant lastUsedAt) {}
