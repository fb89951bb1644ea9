package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;

import org.junit.jupiter.api.Test;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.JsonNode;

/** Webhooks that are posted with a key. Each test has a project of its own. */
@ApiTest
class PostedOnceTest {

    private static final String HOOKS = "/v1/webhooks";

    private final Api api;
    private final String project = "p-" + UUID.randomUUID();
    private final String key = UUID.randomUUID().toString();

    PostedOnceTest(@LocalServerPort int port) {
        this.api = new Api(port);
    }

    private String body(String more) {
        return "{\"url\": \"http://127.0.0.1:9/\", \"project\": \"" + project + "\"" + more + "}";
    }

    private Api.Answer post(String withKey, String json) {
        return api.send("POST", HOOKS, json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json", "Idempotency-Key",
                withKey);
    }

    private static String id(Api.Answer answer) {
        assertThat(answer.status()).as(answer.text()).isEqualTo(201);
        return answer.json().path("id").stringValue();
    }

    private long standing() {
        return api.get(HOOKS + "?limit=200").json().path("items").valueStream()
                .filter(hook -> hook.path("project").stringValue().equals(project)).count();
    }

    @Test
    void theSameKeyAndBodyIsTheSameWebhookAsItStandsWithItsSecret() {
        Api.Answer first = post(key, body(", \"description\": \"mine\""));
        api.send("PATCH", HOOKS + "/" + id(first), "{\"description\": \"still mine\"}".getBytes(StandardCharsets.UTF_8), "Content-Type",
                "application/json");
        Api.Answer again = post(key, body("").replace("}", ", \"description\" :\"mine\"}"));

        assertThat(first.header("Idempotency-Replayed")).isNull();
        assertThat(again.header("Idempotency-Replayed")).isEqualTo("true");
        assertThat(id(again)).isEqualTo(id(first));
        assertThat(again.header("Location")).isEqualTo(first.header("Location"));
        assertThat(again.json().path("secret")).isEqualTo(first.json().path("secret"));
        assertThat(again.json().path("description").stringValue()).isEqualTo("still mine");
        assertThat(id(post(UUID.randomUUID().toString(), body("")))).as("another key").isNotEqualTo(id(first));
        assertThat(standing()).isEqualTo(2);
    }

    @Test
    void theSameKeyWithAnotherBodyIsRefusedAndMakesNothing() {
        String first = id(post(key, body("")));
        Api.Answer other = post(key, body(", \"events\": [\"job.queued\"]"));

        assertThat(other.status()).isEqualTo(422);
        assertThat(other.code()).isEqualTo("idempotency_key_reused");
        assertThat(other.json().path("detail").stringValue()).contains(key, first);
        assertThat(standing()).isEqualTo(1);
    }

    @Test
    void aKeyIsAnotherProjectsOwnAndGoesWithItsWebhook() {
        String first = id(post(key, body("")));
        String elsewhere = id(post(key, body("").replace(project, project + "x")));
        assertThat(elsewhere).isNotEqualTo(first);

        assertThat(api.send("DELETE", HOOKS + "/" + first, null).status()).isEqualTo(204);
        assertThat(id(post(key, body("")))).isNotEqualTo(first);
    }

    @Test
    void aRefusedPostLeavesItsKeyFreeAndAKeyThatCannotBeKeptIsRefused() {
        assertThat(post(key, body("").replace("127.0.0.1", "10.0.0.1")).code()).isEqualTo("invalid_webhook");
        assertThat(post(key, body("")).status()).isEqualTo(201);

        assertThat(post("two words", body("")).violations()).containsKey("Idempotency-Key");
        assertThat(post("k".repeat(256), body("")).violations()).containsKey("Idempotency-Key");
    }

    @Test
    void manyPostsAtOnceMakeOneWebhook() throws Exception {
        List<Api.Answer> answers = atOnce(20, i -> key);

        assertThat(answers).extracting(PostedOnceTest::id).containsOnly(id(answers.getFirst()));
        assertThat(answers).filteredOn(answer -> answer.header("Idempotency-Replayed") == null).hasSize(1);
        assertThat(standing()).isEqualTo(1);
    }

    @Test
    void ofManyAtOnceNoMoreAreMadeThanAProjectMayHave() throws Exception {
        for (int i = 0; i < 45; i++) {
            id(post(key + i, body("")));
        }
        List<Api.Answer> answers = atOnce(20, i -> "late-" + key + i);

        assertThat(answers).filteredOn(answer -> answer.status() == 201).hasSize(5);
        assertThat(answers).filteredOn(answer -> answer.status() != 201).allSatisfy(answer -> {
            assertThat(answer.code()).isEqualTo("invalid_webhook");
            assertThat(answer.violations()).containsEntry("project", project + " with 50 webhooks -> a project with fewer than 50");
        });
        assertThat(standing()).isEqualTo(50);
        JsonNode again = post(key + 7, body("")).json();
        assertThat(again.path("secret").stringValue()).as("one of before, in a project that is full").startsWith("whsec_");
    }

    private List<Api.Answer> atOnce(int many, java.util.function.IntFunction<String> keys) throws Exception {
        try (ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Api.Answer>> posts = IntStream.range(0, many).mapToObj(i -> pool.submit(() -> post(keys.apply(i), body(""))))
                    .toList();
            List<Api.Answer> answers = new ArrayList<>();
            for (Future<Api.Answer> post : posts) {
                answers.add(post.get());
            }
            return answers;
        }
    }
}
