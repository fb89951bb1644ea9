package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;

import io.espalier.catalog.Corpora;
import io.espalier.catalog.Corpus;
import org.junit.jupiter.api.Test;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.jdbc.core.JdbcTemplate;
import tools.jackson.databind.JsonNode;

/** Two projects that use the same names, the same files under a root and the same bundled things do not notice each other by it. */
@SecuredApiTest
class SideBySideTest {

    private static final Path ROOT = Path.of("target/api-test/root").toAbsolutePath();

    private final Runs runs;
    private final Corpora corpora;
    private final JdbcTemplate jdbc;
    private final String number = UUID.randomUUID().toString().substring(0, 8);
    private final Api green;
    private final Api gold;
    private final Api all;

    SideBySideTest(@LocalServerPort int port, Runs runs, Corpora corpora, JdbcTemplate jdbc) {
        this.runs = runs;
        this.corpora = corpora;
        this.jdbc = jdbc;
        this.green = new Api(port).as(Issuer.token("g", "green-" + number, "admin"));
        this.gold = new Api(port).as(Issuer.token("o", "gold-" + number, "admin"));
        this.all = new Api(port).as(Issuer.ADMIN_KEY);
    }

    private static Api.Answer post(Api who, String path, String json) {
        return who.send("POST", path, json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json");
    }

    private static void made(Api who, String path, String json) {
        Api.Answer answer = post(who, path, json);
        assertThat(answer.status()).as(answer.text()).isEqualTo(201);
    }

    private static int delete(Api who, String path) {
        return who.send("DELETE", path, null).status();
    }

    private Path model() throws IOException {
        Path target = Files.createDirectories(ROOT.resolve("shared-" + number));
        try (Stream<Path> files = Files.list(Path.of("src/main/resources/demo/tiny-qwen2moe"))) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Files.copy(file, target.resolve(file.getFileName()));
            }
        }
        return target;
    }

    @Test
    void theSameNamesStandForWhatEachProjectMeans() {
        String upload = ", \"upload\": {\"files\": [{\"name\": \"model.safetensors\", \"bytes\": 3, \"sha256\": \"" + "0".repeat(64)
                + "\"}, {\"name\": \"config.json\", \"bytes\": 2, \"sha256\": \"" + "0".repeat(64) + "\"}]}}";
        for (Api who : List.of(green, gold)) {
            made(who, "/v1/models", "{\"name\": \"shared\"" + upload);
            made(who, "/v1/corpora", "{\"name\": \"shared\", \"text\": \"a text\"}");
        }
        for (String path : List.of("/v1/models/shared", "/v1/corpora/shared")) {
            String before = gold.get(path).text();
            assertThat(green.get(path).json().path("project").stringValue()).isEqualTo("green-" + number);
            assertThat(delete(green, path)).isEqualTo(204);
            assertThat(green.get(path).status()).isEqualTo(404);
            assertThat(gold.get(path).text()).isEqualTo(before);
            assertThat(delete(gold, path)).isEqualTo(204);
        }
    }

    @Test
    void aTextThatAnothersJobReadsCanBeForgottenAndOnesOwnCannot() throws IOException {
        Files.createDirectories(ROOT);
        Path text = Files.writeString(ROOT.resolve("shared-" + number + ".txt"), "In the beginning");
        for (Api who : List.of(green, gold)) {
            made(who, "/v1/corpora", "{\"name\": \"shared\", \"path\": \"" + text + "\"}");
        }
        String job = green.ordered("{\"model\": \"tiny-qwen2moe\", \"calibration\": {\"corpus\": {\"path\": \"" + text
                + "\"}}, \"budget\": {\"ratio\": 0.5}}");

        assertThat(delete(gold, "/v1/corpora/shared")).isEqualTo(204);
        assertThat(delete(green, "/v1/corpora/shared")).isEqualTo(409);
        assertThat(green.post("/v1/pruning-jobs/" + job + "/cancel").status()).isEqualTo(200);
        assertThat(delete(green, "/v1/corpora/shared")).isEqualTo(204);
    }

    @Test
    void aModelThatAnothersJobReadsCanBeForgottenAndOnesOwnCannot() throws IOException {
        Path directory = model();
        for (Api who : List.of(green, gold)) {
            made(who, "/v1/models", "{\"name\": \"shared\", \"path\": \"" + directory + "\"}");
        }
        String job = green.ordered("{\"model\": \"shared\", \"method\": \"magnitude\", \"budget\": {\"ratio\": 0.5}}");

        assertThat(delete(gold, "/v1/models/shared")).isEqualTo(204);
        assertThat(delete(green, "/v1/models/shared")).isEqualTo(409);
        assertThat(green.post("/v1/pruning-jobs/" + job + "/cancel").status()).isEqualTo(200);
        assertThat(delete(green, "/v1/models/shared")).isEqualTo(204);
    }

    @Test
    void howLongAJobWouldTakeIsToldByTheProjectsOwnJobs() {
        runs.succeed(green.ordered(Posted.SHORTEST));

        JsonNode own = post(green, "/v1/pruning-jobs?dry_run=true", Posted.SHORTEST).json().path("time");
        JsonNode others = post(gold, "/v1/pruning-jobs?dry_run=true", Posted.SHORTEST).json().path("time");
        assertThat(own.path("jobs").intValue()).isEqualTo(1);
        assertThat(own.path("calibrate_seconds").doubleValue()).isPositive();
        assertThat(others.path("jobs").intValue()).isZero();
        assertThat(others.path("calibrate_seconds").isNull()).isTrue();
        assertThat(post(all, "/v1/pruning-jobs?dry_run=true", Posted.SHORTEST).json().at("/time/jobs").intValue()).isPositive();
    }

    @Test
    void aBundledTextDoesNotTellWhoseTokenizersCountedIt() {
        Corpus bundled = corpora.find("kjv-test", "default").orElseThrow();
        String tokenizer = number + "0".repeat(56);
        corpora.counted(bundled, tokenizer, 42);
        try {
            for (String path : List.of("/v1/corpora", "/v1/corpora/kjv-test")) {
                assertThat(green.get(path).text()).doesNotContain(tokenizer);
                assertThat(all.get(path).text()).contains(tokenizer);
            }
        } finally {
            jdbc.update("delete from corpus_tokens where tokenizer_sha256 = ?", tokenizer);
        }
    }
}
