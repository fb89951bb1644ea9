package io.espalier.job;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.util.unit.DataSize;
import org.springframework.validation.annotation.Validated;

/**
 * What is kept of a job beside its state.
 *
 * @param points of a series at most; one that grows longer is halved
 * @param logBytes what its log lines may weigh; the oldest go
 */
@Validated
@ConfigurationProperties("espalier.jobs.record")
record RecordSettings(@Min(16) @Max(10_000) int points, @NotNull DataSize logBytes) {}
