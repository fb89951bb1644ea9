package io.espalier.worker;

import java.nio.file.Path;
import java.time.Duration;

import jakarta.validation.Valid;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Pattern;

import org.hibernate.validator.constraints.time.DurationMin;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.util.unit.DataSize;
import org.springframework.validation.annotation.Validated;

/**
 * How jobs are carried out.
 *
 * @param dataDir directory of everything the service keeps; runs work under {@code work} in it
 * @param worker the rest
 */
@Validated
@ConfigurationProperties("espalier")
record WorkerSettings(@NotNull Path dataDir, @NotNull @Valid Worker worker) {

    /**
     * @param enabled whether this process carries jobs out
     * @param devices {@code auto}, {@code cpu}, or {@code gpu:0,gpu:1}
     * @param memoryBudget what weights and activations may take on each device; 0 for 60 % of what is free when a run begins
     * @param heartbeat how often a working process says that it is alive
     * @param missedHeartbeats after how many its jobs are given to others
     * @param poll how often an idle device looks for a job
     * @param shutdownWait how long a run may take to stop when the process does, before it is interrupted and given as long again
     */
    record Worker(boolean enabled,
            @NotNull @Pattern(regexp = "auto|cpu|gpu:\\d+(,gpu:\\d+)*", message = "auto, cpu or a list such as gpu:0,gpu:1") String devices,
            @NotNull DataSize memoryBudget,
            @NotNull @DurationMin(millis = 100) Duration heartbeat, @Min(4) int missedHeartbeats,
            @NotNull @DurationMin(millis = 10) Duration poll, @NotNull @DurationMin(millis = 0) Duration shutdownWait) {}

    Path directory() {
        return dataDir.toAbsolutePath().normalize().resolve("work");
    }
}
