package io.espalier.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;

import io.espalier.EspalierApplication;
import io.espalier.TestDatabase;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;

/** A process that serves the API, one that carries jobs out, and one that would do neither. */
class RolesTest {

    private static final String TENSORS = ".*(torch|djl|tokenizers).*";

    @TempDir
    private Path temp;

    private final String url = TestDatabase.fresh();

    private Service start(String... role) throws Exception {
        return new Service(temp, Databases.arguments(url, role));
    }

    @Test
    void aProcessThatServesTheApiNeverLoadsATensorLibrary() throws Exception {
        try (Service api = start("--espalier.worker.enabled=false").ready()) {
            HttpResponse<String> order = api.post("/v1/pruning-jobs", """
                    {"model": "tiny-qwen2moe", "budget": {"ratio": 0.25},
                     "calibration": {"corpus": "kjv-train", "sequences": 8, "sequence_length": 64},
                     "evaluation": {"corpus": "kjv-test", "windows": 4}}""");
            assertThat(order.statusCode()).as(order.body()).isEqualTo(202);
            assertThat(api.get("/v1/pruning-jobs").body()).contains("\"queued\"");
            assertThat(api.get("/v1/models").body()).contains("tiny-qwen2moe");
            assertThat(api.get("/v1/methods").statusCode()).isEqualTo(200);
            assertThat(api.get("/livez").statusCode()).isEqualTo(200);
            assertThat(api.nativeLibraries()).as("the look works").anyMatch(file -> file.endsWith("libjvm.so")).noneMatch(
                    file -> file.matches(TENSORS));
            assertThat(api.log()).doesNotContain("takes jobs on").contains("security is off (espalier.security.mode is open)");
        }
    }

    @Test
    void aProcessThatCarriesJobsOutHasHealthAndNothingElse() throws Exception {
        try (Service worker = start("--espalier.api.enabled=false", "--espalier.worker.devices=cpu").ready()) {
            for (String path : new String[]{"/v1/pruning-jobs", "/v1/models", "/v1/methods", "/openapi.yaml", "/", "/index.html",
                    "/dashboard/main.js", "/webjars/chart.js/4.5.1/dist/chart.umd.min.js"}) {
                HttpResponse<String> answer = worker.get(path);
                assertThat(answer.statusCode()).as(path).isEqualTo(404);
                assertThat(answer.body()).as(path).contains("\"code\":\"not_found\"");
            }
            assertThat(worker.post("/v1/pruning-jobs", "{}").statusCode()).isEqualTo(404);
            assertThat(worker.get("/actuator/health").body()).contains("UP");
            assertThat(worker.get("/livez").statusCode()).isEqualTo(200);
            assertThat(worker.log()).contains("takes jobs on [cpu]");
            assertThat(worker.nativeLibraries()).anyMatch(file -> file.matches(TENSORS));

            Databases.newer(url);
            await().atMost(Duration.ofSeconds(20)).until(() -> worker.log().contains("takes no more jobs: schema version 99"));
            assertThat(worker.get("/readyz").statusCode()).as("outdated").isEqualTo(503);
            assertThat(worker.get("/livez").statusCode()).isEqualTo(200);
        }
    }

    @Test
    void aProcessThatOnlyMigratesMakesTheTablesAndEnds() throws Exception {
        try (Service migration = start("--espalier.database.migrate=only")) {
            assertThat(migration.ended()).as(migration.log()).isZero();
            assertThat(migration.log()).contains("migrations run").doesNotContain("takes jobs on", "Tomcat started");
        }
        try (Service api = start("--espalier.database.migrate=false", "--espalier.worker.enabled=false").ready()) {
            assertThat(api.get("/v1/models").statusCode()).isEqualTo(200);
        }
        Databases.newer(url);
        try (Service migration = start("--espalier.database.migrate=only")) {
            assertThat(migration.ended()).as("a database that is newer").isNotZero();
        }
    }

    @Test
    void aProcessThatDoesNeitherIsRefused() {
        assertThatThrownBy(() -> new SpringApplicationBuilder(EspalierApplication.class).web(WebApplicationType.NONE)
                .run("--espalier.data-dir=" + temp, "--espalier.api.enabled=false", "--espalier.worker.enabled=false"))
                .isInstanceOf(StartRefused.class).hasMessageContaining(
                        "espalier.api.enabled, espalier.worker.enabled: false, false (expected: at least one of them true");
        assertThat(temp.resolve("postgres")).doesNotExist();
    }
}
