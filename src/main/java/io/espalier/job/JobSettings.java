package io.espalier.job;

import java.time.Duration;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;

import org.hibernate.validator.constraints.time.DurationMin;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * How jobs wait for their turn, and what becomes of those that do not go well.
 *
 * @param projectCap pieces of one project in the queue's hands at once; 0: as many as there are
 * @param ageing after so long a waiting job counts as one priority higher
 * @param poisonAfter lost workers over one piece, after which the job fails
 * @param retries how often a piece is tried again after a failure that may pass
 * @param retryBackoff pause before the first of them; each further one is three times as long
 * @param housekeeping how often house is kept
 * @param keepEvents how long the history of a job that has ended is kept; 0: as long as the job
 * @param keepSlices how long the finished slices of a failed or cancelled job are kept for another try
 * @param keepIdempotencyKeys how long a post with the same Idempotency-Key is the same order
 * @param keepJobs how long a job that has ended is kept, with its artifact and scores; 0: until somebody deletes it
 */
@Validated
@ConfigurationProperties("espalier.jobs")
record JobSettings(@Min(0) int projectCap, @NotNull @DurationMin(seconds = 1) Duration ageing, @Min(1) int poisonAfter,
        @Min(0) @Max(20) int retries, @NotNull @DurationMin(millis = 0) Duration retryBackoff,
        @NotNull @DurationMin(millis = 100) Duration housekeeping,
        @NotNull @DurationMin(millis = 0) Duration keepEvents, @NotNull @DurationMin(millis = 0) Duration keepSlices,
        @NotNull @DurationMin(seconds = 1) Duration keepIdempotencyKeys, @NotNull @DurationMin(millis = 0) Duration keepJobs) {

    /** @param failures so far, 1 or more */
    Duration pause(int failures) {
        return retryBackoff.multipliedBy((long) Math.pow(3, failures - 1));
    }
}
