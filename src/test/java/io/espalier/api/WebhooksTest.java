package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;

import io.espalier.artifact.Artifacts;
import io.espalier.catalog.ScoreSets;
import io.espalier.job.PruningJobs;
import io.espalier.security.Role;
import io.espalier.webhook.Receiver;
import io.micrometer.core.instrument.MeterRegistry;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.context.SmartLifecycle;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.support.TransactionTemplate;
import tools.jackson.databind.JsonNode;

/** Real receivers on loopback, which is allowed in these tests. Each test has a project of its own. */
@ApiTest
class WebhooksTest {

    private static final String HOOKS = "/v1/webhooks";
    private static final String EVERY = "\"events\": [\"job.queued\", \"job.running\", \"job.paused\", \"job.cancelling\", \"job.cancelled\", "
            + "\"job.succeeded\", \"job.failed\"]";

    private final Api api;
    private final Runs runs;
    private final PruningJobs jobs;
    private final JdbcTemplate jdbc;
    private final WebhookController controller;
    private final MeterRegistry meters;
    private final SmartLifecycle courier;
    private final String project = "p-" + UUID.randomUUID();

    WebhooksTest(@LocalServerPort int port, PruningJobs jobs, Artifacts artifacts, ScoreSets scores, TransactionTemplate transaction,
            JdbcTemplate jdbc, WebhookController controller, MeterRegistry meters, @Qualifier("courier") SmartLifecycle courier) {
        this.api = new Api(port);
        this.runs = new Runs(jobs, artifacts, scores, transaction);
        this.jobs = jobs;
        this.jdbc = jdbc;
        this.controller = controller;
        this.meters = meters;
        this.courier = courier;
    }

    private Api.Answer send(String method, String path, String json) {
        return api.send(method, path, json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json");
    }

    /** A webhook of this test's project. */
    private JsonNode hook(String url, String more) {
        Api.Answer made = send("POST", HOOKS, "{\"url\": \"" + url + "\", \"project\": \"" + project + "\"" + more + "}");
        assertThat(made.status()).as(made.text()).isEqualTo(201);
        return made.json();
    }

    private static String id(JsonNode thing) {
        return thing.path("id").stringValue();
    }

    private String order() {
        return api.ordered(Posted.SHORTEST.replaceFirst("\\{", "{\"project\": \"" + project + "\", "));
    }

    private JsonNode deliveries(JsonNode hook) {
        return api.get(HOOKS + "/" + id(hook) + "/deliveries").json().path("items");
    }

    private JsonNode only(JsonNode hook) {
        assertThat(deliveries(hook)).hasSize(1);
        return deliveries(hook).get(0);
    }

    private static ConditionFactory soon() {
        return await().atMost(Duration.ofSeconds(60));
    }

    private static List<Receiver.Received> told(Receiver receiver, int messages) {
        soon().until(() -> receiver.received().size() >= messages);
        return receiver.received();
    }

    private void awaitState(JsonNode hook, String state) {
        soon().until(() -> deliveries(hook).valueStream()
                .allMatch(delivery -> delivery.path("state").stringValue().equals(state)));
    }

    @Test
    void every_state_is_told_with_the_body_that_a_get_gave_then() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 204)) {
            JsonNode hook = hook(receiver.url(), ", " + EVERY);
            String job = order();
            Map<String, byte[]> gets = new TreeMap<>();
            gets.put("io.espalier.job.queued", api.get("/v1/pruning-jobs/" + job).body());
            api.send("POST", "/v1/pruning-jobs/" + job + "/pause", null);
            gets.put("io.espalier.job.paused", api.get("/v1/pruning-jobs/" + job).body());
            api.send("POST", "/v1/pruning-jobs/" + job + "/cancel", null);
            gets.put("io.espalier.job.cancelled", api.get("/v1/pruning-jobs/" + job).body());
            told(receiver, 3);

            for (Receiver.Received told : receiver.received()) {
                assertThat(told.body()).as(told.header("ce-type")).isEqualTo(gets.get(told.header("ce-type")));
                assertThat(told.signedBy(hook.path("secret").stringValue())).isTrue();
                assertThat(told.signedBy("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).isFalse();
                assertThat(told.header("ce-specversion")).isEqualTo("1.0");
                assertThat(told.header("ce-source")).isEqualTo("/espalier");
                assertThat(told.header("ce-subject")).isEqualTo(job);
                assertThat(told.header("Content-Type")).isEqualTo("application/json");
                assertThat(Instant.parse(told.header("ce-time"))).isAfter(Instant.parse("2020-01-01T00:00:00Z"));
            }
            assertThat(receiver.received()).extracting(told -> told.header("ce-type")).as("in order").containsExactly(
                    "io.espalier.job.queued", "io.espalier.job.paused", "io.espalier.job.cancelled");
            assertThat(receiver.received()).extracting(told -> told.header("ce-sequence")).containsExactly("1", "2", "3");
            assertThat(receiver.received()).extracting(told -> told.header("ce-id")).doesNotHaveDuplicates();
            awaitState(hook, "delivered");
            assertThat(receiver.received()).extracting(told -> told.header("webhook-id"))
                    .containsExactlyInAnyOrderElementsOf(deliveries(hook).valueStream().map(WebhooksTest::id).toList());
        }
    }

    @Test
    void a_success_is_told_whole_and_only_ends_are_told_where_nothing_is_asked_for() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hook(receiver.url(), "");
            assertThat(hook.path("events").toString()).isEqualTo("[\"job.cancelled\",\"job.succeeded\",\"job.failed\"]");
            String job = order();
            String artifact = runs.succeed(job);
            byte[] get = api.get("/v1/pruning-jobs/" + job).body();
            Receiver.Received told = told(receiver, 1).getFirst();

            assertThat(told.body()).isEqualTo(get);
            assertThat(told.text()).contains(artifact, "\"state\":\"succeeded\"");
            assertThat(told.header("ce-type")).isEqualTo("io.espalier.job.succeeded");
            awaitState(hook, "delivered");
            assertThat(only(hook).path("job_id").stringValue()).isEqualTo(job);
        }
    }

    @Test
    void jobs_of_another_project_are_not_told() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hook(receiver.url(), ", " + EVERY);
            jobs.cancel(api.ordered(Posted.SHORTEST));
            String own = order();

            assertThat(told(receiver, 1)).extracting(told -> told.header("ce-subject")).containsOnly(own);
            assertThat(deliveries(hook)).extracting(delivery -> delivery.path("job_id").stringValue()).containsOnly(own);
        }
    }

    @Test
    void a_receiver_that_fails_twice_is_tried_again_with_the_same_message() throws Exception {
        try (Receiver receiver = new Receiver((number, _) -> number < 3 ? 500 : 200)) {
            JsonNode hook = hook(receiver.url(), "");
            jobs.cancel(order());
            told(receiver, 3);
            awaitState(hook, "delivered");
            JsonNode attempts = only(hook).path("attempts");

            assertThat(attempts).extracting(attempt -> attempt.path("status").intValue()).containsExactly(500, 500, 200);
            assertThat(attempts).extracting(attempt -> attempt.path("error").asString("none"))
                    .containsExactly("answered 500 (expected: 200 to 299)", "answered 500 (expected: 200 to 299)", "none");
            assertThat(receiver.received()).extracting(told -> told.header("webhook-id")).containsOnly(id(only(hook)));
            assertThat(receiver.received()).extracting(Receiver.Received::text).containsOnly(receiver.received().getFirst().text());
            assertThat(receiver.received()).allMatch(told -> told.signedBy(hook.path("secret").stringValue()));
            assertThat(api.get(HOOKS + "/" + id(hook)).json().path("failing_since").isNull()).isTrue();
        }
    }

    @Test
    void a_receiver_that_is_gone_is_not_told_any_more() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 410)) {
            JsonNode hook = hook(receiver.url(), "");
            jobs.cancel(order());
            awaitState(hook, "failed");
            soon().until(() -> !api.get(HOOKS + "/" + id(hook)).json().path("enabled").booleanValue());
            jobs.cancel(order());

            assertThat(api.get(HOOKS + "/" + id(hook)).json().path("disabled_reason").stringValue()).isEqualTo("gone");
            assertThat(deliveries(hook)).hasSize(1);
            Api.Answer again = api.send("POST", only(hook).path("links").path("redeliver").stringValue(), null);
            assertThat(again.status()).isEqualTo(409);
            assertThat(again.code()).isEqualTo("webhook_state");
        }
    }

    @Test
    void a_redirect_is_a_failure_and_is_not_followed() throws Exception {
        try (Receiver inside = new Receiver((_, _) -> 200); Receiver receiver = new Receiver((_, headers) -> {
            headers.add("Location", inside.url());
            return 307;
        })) {
            JsonNode hook = hook(receiver.url(), "");
            jobs.cancel(order());
            told(receiver, 3);
            soon().until(() -> only(hook).path("attempts").size() == 3);

            assertThat(only(hook).at("/attempts/0/error").stringValue()).contains("307", "not followed");
            assertThat(inside.received()).isEmpty();
            assertThat(only(hook).path("state").stringValue()).isEqualTo("pending");
            assertThat(api.get(HOOKS + "/" + id(hook)).json().path("failing_since").isNull()).isFalse();
        }
    }

    @Test
    void a_receiver_that_asks_for_time_gets_it() throws Exception {
        try (Receiver receiver = new Receiver((_, headers) -> {
            headers.add("Retry-After", "3600");
            return 503;
        })) {
            JsonNode hook = hook(receiver.url(), "");
            jobs.cancel(order());
            soon().until(() -> only(hook).path("attempts").size() == 1);
            JsonNode told = only(hook);

            assertThat(Instant.parse(told.path("next_try_at").stringValue()))
                    .isAfter(Instant.parse(told.at("/attempts/0/at").stringValue()).plusSeconds(3000));
        }
    }

    @Test
    void a_receiver_that_hangs_holds_up_nobody_else() throws Exception {
        CountDownLatch end = new CountDownLatch(1);
        try (Receiver hangs = new Receiver((_, _) -> {
            end.await();
            return 200;
        }); Receiver other = new Receiver((_, _) -> 200)) {
            JsonNode dead = hook(hangs.url(), "");
            hook(other.url(), "");
            for (int i = 0; i < 6; i++) {
                jobs.cancel(order());
            }
            told(other, 6);

            assertThat(deliveries(dead)).hasSize(6).allMatch(delivery -> delivery.path("state").stringValue().equals("pending"));
        } finally {
            end.countDown();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"http://10.0.0.1/hook/secret-token", "https://169.254.169.254/secret-token",
            "https://[fd00:ec2::254]/secret-token",
            "https://user:secret-token@10.1.1.1/", "https://2130706433/secret-token", "gopher://127.0.0.1/secret-token",
            "https://10.0.0.1:22/?k=secret-token", "no url secret-token"})
    void an_address_that_is_not_allowed_is_refused_without_repeating_what_may_be_a_secret(String url) {
        Api.Answer answer = send("POST", HOOKS, "{\"url\": \"" + url + "\", \"project\": \"" + project + "\"}");

        assertThat(answer.status()).isEqualTo(422);
        assertThat(answer.code()).isEqualTo("invalid_webhook");
        assertThat(answer.violations()).containsOnlyKeys("url");
        assertThat(answer.text()).doesNotContain("/secret-token", "user:secret-token", "k=secret-token");
        assertThat(jdbc.queryForObject("select count(*) from webhook where project = ?", Integer.class, project)).isZero();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {}                                                           | url
            {"url": 7}                                                   | url
            {"url": "http://127.0.0.1/", "events": []}                   | events
            {"url": "http://127.0.0.1/", "events": ["job.eaten"]}        | events[0]
            {"url": "http://127.0.0.1/", "events": ["webhook.test"]}     | events[0]
            {"url": "http://127.0.0.1/", "secret": "mine"}               | secret
            {"url": "http://127.0.0.1/", "project": "Not a project"}     | project
            {"url": "http://127.0.0.1/", "secret_ref": "../../etc/hosts"} | secret_ref
            {"url": "http://127.0.0.1/", "secret_ref": "nothing"}        | secret_ref
            """)
    void what_else_is_wrong_is_refused_by_name(String json, String field) {
        Api.Answer answer = send("POST", HOOKS, json);

        assertThat(answer.status()).isEqualTo(422);
        assertThat(answer.violations()).containsOnlyKeys(field);
    }

    @Test
    void the_secret_is_told_once_and_stands_in_no_row() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hook(receiver.url(), "");
            String secret = hook.path("secret").stringValue();

            assertThat(secret).startsWith("whsec_");
            assertThat(api.get(HOOKS + "/" + id(hook)).text()).doesNotContain("\"secret\"", secret);
            assertThat(api.get(HOOKS).text()).doesNotContain("\"secret\"", secret);
            String row = jdbc.queryForObject("select w::text || encode(secret, 'escape') from webhook w where id = ?", String.class,
                    id(hook));
            assertThat(row).contains(receiver.url()).doesNotContain(secret.substring(6));
        }
    }

    @Test
    void after_a_rotation_both_secrets_sign_for_a_while() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hook(receiver.url(), "");
            Api.Answer rotated = api.send("POST", HOOKS + "/" + id(hook) + "/rotate-secret", null);
            String fresh = rotated.json().path("secret").stringValue();
            assertThat(rotated.json().path("previous_secret_until").isString()).isTrue();
            api.send("POST", HOOKS + "/" + id(hook) + "/test", null);
            Receiver.Received told = told(receiver, 1).getFirst();
            assertThat(told.signedBy(fresh)).isTrue();
            assertThat(told.signedBy(hook.path("secret").stringValue())).isTrue();

            jdbc.update("update webhook set previous_until = now() - interval '1 minute' where id = ?", id(hook));
            api.send("POST", HOOKS + "/" + id(hook) + "/test", null);
            Receiver.Received later = told(receiver, 2).getLast();
            assertThat(later.signedBy(fresh)).isTrue();
            assertThat(later.signedBy(hook.path("secret").stringValue())).isFalse();
            assertThat(api.get(HOOKS + "/" + id(hook)).json().path("previous_secret_until").isNull()).isTrue();
        }
    }

    @Test
    void a_secret_in_a_file_signs_and_is_rotated_there() throws Exception {
        String secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        Path directory = Files.createDirectories(Path.of("target/api-test/secrets", project));
        Files.writeString(directory.resolve("pager"), secret + "\n");
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hook(receiver.url(), ", \"secret_ref\": \"pager\"");
            assertThat(hook.has("secret")).isFalse();
            assertThat(hook.path("secret_ref").stringValue()).isEqualTo("pager");
            jobs.cancel(order());

            assertThat(told(receiver, 1).getFirst().signedBy(secret)).isTrue();
            Api.Answer rotated = api.send("POST", HOOKS + "/" + id(hook) + "/rotate-secret", null);
            assertThat(rotated.status()).isEqualTo(409);
            assertThat(rotated.code()).isEqualTo("webhook_state");
        }
    }

    /** As a test context is put to rest and woken. */
    @Test
    void who_was_stopped_and_started_again_sends_as_before() throws Exception {
        courier.stop();
        courier.start();
        courier.stop();
        courier.start();
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hook(receiver.url(), "");
            double delivered = counted("delivered");
            assertThat(api.send("POST", HOOKS + "/" + id(hook) + "/test", null).status()).isEqualTo(202);
            told(receiver, 1);
            awaitState(hook, "delivered");
            soon().until(() -> counted("delivered") > delivered);
        }
    }

    private double counted(String outcome) {
        return meters.get("espalier.webhook.deliveries").tag("outcome", outcome).counter().count();
    }

    @Test
    void what_does_not_arrive_is_counted_as_pending_and_then_as_failed() throws Exception {
        double pending = counted("pending");
        double failed = counted("failed");
        try (Receiver receiver = new Receiver((_, _) -> 410)) {
            JsonNode hook = hook(receiver.url(), "");
            api.send("POST", HOOKS + "/" + id(hook) + "/test", null);
            soon().until(() -> counted("failed") > failed);
        }
        try (Receiver receiver = new Receiver((_, _) -> 500)) {
            JsonNode hook = hook(receiver.url(), "");
            api.send("POST", HOOKS + "/" + id(hook) + "/test", null);
            soon().until(() -> counted("pending") > pending);
        }
    }

    @Test
    void a_test_arrives_also_where_the_webhook_is_disabled() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hook(receiver.url(), "");
            send("PATCH", HOOKS + "/" + id(hook), "{\"enabled\": false}");
            Api.Answer test = api.send("POST", HOOKS + "/" + id(hook) + "/test", null);
            assertThat(test.status()).isEqualTo(202);
            Receiver.Received told = told(receiver, 1).getFirst();

            assertThat(told.header("webhook-id")).isEqualTo(id(test.json()));
            assertThat(told.header("ce-type")).isEqualTo("io.espalier.webhook.test");
            assertThat(told.text()).isEqualTo("{\"type\":\"webhook.test\",\"webhook\":\"" + id(hook) + "\"}");
            assertThat(told.signedBy(hook.path("secret").stringValue())).isTrue();
        }
    }

    @Test
    void what_arrived_is_sent_again_when_somebody_asks_for_it() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hook(receiver.url(), "");
            jobs.cancel(order());
            told(receiver, 1);
            awaitState(hook, "delivered");
            Api.Answer again = api.send("POST", only(hook).path("links").path("redeliver").stringValue(), null);
            assertThat(again.status()).isEqualTo(202);
            told(receiver, 2);
            awaitState(hook, "delivered");

            assertThat(receiver.received()).extracting(told -> told.header("webhook-id")).containsOnly(id(only(hook)));
            assertThat(receiver.received().getLast().body()).isEqualTo(receiver.received().getFirst().body());
            assertThat(only(hook).path("attempts")).extracting(attempt -> attempt.path("number").intValue()).containsExactly(1, 2);
            Api.Answer unknown = api.send("POST", HOOKS + "/" + id(hook) + "/deliveries/dlv_nothing/redeliver", null);
            assertThat(unknown.status()).isEqualTo(404);
            assertThat(unknown.code()).isEqualTo("delivery_not_found");
        }
    }

    @Test
    void it_can_be_changed_disabled_enabled_and_deleted() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hook(receiver.url() + "/elsewhere", "");
            Api.Answer changed = send("PATCH", HOOKS + "/" + id(hook), "{\"url\": \"" + receiver.url()
                    + "\", \"events\": [\"job.queued\", \"job.queued\"], \"description\": \"for the tests\"}");
            assertThat(changed.json().path("events").toString()).isEqualTo("[\"job.queued\"]");
            assertThat(changed.json().path("description").stringValue()).isEqualTo("for the tests");
            assertThat(send("PATCH", HOOKS + "/" + id(hook), "{\"url\": \"http://10.0.0.1/\"}").status()).isEqualTo(422);
            Api.Answer disabled = send("PATCH", HOOKS + "/" + id(hook), "{\"enabled\": false}");
            assertThat(disabled.json().path("disabled_reason").stringValue()).isEqualTo("client");
            order();
            assertThat(deliveries(hook)).isEmpty();
            send("PATCH", HOOKS + "/" + id(hook), "{\"enabled\": true}");
            order();
            assertThat(told(receiver, 1).getFirst().path()).isEqualTo("/hook");

            assertThat(api.send("DELETE", HOOKS + "/" + id(hook), null).status()).isEqualTo(204);
            assertThat(api.get(HOOKS + "/" + id(hook)).code()).isEqualTo("webhook_not_found");
            assertThat(api.send("DELETE", HOOKS + "/" + id(hook), null).status()).isEqualTo(404);
            assertThat(api.get(HOOKS + "/" + id(hook) + "/deliveries").status()).isEqualTo(404);
        }
    }

    @Test
    void lists_come_in_pages_and_by_state() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hook(receiver.url(), "");
            List<String> orders = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                orders.add(order());
                jobs.cancel(orders.getLast());
            }
            awaitState(hook, "delivered");
            String path = HOOKS + "/" + id(hook) + "/deliveries?state=delivered&limit=2";
            List<String> seen = new ArrayList<>();
            String cursor = "";
            while (cursor != null) {
                JsonNode page = api.get(path + (cursor.isEmpty() ? "" : "&cursor=" + cursor)).json();
                page.path("items").forEach(item -> seen.add(item.path("job_id").stringValue()));
                cursor = page.path("next_cursor").isNull() ? null : page.path("next_cursor").stringValue();
            }

            assertThat(seen).isEqualTo(orders.reversed());
            assertThat(api.get(HOOKS + "/" + id(hook) + "/deliveries?state=failed").json().path("items")).isEmpty();
            assertThat(api.get(HOOKS + "/" + id(hook) + "/deliveries?state=eaten").status()).isEqualTo(400);
            assertThat(api.get(HOOKS + "/" + id(hook) + "/deliveries?cursor=eaten").code()).isEqualTo("invalid_cursor");
            Set<String> ids = api.get(HOOKS + "?limit=200").json().path("items").valueStream().map(WebhooksTest::id)
                    .collect(Collectors.toSet());
            assertThat(ids).contains(id(hook));
        }
    }

    @Test
    void what_is_another_projects_is_not_there() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            String id = id(hook(receiver.url(), ""));
            Caller stranger = new Caller("stranger", "another", Role.SUBMITTER);
            Caller owner = new Caller("owner", project, Role.SUBMITTER);

            assertThat(controller.get(id, owner).getBody().id()).isEqualTo(id);
            assertThat(controller.list(null, 50, owner).getBody().items()).extracting(WebhookView::id).containsExactly(id);
            assertThat(controller.list(null, 50, stranger).getBody().items()).isEmpty();
            for (org.assertj.core.api.ThrowableAssert.ThrowingCallable asked : List.<org.assertj.core.api.ThrowableAssert.ThrowingCallable>of(
                    () -> controller.get(id, stranger),
                    () -> controller.rotate(id, stranger), () -> controller.test(id, stranger), () -> controller.delete(id, stranger),
                    () -> controller.deliveries(id, null, null, 50, stranger), () -> controller.redeliver(id, "dlv_x", stranger))) {
                assertThatThrownBy(asked).isInstanceOf(ProblemException.class).hasMessage("no webhook has the id " + id)
                        .extracting(e -> ((ProblemException) e).code()).isEqualTo(ProblemCode.WEBHOOK_NOT_FOUND);
            }
        }
    }
}
