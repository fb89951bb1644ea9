package io.espalier.chaos;

import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DriverManagerDataSource;

/** A PostgreSQL that can be stopped, killed and started again: same data, same port. */
final class PostgresServer implements AutoCloseable {

    private static final Duration LONGEST_START = Duration.ofSeconds(90);

    private final Path data;
    private final Path binaries;
    private final int port;
    private EmbeddedPostgres server;

    /** @param directory of data and binaries; kept when it is there */
    PostgresServer(Path directory) throws IOException {
        this(directory.resolve("data"), directory.resolve("bin"));
    }

    PostgresServer(Path data, Path binaries) throws IOException {
        this.data = data;
        this.binaries = binaries;
        this.port = freePort();
        start();
    }

    static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    void start() throws IOException {
        server = EmbeddedPostgres.builder().setDataDirectory(data.toFile()).setCleanDataDirectory(false)
                .setOverrideWorkingDirectory(Files.createDirectories(binaries).toFile()).setPort(port)
                // why: the library passes -F, which a setting overrides; a server that is killed has to find its data again
                .setServerConfig("fsync", "on").setServerConfig("synchronous_commit", "on").setServerConfig("full_page_writes", "on")
                .setServerConfig("unix_socket_directories", "''").setServerConfig("max_connections", "100")
                .setPGStartupWait(LONGEST_START).start();
    }

    /** As an administrator would: connections are cut, transactions rolled back, a checkpoint written. */
    void stop() throws IOException {
        server.close();
    }

    /** As a power cut would; the next start recovers from the log. */
    void kill() throws IOException, InterruptedException {
        Path pidFile = data.resolve("postmaster.pid");
        ProcessHandle postmaster = ProcessHandle.of(Long.parseLong(Files.readAllLines(pidFile).getFirst().strip())).orElseThrow();
        var family = postmaster.descendants().toList();
        postmaster.destroyForcibly();
        for (ProcessHandle child : family) {
            child.destroyForcibly();
        }
        for (ProcessHandle child : family) {
            child.onExit().completeOnTimeout(child, 10, TimeUnit.SECONDS).join();
        }
        postmaster.onExit().completeOnTimeout(postmaster, 10, TimeUnit.SECONDS).join();
        Files.deleteIfExists(pidFile);
        // why: the library lets go of its lock on the directory only when it is told to stop the server, and then says loudly that there is none
        Logger loud = (Logger) LoggerFactory.getLogger(EmbeddedPostgres.class);
        loud.setLevel(Level.OFF);
        server.close();
        loud.setLevel(null);
    }

    /** Makes an empty database. */
    String create(String name) {
        sql("postgres").execute("create database " + name);
        return url(name);
    }

    String url(String database) {
        return "jdbc:postgresql://127.0.0.1:" + port + "/" + database;
    }

    /** A new connection for every statement: none is left behind that a restart would break. */
    JdbcTemplate sql(String database) {
        return new JdbcTemplate(source(database));
    }

    DriverManagerDataSource source(String database) {
        return new DriverManagerDataSource(url(database), "postgres", "postgres");
    }

    @Override
    public void close() throws IOException {
        server.close();
    }
}
