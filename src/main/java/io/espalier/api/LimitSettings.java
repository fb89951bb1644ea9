package io.espalier.api;

import jakarta.validation.constraints.Min;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * How much one caller, or one project, may ask.
 *
 * @param requestsPerSecond in the long run; 0 for no limit
 * @param burst so many at once after a rest
 * @param streams open at once; 0 for no limit
 * @param unfinishedJobs of a caller's project; 0 for no limit
 */
@Validated
@ConfigurationProperties("espalier.limits")
record LimitSettings(@Min(0) int requestsPerSecond, @Min(1) int burst, @Min(0) int streams, @Min(0) int unfinishedJobs) {}
