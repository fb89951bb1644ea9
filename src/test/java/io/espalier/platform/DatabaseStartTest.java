package io.espalier.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.DriverManager;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;

import io.espalier.EspalierApplication;
import io.espalier.TestDatabase;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;

/** A database that is not there, not ours, or not of our time: a wait or a stop, each with words. */
class DatabaseStartTest {

    @TempDir
    private Path temp;

    private ConfigurableApplicationContext start(WebApplicationType web, String url, String... more) {
        return new SpringApplicationBuilder(EspalierApplication.class).web(web).run(Stream.concat(
                Stream.of("--espalier.data-dir=" + temp, "--server.port=0", "--espalier.worker.enabled=false"),
                Stream.of(Databases.arguments(url, more))).toArray(String[]::new));
    }

    private ConfigurableApplicationContext start(String url, String... more) {
        return start(WebApplicationType.NONE, url, more);
    }

    private static int freePort() throws Exception {
        try (ServerSocket free = new ServerSocket(0)) {
            return free.getLocalPort();
        }
    }

    @Test
    void withoutADatabaseTheProcessWaitsSaysSoAndEndsWithOneMessage() throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + freePort() + "/espalier?password=hidden";
        try (Service service = new Service(temp, Databases.arguments(url, "--espalier.worker.enabled=false",
                "--espalier.database.startup-wait=7s"))) {
            assertThat(service.ended()).isEqualTo(1);
            String log = service.log();
            assertThat(log).contains("APPLICATION FAILED TO START").doesNotContain("\tat ", "Hikari", "Flyway", "Hibernate", "hidden")
                    .contains("The database postgresql://127.0.0.1").contains("is not ready after 7 s (espalier.database.startup-wait)");
            assertThat(log.lines().filter(line -> line.contains("waiting for the database postgresql://127.0.0.1"))).hasSizeBetween(1, 3)
                    .allMatch(line -> line.contains("refused") && line.matches(".* \\d s more: .*"));
            assertThat(log.lines().filter(line -> line.contains("ERROR"))).hasSize(1);
        }
    }

    @Test
    void aDatabaseThatComesLaterIsWaitedFor() throws Exception {
        int port = freePort();
        CompletableFuture<ConfigurableApplicationContext> starting = CompletableFuture
                .supplyAsync(() -> start("jdbc:postgresql://127.0.0.1:" + port + "/postgres"));
        Thread.sleep(Duration.ofSeconds(4));
        assertThat(starting).isNotDone();
        try (EmbeddedPostgres server = EmbeddedDatabase
                .start(Databases.settings(DatabaseSettings.Mode.EMBEDDED, temp.resolve("later"), port));
                ConfigurableApplicationContext context = starting.get()) {
            assertThat(server.getPort()).isEqualTo(port);
            assertThat(context.isRunning()).isTrue();
        }
    }

    @Test
    void aWrongPasswordAndADatabaseThatDoesNotExistAreToldAtOnce() throws Exception {
        try (EmbeddedPostgres server = EmbeddedDatabase
                .start(Databases.settings(DatabaseSettings.Mode.EMBEDDED, temp.resolve("strict"), 0))) {
            String url = "jdbc:postgresql://127.0.0.1:" + server.getPort() + "/postgres";
            assertThatThrownBy(() -> start(url + "x")).rootCause().isInstanceOf(StartRefused.class)
                    .hasMessageContaining("refuses postgres: ").hasMessageContaining("database \"postgresx\" does not exist");
            Databases.run(url, "alter role postgres password 'right'");
            Files.writeString(temp.resolve("strict/data/pg_hba.conf"), "host all all 127.0.0.1/32 scram-sha-256\n",
                    StandardOpenOption.TRUNCATE_EXISTING);
            Databases.run(url, "select pg_reload_conf()");
            await().untilAsserted(() -> assertThatThrownBy(() -> start(url)).rootCause().isInstanceOf(StartRefused.class)
                    .hasMessageContaining("password authentication failed"));
            try (ConfigurableApplicationContext context = start(url, "--spring.datasource.password=right")) {
                assertThat(context.isRunning()).isTrue();
            }
        }
    }

    @Test
    void aProcessThatDoesNotMigrateWaitsForOneThatDoes() throws Exception {
        String url = TestDatabase.fresh();
        assertThatThrownBy(() -> start(url, "--espalier.database.migrate=false", "--espalier.database.startup-wait=1s")).rootCause()
                .isInstanceOf(StartRefused.class).hasMessageContaining("is not ready after 1 s")
                .hasMessageMatching("(?s).*: schema version none \\(expected: \\d+\\)");
        CompletableFuture<ConfigurableApplicationContext> waiting = CompletableFuture
                .supplyAsync(() -> start(url, "--espalier.database.migrate=false"));
        try (ConfigurableApplicationContext migrating = start(url); ConfigurableApplicationContext other = waiting.get()) {
            assertThat(migrating.isRunning()).isTrue();
            assertThat(other.isRunning()).isTrue();
        }
    }

    @Test
    void aDatabaseOfANewerProgramAndOneOfChangedMigrationsAreRefused() throws Exception {
        String url = TestDatabase.fresh();
        start(url).close();
        Databases.newer(url);
        assertThatThrownBy(() -> start(url)).rootCause().isInstanceOf(StartRefused.class)
                .hasMessageMatching("The database .*: schema version 99 \\(expected: \\d+, which this version [\\d.]+ knows\\): "
                        + "use the newer program");
        assertThatThrownBy(() -> start(url, "--espalier.database.migrate=false")).rootCause().isInstanceOf(StartRefused.class);
        Databases.run(url, "delete from flyway_schema_history where version = '99'");
        Databases.run(url, "update flyway_schema_history set checksum = 7 where version = '1'");
        assertThatThrownBy(() -> start(url)).rootCause().isInstanceOf(StartRefused.class)
                .hasMessageContaining("were made by other migrations than this program's")
                .hasMessageContaining("V1 (jobs artifacts catalog): checksum 7 in the database (expected: ");
    }

    @Test
    void aRunningProcessWhoseDatabaseIsMigratedBeyondItClosesWithinSeconds() throws Exception {
        String url = TestDatabase.fresh();
        try (ConfigurableApplicationContext context = start(WebApplicationType.SERVLET, url, "--espalier.database.check=500ms")) {
            String base = "http://127.0.0.1:" + context.getEnvironment().getProperty("local.server.port");
            assertThat(get(base + "/v1/methods").statusCode()).isEqualTo(200);
            assertThat(get(base + "/readyz").statusCode()).isEqualTo(200);
            Databases.newer(url);
            await().atMost(Duration.ofSeconds(10)).until(() -> get(base + "/v1/methods").statusCode() == 503);
            assertThat(get(base + "/v1/pruning-jobs").body()).contains("\"code\":\"unavailable\"",
                    "this process is closed: schema version 99",
                    "use the newer program");
            assertThat(get(base + "/readyz").statusCode()).isEqualTo(503);
            assertThat(get(base + "/livez").statusCode()).isEqualTo(200);
        }
    }

    @Test
    void aProcessGoesOnWithNewerTablesThatSayThatTheyServeItAndClosesAtTheFirstThatDoNot() throws Exception {
        String url = TestDatabase.fresh();
        try (ConfigurableApplicationContext context = start(WebApplicationType.SERVLET, url, "--espalier.database.check=500ms");
                Connection connection = DriverManager.getConnection(url, "postgres", "postgres")) {
            Schema schema = context.getBean(Schema.class);
            String known = AppliedSchema.of(connection).version().toString();
            String base = "http://127.0.0.1:" + context.getEnvironment().getProperty("local.server.port");

            Databases.migrated(url, 90, known);
            assertThat(schema.refusal(connection)).isNull();
            start(url).close();
            start(url, "--espalier.database.migrate=false").close();
            assertThat(get(base + "/v1/methods").statusCode()).isEqualTo(200);
            assertThat(get(base + "/readyz").statusCode()).isEqualTo(200);

            Databases.migrated(url, 91, "90");
            assertThat(schema.refusal(connection)).as("that one serves programs from version 90 on").startsWith("schema version 91 ");
            assertThatThrownBy(() -> start(url)).rootCause().isInstanceOf(StartRefused.class).hasMessageContaining("schema version 91");
            await().atMost(Duration.ofSeconds(30)).until(() -> get(base + "/readyz").statusCode() == 503);

            Databases.migrated(url, 92, known);
            assertThat(schema.refusal(connection)).as("a later one does not take that back").startsWith("schema version 92 ");
        }
    }

    private static HttpResponse<String> get(String url) throws Exception {
        return HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString());
    }
}
