package io.espalier.api;

import static io.espalier.api.Hooks.HOOKS;
import static io.espalier.api.Hooks.id;
import static io.espalier.api.Hooks.told;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;

import io.espalier.job.PruningJobs;
import io.espalier.security.Role;
import io.espalier.webhook.Receiver;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.jdbc.core.JdbcTemplate;
import tools.jackson.databind.JsonNode;

/** Webhooks as clients keep them: made, refused, changed, listed, and their secrets. Each test has a project of its own. */
@ApiTest
class WebhooksTest {

    private final String project = "p-" + UUID.randomUUID();
    private final Api api;
    private final Hooks hooks;
    private final PruningJobs jobs;
    private final JdbcTemplate jdbc;
    private final WebhookController controller;

    WebhooksTest(@LocalServerPort int port, PruningJobs jobs, JdbcTemplate jdbc, WebhookController controller) {
        this.api = new Api(port);
        this.hooks = new Hooks(api, project);
        this.jobs = jobs;
        this.jdbc = jdbc;
        this.controller = controller;
    }

    @ParameterizedTest
    @ValueSource(strings = {"http://10.0.0.1/hook/secret-token", "https://169.254.169.254/secret-token",
            "https://[fd00:ec2::254]/secret-token",
            "https://user:secret-token@10.1.1.1/", "https://2130706433/secret-token", "gopher://127.0.0.1/secret-token",
            "https://10.0.0.1:22/?k=secret-token", "no url secret-token"})
    void an_address_that_is_not_allowed_is_refused_without_repeating_what_may_be_a_secret(String url) {
        Api.Answer answer = hooks.send("POST", HOOKS, "{\"url\": \"" + url + "\", \"project\": \"" + project + "\"}");

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
        Api.Answer answer = hooks.send("POST", HOOKS, json);

        assertThat(answer.status()).isEqualTo(422);
        assertThat(answer.violations()).containsOnlyKeys(field);
    }

    @Test
    void the_secret_is_told_once_and_stands_in_no_row() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hooks.hook(receiver.url(), "");
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
            JsonNode hook = hooks.hook(receiver.url(), "");
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
            JsonNode hook = hooks.hook(receiver.url(), ", \"secret_ref\": \"pager\"");
            assertThat(hook.has("secret")).isFalse();
            assertThat(hook.path("secret_ref").stringValue()).isEqualTo("pager");
            jobs.cancel(hooks.order());

            assertThat(told(receiver, 1).getFirst().signedBy(secret)).isTrue();
            Api.Answer rotated = api.send("POST", HOOKS + "/" + id(hook) + "/rotate-secret", null);
            assertThat(rotated.status()).isEqualTo(409);
            assertThat(rotated.code()).isEqualTo("webhook_state");
        }
    }

    @Test
    void it_can_be_changed_disabled_enabled_and_deleted() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            JsonNode hook = hooks.hook(receiver.url() + "/elsewhere", "");
            Api.Answer changed = hooks.send("PATCH", HOOKS + "/" + id(hook), "{\"url\": \"" + receiver.url()
                    + "\", \"events\": [\"job.queued\", \"job.queued\"], \"description\": \"for the tests\"}");
            assertThat(changed.json().path("events").toString()).isEqualTo("[\"job.queued\"]");
            assertThat(changed.json().path("description").stringValue()).isEqualTo("for the tests");
            assertThat(hooks.send("PATCH", HOOKS + "/" + id(hook), "{\"url\": \"http://10.0.0.1/\"}").status()).isEqualTo(422);
            Api.Answer disabled = hooks.send("PATCH", HOOKS + "/" + id(hook), "{\"enabled\": false}");
            assertThat(disabled.json().path("disabled_reason").stringValue()).isEqualTo("client");
            hooks.order();
            assertThat(hooks.deliveries(hook)).isEmpty();
            hooks.send("PATCH", HOOKS + "/" + id(hook), "{\"enabled\": true}");
            hooks.order();
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
            JsonNode hook = hooks.hook(receiver.url(), "");
            List<String> orders = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                orders.add(hooks.order());
                jobs.cancel(orders.getLast());
            }
            hooks.awaitState(hook, "delivered");
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
            Set<String> ids = api.get(HOOKS + "?limit=200").json().path("items").valueStream().map(Hooks::id)
                    .collect(Collectors.toSet());
            assertThat(ids).contains(id(hook));
        }
    }

    @Test
    void what_is_another_projects_is_not_there() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 200)) {
            String id = id(hooks.hook(receiver.url(), ""));
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
