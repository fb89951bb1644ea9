package io.espalier;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import org.springframework.context.ApplicationContextInitializer;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.MapPropertySource;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.postgresql.PostgreSQLContainer;

/**
 * A real PostgreSQL for the tests, chosen once: a container when a container engine answers, an embedded server otherwise. Every Spring context gets
 * an empty database and an empty data directory of its own; the service sees an external database either way, so that its embedded one does not
 * start beside it.
 */
public final class TestDatabase implements ApplicationContextInitializer<ConfigurableApplicationContext> {

    /** @param url with {@code %s} for the database's name */
    private record Server(String url, String user, String password) {}

    private static final AtomicInteger databases = new AtomicInteger();
    private static Server server;

    /** JDBC address of a new, empty database; user and password are {@code postgres}. */
    public static synchronized String fresh() {
        if (server == null) {
            server = start();
        }
        String name = "espalier_" + databases.incrementAndGet();
        try (Connection admin = DriverManager.getConnection(server.url.formatted("postgres"), server.user, server.password)) {
            admin.createStatement().execute("create database " + name);
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
        return server.url.formatted(name);
    }

    // why: both servers live as long as the tests; the engine's reaper and the library's hook end them
    @SuppressWarnings("resource")
    private static Server start() {
        if (DockerClientFactory.instance().isDockerAvailable()) {
            PostgreSQLContainer container = new PostgreSQLContainer("postgres:18-alpine").withUsername("postgres").withPassword("postgres")
                    .withDatabaseName("postgres");
            container.start();
            return new Server("jdbc:postgresql://" + container.getHost() + ":" + container.getMappedPort(5432) + "/%s", "postgres",
                    "postgres");
        }
        try {
            EmbeddedPostgres embedded = EmbeddedPostgres.builder().setOverrideWorkingDirectory(Path.of("target/postgres").toFile()).start();
            return new Server("jdbc:postgresql://127.0.0.1:" + embedded.getPort() + "/%s", "postgres", "postgres");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void initialize(ConfigurableApplicationContext context) {
        try {
            Path data = Files.createTempDirectory(Files.createDirectories(Path.of("target/data").toAbsolutePath()), "espalier");
            String url = fresh();
            context.getEnvironment().getPropertySources().addFirst(new MapPropertySource("test database", Map.of(
                    "espalier.database.mode", "external", "espalier.data-dir", data.toString(), "spring.datasource.url", url,
                    "spring.datasource.username", server.user, "spring.datasource.password", server.password,
                    "espalier.database.connections.api", "12")));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
