package io.espalier.egress;

import java.time.Duration;
import java.util.List;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Pattern;

import io.espalier.egress.Allowance.Line;
import org.hibernate.validator.constraints.time.DurationMin;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Where requests may go that clients cause, and how long they may take.
 *
 * @param allow networks, addresses and hosts that are allowed although they are not public, each with a port or without
 * @param http whether {@code http} is allowed beside {@code https}
 * @param ports ports that may be named; one that {@code allow} names is allowed there as well
 * @param connectTimeout how long a name may take to be resolved, and a server to take a connection
 * @param readTimeout how long a server may say nothing
 * @param totalTimeout how long a whole exchange may take, body and redirects included, where the one who asks names no time of its own
 * @param proxy {@code http://host:port}; blank: none
 */
@Validated
@ConfigurationProperties("espalier.egress")
public record EgressSettings(
        @NotNull List<@Line String> allow, boolean http, @NotNull List<@NotNull @Min(1) @Max(65535) Integer> ports,
        @NotNull @DurationMin(millis = 1) Duration connectTimeout,
        @NotNull @DurationMin(millis = 1) Duration readTimeout, @NotNull @DurationMin(millis = 1) Duration totalTimeout,
        @NotNull @Pattern(regexp = "|http://[A-Za-z0-9._-]+:\\d{1,5}", message = "http://host:port, or nothing") String proxy) {}
