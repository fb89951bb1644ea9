package io.espalier.platform;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.jdbc.autoconfigure.JdbcConnectionDetails;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** A real PostgreSQL as a child of this process. Its data outlive both. */
@Configuration(proxyBeanMethods = false)
@ConditionalOnProperty(name = "espalier.database.mode", havingValue = "embedded")
class EmbeddedDatabase {

    private static final Logger log = LoggerFactory.getLogger(EmbeddedDatabase.class);
    private static final Duration ORPHAN_STOP = Duration.ofSeconds(30);

    @Bean(destroyMethod = "close")
    DataDirectory dataDirectory(DatabaseSettings settings) throws IOException {
        return new DataDirectory(settings.root());
    }

    /** Starts after the directory is held and stops after the connection pool is closed, because each of them was handed the other. */
    @Bean(destroyMethod = "close")
    EmbeddedPostgres embeddedPostgres(DatabaseSettings settings, DataDirectory held) throws IOException {
        return start(settings);
    }

    @Bean
    JdbcConnectionDetails embeddedPostgresConnection(EmbeddedPostgres server) {
        return new JdbcConnectionDetails() {
            @Override
            public String getUsername() {
                return "postgres";
            }

            @Override
            public String getPassword() {
                return "postgres";
            }

            @Override
            public String getJdbcUrl() {
                return "jdbc:postgresql://127.0.0.1:" + server.getPort() + "/postgres";
            }
        };
    }

    static EmbeddedPostgres start(DatabaseSettings settings) throws IOException {
        long begin = System.nanoTime();
        Path data = settings.root().resolve("data");
        stopOrphan(data);
        EmbeddedPostgres.Builder builder = EmbeddedPostgres.builder()
                .setDataDirectory(data.toFile()).setCleanDataDirectory(false)
                // why: by default the binaries are unpacked into the world-writable temporary directory
                .setOverrideWorkingDirectory(settings.root().resolve("bin").toFile())
                // why: the library passes -F, which a setting overrides; without it a power cut costs the data
                .setServerConfig("fsync", "on").setServerConfig("synchronous_commit", "on").setServerConfig("full_page_writes", "on")
                .setServerConfig("listen_addresses", "127.0.0.1").setServerConfig("unix_socket_directories", "''")
                .setServerConfig("max_connections", "100")
                // why: the library's own hook would stop the server while Spring still uses it
                .setRegisterShutdownHook(false).setPGStartupWait(settings.startupWait());
        if (settings.port() != 0) {
            builder.setPort(settings.port());
        }
        EmbeddedPostgres server = started(builder, settings);
        log.info("embedded PostgreSQL answers on port {} after {} ms, data in {}", server.getPort(),
                (System.nanoTime() - begin) / 1_000_000, data);
        return server;
    }

    private static EmbeddedPostgres started(EmbeddedPostgres.Builder builder, DatabaseSettings settings) throws IOException {
        try {
            return builder.start();
        } catch (IOException | IllegalStateException e) {
            log.debug("embedded PostgreSQL", e);
            throw new StartRefused("The embedded PostgreSQL under " + settings.root() + " did not come up within "
                    + settings.startupWait().toSeconds() + " s (espalier.database.startup-wait): " + e.getMessage(),
                    "Look into " + settings.root().resolve("data") + " and the lines above; a machine that is busy gets more time by "
                            + "espalier.database.startup-wait.");
        }
    }

    /** A server outlives a process that was killed. Left alone it would be attached to unseen, or keep the new one from starting. */
    static void stopOrphan(Path data) throws IOException {
        Path pidFile = data.resolve("postmaster.pid");
        if (!Files.exists(pidFile)) {
            return;
        }
        long pid = Long.parseLong(Files.readAllLines(pidFile).getFirst().strip());
        ProcessHandle orphan = ProcessHandle.of(pid).filter(process -> isServerOf(data, process)).orElse(null);
        if (orphan == null) {
            return;
        }
        log.warn("stopping the embedded PostgreSQL (pid {}) that an earlier process left behind when it was killed", pid);
        orphan.destroy();
        if (!ends(orphan)) {
            orphan.destroyForcibly();
            if (!ends(orphan)) {
                throw new StartRefused("The embedded PostgreSQL of an earlier process, pid " + pid + ", does not end.",
                        "End it by hand, then start again: its data in " + data + " are safe.");
            }
        }
    }

    private static boolean ends(ProcessHandle process) {
        try {
            process.onExit().get(ORPHAN_STOP.toSeconds(), TimeUnit.SECONDS);
            return true;
        } catch (TimeoutException e) {
            return false;
        } catch (ExecutionException e) {
            throw new IllegalStateException("waiting for pid " + process.pid() + " to end", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for pid " + process.pid() + " to end", e);
        }
    }

    /** A process id may have gone to somebody else since: the program and its data directory have to fit, too. */
    private static boolean isServerOf(Path data, ProcessHandle process) {
        return process.info().command().filter(command -> command.endsWith("/postgres")).isPresent()
                && process.info().arguments().filter(arguments -> Arrays.asList(arguments).contains(data.toString())).isPresent();
    }
}
