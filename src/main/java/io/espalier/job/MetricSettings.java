package io.espalier.job;

import java.time.Duration;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;

import org.hibernate.validator.constraints.time.DurationMin;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * @param interval how often the database is asked for the meters that only it knows
 * @param projects how many projects have a label of their own there
 */
@Validated
@ConfigurationProperties("espalier.metrics")
record MetricSettings(@NotNull @DurationMin(seconds = 1) Duration interval, @Min(0) @Max(1000) int projects) {}
