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
 * @param dataDir directory of everything the service keeps; runs work under {@code work} in it, and save there how far they are
 * @param worker the rest
 */
@Validated
@ConfigurationProperties("espalier")
record WorkerSettings(@NotNull Path dataDir, @NotNull @Valid Worker worker) {

    /**
     * @param enabled whether this process carries jobs out
     * @param devices {@code auto}, {@code cpu}, or {@code gpu:0,gpu:1}
     * @param memoryBudget what weights and activations may take on each device; 0 for 60 % of what is free when a run begins
     * @param sliceTokens about how many tokens of the calibration set are measured in one go; 0: as suits the device
     * @param heartbeat how often a working process says that it is alive
     * @param missedHeartbeats after how many its jobs are given to others
     * @param poll how often an idle device looks for a job
     * @param saveEvery how often a slice saves at most how far it is; 0: never
     * @param drain how long a piece of a job may go on, to its end or to where it can be saved, when the process is to stop
     * @param shutdownWait how long it may then take to stop, before it is interrupted and given as long again
     */
    record Worker(boolean enabled,
            @NotNull @Pattern(regexp = "auto|cpu|gpu:\\d+(,gpu:\\d+)*", message = "auto, cpu or a list such as gpu:0,gpu:1") String devices,
            @NotNull DataSize memoryBudget, @Min(0) long sliceTokens,
            @NotNull @DurationMin(millis = 100) Duration heartbeat, @Min(4) int missedHeartbeats,
            @NotNull @DurationMin(millis = 10) Duration poll, @NotNull @DurationMin(millis = 0) Duration saveEvery,
            @NotNull @DurationMin(millis = 0) Duration drain,
            @NotNull @DurationMin(millis = 0) Duration shutdownWait) {}

    io.espalier.worker.Worker.Manner manner() {
        return new io.espalier.worker.Worker.Manner(worker.sliceTokens, worker.drain, worker.saveEvery);
    }

    Path directory() {
        return dataDir.toAbsolutePath().normalize().resolve("work");
    }

    /** Where the digests of models are remembered. */
    Path digests() {
        return directory().resolve("digests");
    }
}
