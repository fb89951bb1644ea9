package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import javax.sql.DataSource;

import io.espalier.job.Housekeeping;
import io.espalier.job.PruningJobs;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.jdbc.core.JdbcTemplate;

@ApiTest
class IdempotencyTest {

    private static final String JOBS = "/v1/pruning-jobs";

    private final Api api;
    private final PruningJobs jobs;
    private final Housekeeping house;
    private final JdbcTemplate jdbc;
    private final DataSource database;
    private final String key = UUID.randomUUID().toString();

    IdempotencyTest(@LocalServerPort int port, PruningJobs jobs, Housekeeping house, JdbcTemplate jdbc, DataSource database) {
        this.api = new Api(port);
        this.jobs = jobs;
        this.house = house;
        this.jdbc = jdbc;
        this.database = database;
    }

    @Test
    void the_same_key_and_body_is_the_same_job_as_it_stands() {
        Api.Answer first = order(key, Posted.COMPLETE);
        jobs.cancel(id(first));
        Api.Answer again = order(key, Posted.COMPLETE);

        assertThat(first.header("Idempotency-Replayed")).isNull();
        assertThat(again.status()).isEqualTo(202);
        assertThat(again.header("Idempotency-Replayed")).isEqualTo("true");
        assertThat(again.header("Location")).isEqualTo(first.header("Location"));
        assertThat(again.json().path("state").stringValue()).isEqualTo("cancelled");
        assertThat(id(order(UUID.randomUUID().toString(), Posted.COMPLETE))).as("another key").isNotEqualTo(id(first));
    }

    @Test
    void a_body_in_another_spelling_is_the_same_body() {
        String spelled = Posted.COMPLETE.replace("0.250", "0.25").replace("\"sequences\": 4, \"sequence_length\": 32",
                "\"sequence_length\": 32,\n \"sequences\": 4");

        assertThat(id(order(key, spelled))).isEqualTo(id(order(key, Posted.COMPLETE)));
    }

    @Test
    void fifty_posts_at_once_make_one_job() throws Exception {
        long before = jdbc.queryForObject("select count(*) from pruning_job", Long.class);
        Set<String> ids;
        try (ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Api.Answer>> posts = IntStream.range(0, 50).mapToObj(_ -> pool.submit(() -> order(key, Posted.SHORTEST))).toList();
            List<Api.Answer> answers = new ArrayList<>();
            for (Future<Api.Answer> post : posts) {
                answers.add(post.get());
            }
            assertThat(answers).extracting(Api.Answer::status).containsOnly(202);
            assertThat(answers).filteredOn(answer -> answer.header("Idempotency-Replayed") == null).hasSize(1);
            ids = answers.stream().map(IdempotencyTest::id).collect(Collectors.toSet());
        }

        assertThat(ids).hasSize(1);
        assertThat(jdbc.queryForObject("select count(*) from pruning_job", Long.class)).isEqualTo(before + 1);
    }

    @Test
    void the_same_key_with_another_body_is_refused_and_orders_nothing() {
        String first = id(order(key, Posted.SHORTEST));
        Api.Answer other = order(key, Posted.SHORTEST.replace("0.25", "0.26"));

        assertThat(other.status()).isEqualTo(422);
        assertThat(other.code()).isEqualTo("idempotency_key_reused");
        assertThat(other.json().path("detail").stringValue()).contains(key, first);
        assertThat(id(order(key, Posted.SHORTEST))).isEqualTo(first);
    }

    @Test
    void a_key_is_another_projects_own() {
        String theirs = Posted.SHORTEST.replaceFirst("\\{", "{\"project\": \"other\", ");

        assertThat(id(order(key, theirs))).isNotEqualTo(id(order(key, Posted.SHORTEST)));
    }

    @Test
    void a_refused_order_leaves_its_key_free() {
        assertThat(order(key, Posted.SHORTEST.replace("0.25", "1.25")).code()).isEqualTo("invalid_recipe");

        assertThat(order(key, Posted.SHORTEST).status()).isEqualTo(202);
    }

    @Test
    void a_post_that_is_being_carried_out_elsewhere_is_a_conflict_and_later_its_job() throws SQLException {
        String job = api.ordered(Posted.SHORTEST);
        try (Connection elsewhere = database.getConnection()) {
            elsewhere.setAutoCommit(false);
            elsewhere.createStatement().execute("insert into idempotency_key values ('default', '" + key + "', repeat('0', 64), '" + job
                    + "', now())");
            Api.Answer waiting = order(key, Posted.SHORTEST);
            assertThat(waiting.status()).isEqualTo(409);
            assertThat(waiting.code()).isEqualTo("idempotency_key_in_flight");
            assertThat(waiting.header("Retry-After")).isEqualTo("1");
            elsewhere.rollback();
        }

        assertThat(order(key, Posted.SHORTEST).status()).isEqualTo(202);
    }

    @Test
    void a_key_is_forgotten_after_its_time_or_with_its_job() {
        String first = id(order(key, Posted.SHORTEST));
        jdbc.update("update idempotency_key set created_at = created_at - interval '25 hours' where key = ?", key);
        String second = id(order(key, Posted.SHORTEST.replace("0.25", "0.5")));
        assertThat(second).isNotEqualTo(first);

        jobs.cancel(second);
        assertThat(api.send("DELETE", JOBS + "/" + second, null).status()).isEqualTo(204);
        assertThat(id(order(key, Posted.SHORTEST))).isNotEqualTo(second);

        jdbc.update("update idempotency_key set created_at = created_at - interval '25 hours' where key = ?", key);
        house.keepHouse();
        assertThat(jdbc.queryForObject("select count(*) from idempotency_key where key = ?", Long.class, key)).isZero();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "two words"})
    void a_key_that_cannot_be_kept_is_refused(String unfit) {
        Api.Answer answer = order(unfit, Posted.SHORTEST);

        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.violations()).containsKey("Idempotency-Key");
    }

    @Test
    void a_key_is_at_most_255_characters_and_given_once() {
        assertThat(order("k".repeat(255), Posted.SHORTEST).status()).isEqualTo(202);
        assertThat(order("k".repeat(256), Posted.SHORTEST).violations()).containsKey("Idempotency-Key");
        assertThat(api.send("POST", JOBS, Posted.SHORTEST.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json",
                "Idempotency-Key", key, "Idempotency-Key", key).violations()).containsEntry("Idempotency-Key",
                        "2 times -> once, 1 to 255 printable ASCII characters without a space");
    }

    private Api.Answer order(String withKey, String json) {
        return api.send("POST", JOBS, json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json", "Idempotency-Key",
                withKey);
    }

    private static String id(Api.Answer answer) {
        return answer.json().path("id").stringValue();
    }
}
