package io.espalier.platform;

import java.nio.file.Path;
import java.time.Duration;

import jakarta.validation.Valid;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;

import org.hibernate.validator.constraints.time.DurationMin;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Where the database is, and how this process behaves towards it.
 *
 * @param mode {@code embedded}: a PostgreSQL of this process's own; {@code external}: the one that {@code spring.datasource} names
 * @param directory of the embedded server's data and binaries
 * @param port of the embedded server on 127.0.0.1; 0: a free one at every start
 * @param startupWait how long a start waits for the database, and for the schema where it does not migrate itself
 * @param migrate whether this process brings the schema to the version that it needs, or does only that and ends
 * @param check how often a running process asks whether the database is there and has the schema that it knows
 * @param clockSync how often the clock is set after the database's
 * @param connections how many there are, and how long each may wait
 */
@Validated
@ConfigurationProperties("espalier.database")
record DatabaseSettings(@NotNull Mode mode, @NotNull Path directory, @Min(0) @Max(65535) int port,
        @NotNull @DurationMin(seconds = 1) Duration startupWait, @NotNull Migrate migrate,
        @NotNull @DurationMin(millis = 100) Duration check,
        @NotNull @DurationMin(millis = 100) Duration clockSync, @NotNull @Valid Connections connections) {

    enum Mode {
        EMBEDDED, EXTERNAL
    }

    /** Named as they are written. */
    enum Migrate {
        TRUE, FALSE, ONLY
    }

    /**
     * @param api at most so many for HTTP requests
     * @param worker at most so many for everything else: the queue, pieces of jobs, housekeeping
     * @param acquireTimeout how long a thread waits for one of them to come free
     * @param connectTimeout how long the server may take to take a connection
     * @param lockTimeout how long a statement waits for a row that somebody else holds
     * @param statementTimeout how long a statement may run
     * @param idleInTransactionTimeout how long a transaction of ours may do nothing
     */
    record Connections(@Min(1) int api, @Min(3) int worker, @NotNull @DurationMin(millis = 250) Duration acquireTimeout,
            @NotNull @DurationMin(seconds = 1) Duration connectTimeout, @NotNull @DurationMin(millis = 100) Duration lockTimeout,
            @NotNull @DurationMin(seconds = 1) Duration statementTimeout,
            @NotNull @DurationMin(seconds = 1) Duration idleInTransactionTimeout) {}

    Path root() {
        return directory.toAbsolutePath().normalize();
    }
}
