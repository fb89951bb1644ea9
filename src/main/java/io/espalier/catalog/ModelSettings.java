package io.espalier.catalog;

import java.time.Duration;
import java.util.List;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;

import org.hibernate.validator.constraints.time.DurationMin;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.util.unit.DataSize;
import org.springframework.validation.annotation.Validated;

/**
 * How models come into the catalog.
 *
 * @param maxBytes the largest model that is fetched or uploaded
 * @param maxPart the largest part of an upload
 * @param keepFree how much of the disk fetches and uploads leave free
 * @param buckets that models may be fetched from; the service's credentials are used for it
 * @param tokenHosts that tokens may be sent to
 * @param transfers how many models are fetched or checked at once
 * @param retries how often in a row a file is asked for again when nothing came
 * @param retryBackoff pause before the first of them; each further pause is twice as long
 * @param fileTimeout how long one file may take
 */
@Validated
@ConfigurationProperties("espalier.models")
public record ModelSettings(@NotNull DataSize maxBytes, @NotNull DataSize maxPart, @NotNull DataSize keepFree, List<String> buckets,
        List<String> tokenHosts, @Min(1) @Max(64) int transfers, @Min(0) @Max(100) int retries,
        @NotNull @DurationMin(millis = 1) Duration retryBackoff, @NotNull @DurationMin(seconds = 1) Duration fileTimeout) {

    public ModelSettings {
        buckets = buckets == null ? List.of() : List.copyOf(buckets);
        tokenHosts = tokenHosts == null ? List.of() : List.copyOf(tokenHosts);
    }
}
