package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.test.context.TestPropertySource;

/** Limits small enough to be met. */
@SecuredApiTest
@TestPropertySource(properties = {"espalier.limits.requests-per-second=1", "espalier.limits.burst=40", "espalier.limits.streams=2",
        "espalier.limits.unfinished-jobs=3"})
class LimitsTest {

    private final Api api;

    LimitsTest(@LocalServerPort int port) {
        api = new Api(port);
    }

    private Api caller(String subject, String project) {
        return api.as(Issuer.token(subject, project, "admin"));
    }

    @Test
    void whoeverAsksTooOftenIsToldWhenToComeAgainAndNobodyElseNoticesIt() {
        Api busy = caller("busy", "rates");
        List<Integer> statuses = new ArrayList<>();
        Api.Answer last = busy.get("/v1/models");
        assertThat(last.header("RateLimit-Policy")).isEqualTo("\"requests\";q=40;w=40");
        for (int i = 0; i < 300 && last.status() == 200; i++) {
            last = busy.get("/v1/models");
            statuses.add(last.status());
        }
        assertThat(last.status()).as(statuses.toString()).isEqualTo(429);
        assertThat(last.code()).isEqualTo("rate_limited");
        assertThat(Integer.parseInt(last.header("Retry-After"))).isBetween(1, 40);
        assertThat(last.header("RateLimit")).startsWith("\"requests\";r=0;t=");
        assertThat(statuses).hasSizeGreaterThanOrEqualTo(39);
        assertThat(caller("calm", "rates").get("/v1/models").status()).isEqualTo(200);
        assertThat(busy.get("/livez").status()).as("health is not limited").isEqualTo(200);
    }

    @Test
    void strangersWhoGuessAreSlowedDown() {
        Api.Answer last = api.as("esp_guess").get("/v1/models");
        for (int i = 0; i < 300 && last.status() == 401; i++) {
            last = api.as("esp_guess" + i).get("/v1/models");
        }
        assertThat(last.code()).isEqualTo("rate_limited");
        assertThat(caller("calm", "rates").get("/v1/models").status()).as("a good token from the same address").isEqualTo(200);
    }

    @Test
    void aCallerHasOnlySoManyStreamsOpen() throws IOException, InterruptedException {
        String token = Issuer.token("watcher", "streams", "admin");
        String job = api.as(token).ordered(Posted.SHORTEST);
        String path = "/v1/pruning-jobs/" + job + "/events";
        HttpClient client = HttpClient.newHttpClient();
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + api.port() + path))
                .header("Authorization", "Bearer " + token).header("Accept", "text/event-stream").build();

        try (InputStream one = client.send(request, HttpResponse.BodyHandlers.ofInputStream()).body();
                InputStream two = client.send(request, HttpResponse.BodyHandlers.ofInputStream()).body()) {
            assertThat(one.read()).isEqualTo('r');
            assertThat(two.read()).isEqualTo('r');
            Api.Answer third = api.as(token).get(path, "Accept", "text/event-stream");
            assertThat(third.code()).isEqualTo("too_many_streams");
            assertThat(third.header("Retry-After")).isEqualTo("10");
            assertThat(api.as(token).get(path).status()).as("the history as JSON is no stream").isEqualTo(200);
        }
        // a job that has ended ends its streams, and then they count no more
        api.as(token).post("/v1/pruning-jobs/" + job + "/cancel");
        await().until(() -> client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode() == 200);
    }

    @Test
    void aProjectHasOnlySoManyUnfinishedJobs() {
        Api caller = caller("heavy", "jobs");
        byte[] order = Posted.SHORTEST.getBytes(StandardCharsets.UTF_8);
        Api.Answer first = caller.send("POST", "/v1/pruning-jobs", order, "Content-Type", "application/json", "Idempotency-Key", "one");
        assertThat(first.status()).isEqualTo(202);
        caller.ordered(Posted.SHORTEST);
        String third = caller.ordered(Posted.SHORTEST);

        Api.Answer fourth = caller.order(Posted.SHORTEST);
        assertThat(fourth.status()).isEqualTo(429);
        assertThat(fourth.code()).isEqualTo("too_many_jobs");
        assertThat(fourth.header("Retry-After")).isEqualTo("60");
        assertThat(caller.send("POST", "/v1/pruning-jobs", order, "Content-Type", "application/json", "Idempotency-Key", "one")
                .header("Idempotency-Replayed")).as("a repeated post is no new job").isEqualTo("true");
        assertThat(caller("other", "jobs-of-another").order(Posted.SHORTEST).status()).isEqualTo(202);
        caller.post("/v1/pruning-jobs/" + third + "/cancel");
        assertThat(caller.order(Posted.SHORTEST).status()).as("one has ended").isEqualTo(202);
    }
}
