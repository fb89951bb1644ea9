package io.espalier.platform;

import java.nio.file.Path;
import java.time.Duration;
import java.util.stream.Stream;

/** Settings that tests give. */
final class Databases {

    static final DatabaseSettings.Connections CONNECTIONS = new DatabaseSettings.Connections(4, 4, Duration.ofSeconds(5),
            Duration.ofSeconds(5), Duration.ofSeconds(5), Duration.ofSeconds(60), Duration.ofSeconds(60));

    private Databases() {}

    /** Arguments of a process on a database, with more of them. */
    static String[] arguments(String url, String... more) {
        return Stream.concat(Stream.of("--espalier.database.mode=external", "--spring.datasource.url=" + url,
                "--spring.datasource.username=postgres", "--spring.datasource.password=postgres"), Stream.of(more)).toArray(String[]::new);
    }

    static DatabaseSettings settings(DatabaseSettings.Mode mode, Path directory, int port) {
        return new DatabaseSettings(mode, directory, port, Duration.ofSeconds(60), true, Duration.ofSeconds(2), Duration.ofSeconds(15),
                CONNECTIONS);
    }
}
