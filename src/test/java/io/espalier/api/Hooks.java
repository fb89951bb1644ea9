package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;

import io.espalier.webhook.Receiver;
import org.awaitility.core.ConditionFactory;
import tools.jackson.databind.JsonNode;

/** Webhooks of one project, as a client makes them and looks after them. */
record Hooks(Api api, String project) {

    static final String HOOKS = "/v1/webhooks";
    static final String EVERY = "\"events\": [\"job.queued\", \"job.running\", \"job.paused\", \"job.cancelling\", \"job.cancelled\", "
            + "\"job.succeeded\", \"job.failed\"]";

    Api.Answer send(String method, String path, String json) {
        return api.send(method, path, json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json");
    }

    /** @param more members of the order, each with a comma in front */
    JsonNode hook(String url, String more) {
        Api.Answer made = send("POST", HOOKS, "{\"url\": \"" + url + "\", \"project\": \"" + project + "\"" + more + "}");
        assertThat(made.status()).as(made.text()).isEqualTo(201);
        return made.json();
    }

    static String id(JsonNode thing) {
        return thing.path("id").stringValue();
    }

    /** Orders a job of the project. */
    String order() {
        return api.ordered(Posted.SHORTEST.replaceFirst("\\{", "{\"project\": \"" + project + "\", "));
    }

    JsonNode deliveries(JsonNode hook) {
        return api.get(HOOKS + "/" + id(hook) + "/deliveries").json().path("items");
    }

    JsonNode only(JsonNode hook) {
        assertThat(deliveries(hook)).hasSize(1);
        return deliveries(hook).get(0);
    }

    static ConditionFactory soon() {
        return await().atMost(Duration.ofSeconds(60));
    }

    static List<Receiver.Received> told(Receiver receiver, int messages) {
        soon().until(() -> receiver.received().size() >= messages);
        return receiver.received();
    }

    /** Waits until every delivery of a webhook is in a state. */
    void awaitState(JsonNode hook, String state) {
        soon().until(() -> deliveries(hook).valueStream()
                .allMatch(delivery -> delivery.path("state").stringValue().equals(state)));
    }
}
