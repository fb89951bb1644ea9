package io.espalier.platform;

import java.nio.file.Path;
import java.time.Duration;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;

import org.hibernate.validator.constraints.time.DurationMin;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Where the database is.
 *
 * @param mode {@code embedded}: a PostgreSQL of this process's own; {@code external}: the one that {@code spring.datasource} names
 * @param directory of the embedded server's data and binaries
 * @param port of the embedded server on 127.0.0.1; 0: a free one at every start
 * @param startupWait how long the embedded server may take to answer
 */
@Validated
@ConfigurationProperties("espalier.database")
record DatabaseSettings(@NotNull Mode mode, @NotNull Path directory, @Min(0) @Max(65535) int port,
        @NotNull @DurationMin(seconds = 1) Duration startupWait) {

    enum Mode {
        EMBEDDED, EXTERNAL
    }

    Path root() {
        return directory.toAbsolutePath().normalize();
    }
}
