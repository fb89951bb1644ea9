package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

import io.espalier.catalog.Catalog;
import io.espalier.job.PruningJobs;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Violation;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;
import tools.jackson.databind.json.JsonMapper;

/** Who deletes what is being ordered at the same moment either comes first, and the order is refused, or learns of the job. */
@ApiTest
class DeletedWhileOrderedTest {

    private static final Path MODEL = Path.of("target", "api-test", "root", "ordered").toAbsolutePath();

    private final Api api;
    private final Catalog catalog;
    private final PruningJobs jobs;
    private final JdbcTemplate jdbc;
    private final TransactionTemplate transaction;
    private final PruningRecipe recipe = JsonMapper.shared().readValue("""
            {"model": "ordered", "calibration": {"corpus": "ordered", "sequences": 1, "sequence_length": 8}, "budget": {"ratio": 0.5}}""",
            PruningRecipe.class);

    DeletedWhileOrderedTest(@LocalServerPort int port, Catalog catalog, PruningJobs jobs, JdbcTemplate jdbc,
            PlatformTransactionManager transactions) {
        this.api = new Api(port);
        this.catalog = catalog;
        this.jobs = jobs;
        this.jdbc = jdbc;
        this.transaction = new TransactionTemplate(transactions);
    }

    @BeforeEach
    void register() throws IOException {
        Files.createDirectories(MODEL);
        for (String file : List.of("config.json", "model.safetensors")) {
            Files.copy(Path.of("src/main/resources/demo/tiny-qwen2moe").resolve(file), MODEL.resolve(file),
                    StandardCopyOption.REPLACE_EXISTING);
        }
        post("/v1/models", "{\"name\": \"ordered\", \"path\": \"" + MODEL + "\"}");
        post("/v1/corpora", "{\"name\": \"ordered\", \"text\": \"In the beginning\"}");
    }

    private void post(String path, String json) {
        assertThat(api.send("POST", path, json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json").status()).as(json)
                .isEqualTo(201);
    }

    private CompletableFuture<String> deleted(String path) {
        return CompletableFuture.supplyAsync(() -> {
            Api.Answer answer = api.send("DELETE", path, null);
            return answer.status() == 204 ? "deleted" : answer.code();
        }, task -> Thread.ofVirtual().start(task));
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1/models/ordered", "/v1/corpora/ordered"})
    void whoDeletesWaitsForTheOrderAndIsToldOfTheJob(String path) throws Exception {
        List<Violation> found = new ArrayList<>();
        ResolvedInputs inputs = catalog.resolve(recipe, found);
        List<CompletableFuture<String>> delete = new ArrayList<>();
        String job = transaction.execute(_ -> {
            jdbc.execute("set local idle_in_transaction_session_timeout = 0");
            catalog.hold(recipe, inputs, found);
            delete.add(deleted(path));
            // why: it is to have begun before there is a job for others to see
            await().atMost(Duration.ofSeconds(60)).until(() -> jdbc.queryForObject("select count(*) from pg_stat_activity"
                    + " where datname = current_database() and wait_event_type = 'Lock'", Integer.class) > 0);
            return jobs.submit(recipe, inputs).id();
        });

        assertThat(found).isEmpty();
        assertThat(delete.getFirst().get()).endsWith("_in_use");
        jobs.cancel(job);
        assertThat(deleted(path).get()).isEqualTo("deleted");
    }

    @Test
    void whatWasDeletedSinceTheOrderWasReadIsNotOrdered() throws Exception {
        List<Violation> found = new ArrayList<>();
        ResolvedInputs inputs = catalog.resolve(recipe, found);
        assertThat(found).isEmpty();
        assertThat(deleted("/v1/corpora/ordered").get()).isEqualTo("deleted");

        transaction.executeWithoutResult(_ -> catalog.hold(recipe, inputs, found));
        assertThat(found).extracting(Violation::field).containsExactly("calibration.corpus.name");

        post("/v1/corpora", "{\"name\": \"ordered\", \"text\": \"another text\"}");
        found.clear();
        transaction.executeWithoutResult(_ -> catalog.hold(recipe, inputs, found));
        assertThat(found).as("of the same name, and not the same").extracting(Violation::expected)
                .containsExactly("what it was when the order was read; post it again");
    }

    @AfterEach
    void forget() throws Exception {
        deleted("/v1/models/ordered").get();
        deleted("/v1/corpora/ordered").get();
    }
}
