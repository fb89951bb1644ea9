package io.espalier.platform;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.stream.Stream;

/** Settings that tests give. */
final class Databases {

    static final DatabaseSettings.Connections CONNECTIONS = new DatabaseSettings.Connections(4, 4, Duration.ofSeconds(5),
            Duration.ofSeconds(5), Duration.ofSeconds(5), Duration.ofSeconds(60), Duration.ofSeconds(60));

    private Databases() {}

    /** Arguments of a process on a database, with more of them, which count where they say the same. */
    static String[] arguments(String url, String... more) {
        Stream<String> usual = Stream.of("--espalier.database.mode=external", "--spring.datasource.url=" + url,
                "--spring.datasource.username=postgres", "--spring.datasource.password=postgres");
        return Stream.concat(usual.filter(one -> Stream.of(more).noneMatch(other -> key(other).equals(key(one)))), Stream.of(more))
                .toArray(String[]::new);
    }

    static void run(String url, String sql) throws SQLException {
        try (Connection connection = DriverManager.getConnection(url, "postgres", "postgres")) {
            connection.createStatement().execute(sql);
        }
    }

    /** What the next version leaves behind when it has migrated. */
    static void newer(String url) throws SQLException {
        migrated(url, 99);
    }

    static void migrated(String url, int version) throws SQLException {
        run(url, "insert into flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by,"
                + " execution_time, success) values (%1$d, '%1$d', 'next', 'SQL', 'V%1$d__next.sql', 1, 'postgres', 1, true)"
                        .formatted(version));
    }

    /** The same where the migration says that programs which know that version of the tables go on. */
    static void migrated(String url, int version, String worksFrom) throws SQLException {
        run(url, "insert into schema_compatibility (version, works_from) values ('%d', '%s')".formatted(version, worksFrom));
        migrated(url, version);
    }

    private static String key(String argument) {
        return argument.replaceFirst("=.*", "");
    }

    static DatabaseSettings settings(DatabaseSettings.Mode mode, Path directory, int port) {
        return new DatabaseSettings(mode, directory, port, Duration.ofSeconds(60), DatabaseSettings.Migrate.TRUE, Duration.ofSeconds(2),
                Duration.ofSeconds(15),
                CONNECTIONS);
    }
}
