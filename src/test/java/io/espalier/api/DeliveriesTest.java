package io.espalier.api;

import static io.espalier.api.Hooks.EVERY;
import static io.espalier.api.Hooks.HOOKS;
import static io.espalier.api.Hooks.id;
import static io.espalier.api.Hooks.soon;
import static io.espalier.api.Hooks.told;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;

import io.espalier.job.PruningJobs;
import io.espalier.webhook.Receiver;
import io.micrometer.core.instrument.MeterRegistry;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.context.SmartLifecycle;
import tools.jackson.databind.JsonNode;

/** What webhooks are told, and what becomes of it where nobody hears: real receivers on loopback, which is allowed here, and a project for each test. */
@ApiTest
class DeliveriesTest {

    private final Api api;
    private final Hooks hooks;
    private final Runs runs;
    private final PruningJobs jobs;
    private final MeterRegistry meters;
    private final SmartLifecycle courier;

    DeliveriesTest(@LocalServerPort int port, Runs runs, PruningJobs jobs, MeterRegistry meters,
            @Qualifier("courier") SmartLifecycle courier) {
        this.api = new Api(port);
        this.hooks = new Hooks(api, "p-" + UUID.randomUUID());
        this.runs = runs;
        this.jobs = jobs;
        this.meters = meters;
        this.courier = courier;
    }

    @Test
    void every_state_is_told_with_the_body_that_a_get_gave_then() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 204)) {
            JsonNode hook = hooks.hook(receiver.url(), ", " + EVERY);
            String job = hooks.order();
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
            hooks.awaitState(hook, "delivered");
            assertThat(receiver.received()).extracting(told -> told.header("webhook-id"))
                    .containsExactlyInAnyOrderElementsOf(hooks.deliveries(hook).valueStream().map(Hooks::id).toList());
        }
    }

    @Test
    void a_success_is_told_whole_and_only_ends_are_told_where_nothing_is_asked_for() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hooks.hook(receiver.url(), "");
            assertThat(hook.path("events").toString()).isEqualTo("[\"job.cancelled\",\"job.succeeded\",\"job.failed\"]");
            String job = hooks.order();
            String artifact = runs.succeed(job);
            byte[] get = api.get("/v1/pruning-jobs/" + job).body();
            Receiver.Received told = told(receiver, 1).getFirst();

            assertThat(told.body()).isEqualTo(get);
            assertThat(told.text()).contains(artifact, "\"state\":\"succeeded\"");
            assertThat(told.header("ce-type")).isEqualTo("io.espalier.job.succeeded");
            hooks.awaitState(hook, "delivered");
            assertThat(hooks.only(hook).path("job_id").stringValue()).isEqualTo(job);
        }
    }

    @Test
    void jobs_of_another_project_are_not_told() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hooks.hook(receiver.url(), ", " + EVERY);
            jobs.cancel(api.ordered(Posted.SHORTEST));
            String own = hooks.order();

            assertThat(told(receiver, 1)).extracting(told -> told.header("ce-subject")).containsOnly(own);
            assertThat(hooks.deliveries(hook)).extracting(delivery -> delivery.path("job_id").stringValue()).containsOnly(own);
        }
    }

    @Test
    void a_receiver_that_fails_twice_is_tried_again_with_the_same_message() throws Exception {
        try (Receiver receiver = new Receiver((number, _) -> number < 3 ? 500 : 200)) {
            JsonNode hook = hooks.hook(receiver.url(), "");
            jobs.cancel(hooks.order());
            told(receiver, 3);
            hooks.awaitState(hook, "delivered");
            JsonNode attempts = hooks.only(hook).path("attempts");

            assertThat(attempts).extracting(attempt -> attempt.path("status").intValue()).containsExactly(500, 500, 200);
            assertThat(attempts).extracting(attempt -> attempt.path("error").asString("none"))
                    .containsExactly("answered 500 (expected: 200 to 299)", "answered 500 (expected: 200 to 299)", "none");
            assertThat(receiver.received()).extracting(told -> told.header("webhook-id")).containsOnly(id(hooks.only(hook)));
            assertThat(receiver.received()).extracting(Receiver.Received::text).containsOnly(receiver.received().getFirst().text());
            assertThat(receiver.received()).allMatch(told -> told.signedBy(hook.path("secret").stringValue()));
            assertThat(api.get(HOOKS + "/" + id(hook)).json().path("failing_since").isNull()).isTrue();
        }
    }

    @Test
    void a_receiver_that_is_gone_is_not_told_any_more() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 410)) {
            JsonNode hook = hooks.hook(receiver.url(), "");
            jobs.cancel(hooks.order());
            hooks.awaitState(hook, "failed");
            soon().until(() -> !api.get(HOOKS + "/" + id(hook)).json().path("enabled").booleanValue());
            jobs.cancel(hooks.order());

            assertThat(api.get(HOOKS + "/" + id(hook)).json().path("disabled_reason").stringValue()).isEqualTo("gone");
            assertThat(hooks.deliveries(hook)).hasSize(1);
            Api.Answer again = api.send("POST", hooks.only(hook).path("links").path("redeliver").stringValue(), null);
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
            JsonNode hook = hooks.hook(receiver.url(), "");
            jobs.cancel(hooks.order());
            told(receiver, 3);
            soon().until(() -> hooks.only(hook).path("attempts").size() == 3);

            assertThat(hooks.only(hook).at("/attempts/0/error").stringValue()).contains("307", "not followed");
            assertThat(inside.received()).isEmpty();
            assertThat(hooks.only(hook).path("state").stringValue()).isEqualTo("pending");
            assertThat(api.get(HOOKS + "/" + id(hook)).json().path("failing_since").isNull()).isFalse();
        }
    }

    @Test
    void a_receiver_that_asks_for_time_gets_it() throws Exception {
        try (Receiver receiver = new Receiver((_, headers) -> {
            headers.add("Retry-After", "3600");
            return 503;
        })) {
            JsonNode hook = hooks.hook(receiver.url(), "");
            jobs.cancel(hooks.order());
            soon().until(() -> hooks.only(hook).path("attempts").size() == 1);
            JsonNode told = hooks.only(hook);

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
            JsonNode dead = hooks.hook(hangs.url(), "");
            hooks.hook(other.url(), "");
            for (int i = 0; i < 6; i++) {
                jobs.cancel(hooks.order());
            }
            told(other, 6);

            assertThat(hooks.deliveries(dead)).hasSize(6).allMatch(delivery -> delivery.path("state").stringValue().equals("pending"));
        } finally {
            end.countDown();
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
            JsonNode hook = hooks.hook(receiver.url(), "");
            double delivered = counted("delivered");
            assertThat(api.send("POST", HOOKS + "/" + id(hook) + "/test", null).status()).isEqualTo(202);
            told(receiver, 1);
            hooks.awaitState(hook, "delivered");
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
            JsonNode hook = hooks.hook(receiver.url(), "");
            api.send("POST", HOOKS + "/" + id(hook) + "/test", null);
            soon().until(() -> counted("failed") > failed);
        }
        try (Receiver receiver = new Receiver((_, _) -> 500)) {
            JsonNode hook = hooks.hook(receiver.url(), "");
            api.send("POST", HOOKS + "/" + id(hook) + "/test", null);
            soon().until(() -> counted("pending") > pending);
        }
    }

    @Test
    void a_test_arrives_also_where_the_webhook_is_disabled() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hooks.hook(receiver.url(), "");
            hooks.send("PATCH", HOOKS + "/" + id(hook), "{\"enabled\": false}");
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
            JsonNode hook = hooks.hook(receiver.url(), "");
            jobs.cancel(hooks.order());
            told(receiver, 1);
            hooks.awaitState(hook, "delivered");
            Api.Answer again = api.send("POST", hooks.only(hook).path("links").path("redeliver").stringValue(), null);
            assertThat(again.status()).isEqualTo(202);
            told(receiver, 2);
            hooks.awaitState(hook, "delivered");

            assertThat(receiver.received()).extracting(told -> told.header("webhook-id")).containsOnly(id(hooks.only(hook)));
            assertThat(receiver.received().getLast().body()).isEqualTo(receiver.received().getFirst().body());
            assertThat(hooks.only(hook).path("attempts")).extracting(attempt -> attempt.path("number").intValue()).containsExactly(1, 2);
            Api.Answer unknown = api.send("POST", HOOKS + "/" + id(hook) + "/deliveries/dlv_nothing/redeliver", null);
            assertThat(unknown.status()).isEqualTo(404);
            assertThat(unknown.code()).isEqualTo("delivery_not_found");
        }
    }
}
