package io.espalier.api;

import static java.util.Map.entry;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.JsonNode;

/**
 * Two projects, every operation of the contract, every id of the other one: each is answered to the last byte as an id that never was. An operation that
 * has no line in {@link #OPERATIONS} fails the test.
 */
@SecuredApiTest
class TwoProjectsTest {

    /** How an operation is tried. */
    private enum Kind {
        /** It names something of one project: whoever is of another gets the answer of an unknown id. */
        ONE,
        /** It lists: nothing of another project is in it. */
        LIST,
        /** It says the same to everybody. */
        EVERYBODYS,
        /** It tells of every project, and so nothing to whoever belongs to one. */
        NOBODYS
    }

    /**
     * One way to carry an operation out.
     *
     * @param path with {@code $job}, {@code $model} and so on where the name of something of blue's belongs, {@code $own} for red's own webhook
     * @param body the same; {@code null} for none
     */
    private record Try(Kind kind, String path, String body, String... headers) {
        @Override
        public String toString() {
            return path + " " + List.of(headers) + " " + body;
        }
    }

    private static Try one(String path, String... headers) {
        return new Try(Kind.ONE, path, null, headers);
    }

    private static Try posted(String path, String body) {
        return new Try(Kind.ONE, path, body, "Content-Type", "application/json");
    }

    private static Try list(String path) {
        return new Try(Kind.LIST, path, null);
    }

    private static Try everybodys(String path) {
        return new Try(Kind.EVERYBODYS, path, null);
    }

    private static final String JOBS = "/v1/pruning-jobs/$job";
    private static final String SETS = "/v1/score-sets/$set";
    private static final String ARTIFACTS = "/v1/artifacts/$artifact";
    private static final String MODELS = "/v1/models/$model";
    private static final String CORPORA = "/v1/corpora/$corpus";
    private static final String HOOKS = "/v1/webhooks/$hook";

    private static final String ON_SCORES = "{\"score_set\": \"$set\", \"budget\": {\"ratio\": 0.5}}";
    private static final String ON_SCORES_OF_PROJECT = """
            {"score_set": "$set", "budget": {"ratio": 0.5}, "project": "$project", "model": "tiny-qwen2moe"}""";
    private static final String ON_MODEL = """
            {"model": "$model", "method": "magnitude", "budget": {"ratio": 0.5}}""";
    private static final String ON_CORPUS = """
            {"model": "tiny-qwen2moe", "calibration": {"corpus": {"name": "$corpus"}}, "budget": {"ratio": 0.5}}""";
    private static final String WITH_EVALUATION = """
            {"model": "tiny-qwen2moe", "method": "magnitude", "budget": {"ratio": 0.5}, "evaluation": {"corpus": {"name": "$corpus"}}}""";

    /** Each operation of the contract with every way in which it may name what is not the caller's. */
    private static final Map<String, List<Try>> OPERATIONS = Map.ofEntries(
            entry("POST /v1/pruning-jobs",
                    Stream.of("/v1/pruning-jobs", "/v1/pruning-jobs?dry_run=true")
                            .flatMap(path -> Stream.of(ON_SCORES, ON_SCORES_OF_PROJECT,
                                    ON_MODEL, ON_CORPUS, WITH_EVALUATION).map(order -> posted(path, order)))
                            .toList()),
            entry("GET /v1/pruning-jobs", List.of(list("/v1/pruning-jobs?limit=200"), list("/v1/pruning-jobs?state=succeeded"))),
            entry("GET /v1/pruning-jobs/{id}", List.of(one(JOBS), one(JOBS + "?wait=1s"))),
            entry("DELETE /v1/pruning-jobs/{id}", List.of(one(JOBS))),
            entry("POST /v1/pruning-jobs/{id}/cancel", List.of(one(JOBS + "/cancel"))),
            entry("POST /v1/pruning-jobs/{id}/pause", List.of(one(JOBS + "/pause"))),
            entry("POST /v1/pruning-jobs/{id}/resume", List.of(one(JOBS + "/resume"))),
            entry("POST /v1/pruning-jobs/{id}/retry", List.of(one(JOBS + "/retry"))),
            entry("GET /v1/pruning-jobs/{id}/events",
                    List.of(one(JOBS + "/events"), one(JOBS + "/events", "Accept", "text/event-stream"),
                            one(JOBS + "/events", "Accept", "text/event-stream", "Last-Event-ID", "100"))),
            entry("GET /v1/pruning-jobs/{id}/pieces", List.of(one(JOBS + "/pieces"))),
            entry("GET /v1/pruning-jobs/{id}/metrics", List.of(one(JOBS + "/metrics"), one(JOBS + "/metrics?name=percent&step=60"))),
            entry("GET /v1/pruning-jobs/{id}/logs",
                    List.of(one(JOBS + "/logs"), one(JOBS + "/logs?level=warn"), one(JOBS + "/logs", "Accept", "text/plain"))),
            entry("GET /v1/pruning-jobs/{id}/scores",
                    List.of(one(JOBS + "/scores"), one(JOBS + "/scores", "Accept", "application/vnd.safetensors"))),
            entry("GET /v1/score-sets", List.of(list("/v1/score-sets?limit=200"), list("/v1/score-sets?model=tiny-qwen2moe"))),
            entry("GET /v1/score-sets/{id}", List.of(one(SETS), one(SETS, "Accept", "application/vnd.safetensors", "Range", "bytes=0-9"))),
            entry("GET /v1/score-sets/{id}/coverage", List.of(one(SETS + "/coverage"))),
            entry("GET /v1/score-sets/{id}/curve", List.of(one(SETS + "/curve?points=3"))),
            entry("POST /v1/score-sets/{id}/plans", List.of(posted(SETS + "/plans", "{\"budget\": {\"ratio\": 0.5}}"))),
            entry("GET /v1/artifacts", List.of(list("/v1/artifacts?limit=200"), list("/v1/artifacts?job=$job"))),
            entry("GET /v1/artifacts/{id}", List.of(one(ARTIFACTS))),
            entry("DELETE /v1/artifacts/{id}", List.of(one(ARTIFACTS))),
            entry("GET /v1/artifacts/{id}/archive",
                    List.of(one(ARTIFACTS + "/archive"), one(ARTIFACTS + "/archive", "Range", "bytes=0-9"))),
            entry("GET /v1/artifacts/{id}/files/{name}",
                    List.of(one(ARTIFACTS + "/files/config.json"),
                            one(ARTIFACTS + "/files/model.safetensors", "Range", "bytes=0-9"))),
            entry("POST /v1/models", List.of(posted("/v1/models", "{\"name\": \"$model\", \"path\": \"/nowhere\"}"),
                    posted("/v1/models", "{\"name\": \"$model\", \"project\": \"$project\", \"path\": \"/nowhere\"}"))),
            entry("GET /v1/models", List.of(list("/v1/models?limit=200"), list("/v1/models?limit=200&project=$project"))),
            entry("GET /v1/models/{name}",
                    List.of(one(MODELS), one(MODELS + "?project=$project"), everybodys("/v1/models/tiny-qwen2moe"))),
            entry("DELETE /v1/models/{name}", List.of(one(MODELS), one(MODELS + "?project=$project"))),
            entry("POST /v1/models/{name}/complete", List.of(one(MODELS + "/complete"), one(MODELS + "/complete?project=$project"))),
            entry("GET /v1/models/{name}/files/{file}",
                    List.of(one(MODELS + "/files/config.json"), one(MODELS + "/files/config.json?project=$project"))),
            entry("PUT /v1/models/{name}/files/{file}",
                    Stream.of("", "?project=$project").map(whose -> new Try(Kind.ONE, MODELS + "/files/config.json" + whose, "{}",
                            "Content-Type", "application/octet-stream")).toList()),
            entry("POST /v1/corpora",
                    List.of(posted("/v1/corpora", "{\"name\": \"reds\", \"mix\": [{\"corpus\": \"$corpus\", \"weight\": 1}]}"),
                            posted("/v1/corpora", "{\"name\": \"reds\", \"project\": \"$project\", \"text\": \"a\"}"))),
            entry("GET /v1/corpora", List.of(list("/v1/corpora"), list("/v1/corpora?project=$project"))),
            entry("GET /v1/corpora/{name}",
                    List.of(one(CORPORA), one(CORPORA + "?project=$project"), everybodys("/v1/corpora/kjv-test"))),
            entry("DELETE /v1/corpora/{name}", List.of(one(CORPORA), one(CORPORA + "?project=$project"))),
            entry("PUT /v1/corpora/{name}/content",
                    List.of(new Try(Kind.ONE, "/v1/corpora/reds/content?project=$project", "a text", "Content-Type", "text/plain"))),
            entry("GET /v1/corpora/{name}/tokens",
                    List.of(one(CORPORA + "/tokens?model=tiny-qwen2moe"), one(CORPORA + "/tokens?model=tiny-qwen2moe&project=$project"),
                            one("/v1/corpora/kjv-test/tokens?model=$model"))),
            entry("POST /v1/webhooks",
                    List.of(posted("/v1/webhooks", "{\"url\": \"http://127.0.0.1:9/\", \"project\": \"$project\"}"))),
            entry("GET /v1/webhooks", List.of(list("/v1/webhooks?limit=200"))),
            entry("GET /v1/webhooks/{id}", List.of(one(HOOKS))),
            entry("PATCH /v1/webhooks/{id}", List.of(posted(HOOKS, "{\"enabled\": false}"), posted(HOOKS, "{\"url\": \"no address\"}"))),
            entry("DELETE /v1/webhooks/{id}", List.of(one(HOOKS))),
            entry("POST /v1/webhooks/{id}/rotate-secret", List.of(one(HOOKS + "/rotate-secret"))),
            entry("POST /v1/webhooks/{id}/test", List.of(one(HOOKS + "/test"))),
            entry("GET /v1/webhooks/{id}/deliveries", List.of(one(HOOKS + "/deliveries"), one(HOOKS + "/deliveries?state=pending"))),
            entry("POST /v1/webhooks/{id}/deliveries/{delivery}/redeliver",
                    List.of(one(HOOKS + "/deliveries/$message/redeliver"), one("/v1/webhooks/$own/deliveries/$message/redeliver"))),
            entry("GET /v1/architectures", List.of(everybodys("/v1/architectures"))),
            entry("GET /v1/methods", List.of(everybodys("/v1/methods"))),
            entry("GET /v1/methods/{name}", List.of(everybodys("/v1/methods/heapr"))),
            entry("GET /v1/support-bundle", List.of(new Try(Kind.NOBODYS, "/v1/support-bundle", null))),
            entry("POST /v1/api-keys",
                    List.of(posted("/v1/api-keys", "{\"name\": \"n\", \"role\": \"viewer\", \"project\": \"$project\"}"))),
            entry("GET /v1/api-keys", List.of(list("/v1/api-keys"))),
            entry("GET /v1/api-keys/{id}", List.of(one("/v1/api-keys/$key"))),
            entry("DELETE /v1/api-keys/{id}", List.of(one("/v1/api-keys/$key"))),
            entry("GET /v1/sign-in", List.of(everybodys("/v1/sign-in"))),
            entry("GET /openapi.yaml", List.of(everybodys("/openapi.yaml"))));

    /** What differs from one answer to the next whoever asks. */
    private static final Set<String> OWN = Set.of("date", "ratelimit", "connection", "keep-alive");

    private static final AtomicInteger NUMBERS = new AtomicInteger();

    private final Runs runs;
    private final Api blue;
    private final Api red;
    private final Map<String, String> ofBlue = new HashMap<>();
    /** As long as blue's, so that even the lengths of the answers have to agree. */
    private final Map<String, String> unknown = new HashMap<>(Map.of("$project", "zzzz"));

    TwoProjectsTest(@LocalServerPort int port, Runs runs) {
        this.runs = runs;
        blue = new Api(port).as(Issuer.token("b", "blue", "admin"));
        red = new Api(port).as(Issuer.token("r", "red", "admin"));
    }

    static Set<String> operations() {
        return Contract.IT.operations();
    }

    @BeforeEach
    void makeThings() {
        String own = made(red, "/v1/webhooks", "{\"url\": \"http://127.0.0.1:9/\"}", "id");
        unknown.put("$own", own);
        ofBlue.put("$own", own);
        ofBlue.put("$hook", made(blue, "/v1/webhooks", "{\"url\": \"http://127.0.0.1:9/\"}", "id"));
        String name = "blues-" + NUMBERS.incrementAndGet();
        ofBlue.put("$model", made(blue, "/v1/models", "{\"name\": \"" + name + "-model\", \"upload\": {\"files\": "
                + "[{\"name\": \"config.json\", \"bytes\": 2, \"sha256\": \"" + "0".repeat(64) + "\"}, "
                + "{\"name\": \"model.safetensors\", \"bytes\": 2, \"sha256\": \"" + "0".repeat(64) + "\"}]}}", "name"));
        ofBlue.put("$corpus", made(blue, "/v1/corpora", "{\"name\": \"" + name + "-corpus\", \"text\": \"In the beginning\"}", "name"));
        ofBlue.put("$key", made(blue, "/v1/api-keys", "{\"name\": \"blue key\", \"role\": \"viewer\"}", "id"));
        String job = blue.ordered(Posted.SHORTEST);
        ofBlue.put("$artifact", runs.succeed(job));
        ofBlue.put("$job", job);
        ofBlue.put("$set", blue.get("/v1/pruning-jobs/" + job).json().at("/score_set/id").stringValue());
        JsonNode messages = blue.get("/v1/webhooks/" + ofBlue.get("$hook") + "/deliveries").json().path("items");
        assertThat(messages).as("the job's end is told to its own project").hasSize(1);
        ofBlue.put("$message", messages.get(0).path("id").stringValue());
        ofBlue.put("$project", "blue");
        ofBlue.forEach((what, id) -> unknown.putIfAbsent(what, id.substring(0, 4) + "0".repeat(id.length() - 4)));
    }

    private static String made(Api who, String path, String json, String name) {
        Api.Answer answer = posted(who, path, json);
        assertThat(answer.status()).as(answer.text()).isEqualTo(201);
        return answer.json().path(name).stringValue();
    }

    private static Api.Answer posted(Api who, String path, String json, String... headers) {
        List<String> all = new ArrayList<>(List.of("Content-Type", "application/json"));
        all.addAll(List.of(headers));
        return who.send("POST", path, json.getBytes(StandardCharsets.UTF_8), all.toArray(String[]::new));
    }

    /** They are blue's to the end, and blue can do away with them. */
    @AfterEach
    void nothingCameOfIt() {
        assertThat(blue.get("/v1/pruning-jobs/" + ofBlue.get("$job")).json().path("state").stringValue()).isEqualTo("succeeded");
        assertThat(blue.get(filled(HOOKS, ofBlue)).json().path("enabled").booleanValue()).isTrue();
        assertThat(blue.get(filled(MODELS, ofBlue)).json().path("state").stringValue()).isEqualTo("uploading");
        assertThat(blue.get(filled(MODELS + "/files/config.json", ofBlue)).json().path("received").intValue()).isZero();
        assertThat(red.get("/v1/webhooks/" + ofBlue.get("$own") + "/deliveries").text()).as("red is told")
                .doesNotContain(ofBlue.get("$job"));
        for (String path : List.of(ARTIFACTS, MODELS, CORPORA, HOOKS, "/v1/api-keys/$key", JOBS)) {
            assertThat(blue.send("DELETE", filled(path, ofBlue), null).status()).as(path).isEqualTo(204);
        }
        assertThat(red.send("DELETE", "/v1/webhooks/" + ofBlue.get("$own"), null).status()).isEqualTo(204);
    }

    @Test
    void everyOperationOfTheContractIsTriedHere() {
        assertThat(OPERATIONS.keySet()).as("a new operation needs a line in OPERATIONS").isEqualTo(Contract.IT.operations());
    }

    @ParameterizedTest
    @MethodSource("operations")
    void nothingOfAnotherProjectIsToBeSeen(String operation) {
        String method = operation.replaceAll(" .*", "");

        for (Try way : OPERATIONS.get(operation)) {
            switch (way.kind) {
                case ONE -> {
                    Map<String, Object> foreign = answer(red, method, way, ofBlue);
                    assertThat(foreign).as(way.toString()).isEqualTo(answer(red, method, way, unknown));
                    // why: what is named in the address is not there, what is named beside it is wrong
                    Set<Integer> refusals = way.path.replaceAll("\\?.*", "").contains("$") ? Set.of(404) : Set.of(400, 422);
                    assertThat(foreign.get("status")).as(way.toString()).isIn(refusals);
                    if (method.equals("GET")) {
                        assertThat(answer(red, "HEAD", way, ofBlue)).isEqualTo(answer(red, "HEAD", way, unknown)).containsEntry("status",
                                foreign.get("status"));
                        // why HEAD: a stream is no JSON
                        assertThat((Integer) answer(blue, List.of(way.headers).contains("text/event-stream") ? "HEAD" : "GET", way, ofBlue)
                                .get("status")).as("blue itself: " + way.path).isNotEqualTo(404);
                    }
                }
                case LIST -> {
                    String seen = red.send(method, filled(way.path, ofBlue), null).text();
                    List<String> blues = ofBlue.entrySet().stream().filter(id -> !id.getKey().equals("$own")).map(Map.Entry::getValue)
                            .toList();
                    assertThat(seen).as(way.path).doesNotContain(blues);
                    assertThat(blue.send(method, filled(way.path, ofBlue), null).text()).as("blue itself: " + way.path)
                            .containsAnyOf(blues.stream().filter(id -> !id.equals("blue")).toArray(String[]::new));
                }
                case EVERYBODYS -> assertThat(red.send(method, way.path, null).body()).isEqualTo(blue.send(method, way.path, null).body());
                case NOBODYS -> {
                    for (Api who : List.of(red, blue)) {
                        assertThat(who.send(method, way.path, null).code()).isEqualTo("forbidden");
                    }
                }
            }
        }
    }

    /** Every verb, tried by red on a job of blue's that it would move; then by blue, which it does move. */
    @Test
    void noVerbMovesAJobOfAnotherProject() {
        String moved = null;
        for (String verb : List.of("pause", "resume", "cancel", "retry", "cancel")) {
            moved = moved == null ? blue.ordered(Posted.SHORTEST) : moved;
            String job = moved;
            String before = blue.get("/v1/pruning-jobs/" + job).text();
            assertThat(red.post("/v1/pruning-jobs/" + job + "/" + verb).code()).isEqualTo("job_not_found");
            assertThat(blue.get("/v1/pruning-jobs/" + job).text()).isEqualTo(before);
            assertThat(blue.post("/v1/pruning-jobs/" + job + "/" + verb).status()).as(verb).isEqualTo(200);
        }
    }

    @Test
    void theSameScoresOfTwoProjectsAreTwoSets() {
        String address = "9".repeat(64);
        String first = blue.ordered(Posted.SHORTEST);
        runs.succeed(first, Runs.SCORES, Runs.summary(), Runs.origin(address, null));
        String second = red.ordered(Posted.SHORTEST);
        runs.succeed(second, Runs.SCORES, Runs.summary(), Runs.origin(address, null));

        String blues = blue.get("/v1/pruning-jobs/" + first).json().at("/score_set/id").stringValue();
        String reds = red.get("/v1/pruning-jobs/" + second).json().at("/score_set/id").stringValue();

        assertThat(reds).isNotEqualTo(blues);
        assertThat(red.get("/v1/score-sets/" + reds).status()).isEqualTo(200);
        assertThat(red.get("/v1/score-sets/" + blues).code()).isEqualTo("score_set_not_found");
    }

    @Test
    void theSameIdempotencyKeyInTwoProjectsIsTwoOrders() {
        byte[] order = Posted.SHORTEST.getBytes(StandardCharsets.UTF_8);
        List<String> ids = new ArrayList<>();
        for (Api project : List.of(blue, red)) {
            Api.Answer answer = project.send("POST", "/v1/pruning-jobs", order, "Content-Type", "application/json", "Idempotency-Key", "k");
            assertThat(answer.header("Idempotency-Replayed")).isNull();
            ids.add(answer.json().path("id").stringValue());
        }
        assertThat(ids).doesNotHaveDuplicates();
    }

    @Test
    void whoeverSeesEveryProjectSeesBoth() {
        Api all = new Api(blue.port()).as(Issuer.ADMIN_KEY);
        String blues = blue.ordered(Posted.SHORTEST);
        String reds = red.ordered(Posted.SHORTEST);

        assertThat(all.get("/v1/pruning-jobs?limit=200").text()).contains(blues, reds);
        assertThat(all.get("/v1/pruning-jobs/" + blues).json().at("/recipe/project").stringValue()).isEqualTo("blue");
    }

    @Test
    void aProjectThatIsNamedIsNeverTakenForOnesOwn() {
        String model = ofBlue.get("$model");
        String corpus = ofBlue.get("$corpus");
        made(red, "/v1/models",
                "{\"name\": \"" + model + "\", \"upload\": {\"files\": [{\"name\": \"config.json\", \"bytes\": 2, \"sha256\": \""
                        + "0".repeat(64) + "\"}, {\"name\": \"model.safetensors\", \"bytes\": 2, \"sha256\": \"" + "0".repeat(64)
                        + "\"}]}}",
                "name");
        made(red, "/v1/corpora", "{\"name\": \"" + corpus + "\", \"text\": \"another text\"}", "name");

        for (String path : List.of("/v1/models/" + model, "/v1/corpora/" + corpus)) {
            assertThat(red.get(path + "?project=blue").status()).as(path).isEqualTo(404);
            assertThat(red.send("DELETE", path + "?project=blue", null).status()).as(path).isEqualTo(404);
            assertThat(red.get(path + "?project=No!").code()).as(path).isEqualTo("invalid_request");
            assertThat(red.get(path).json().path("project").stringValue()).as("red's own").isEqualTo("red");
            assertThat(red.send("DELETE", path, null).status()).isEqualTo(204);
        }
        assertThat(red.get("/v1/models?project=blue").json().path("items")).isEmpty();
        Map.of("/v1/models", "{\"name\": \"reds\", \"path\": \"/nowhere\", \"project\": \"blue\"}",
                "/v1/corpora", "{\"name\": \"reds\", \"text\": \"a\", \"project\": \"blue\"}",
                "/v1/webhooks", "{\"url\": \"http://127.0.0.1:9/\", \"project\": \"blue\"}")
                .forEach((path, order) -> assertThat(posted(red, path, order).violations()).as(path).containsEntry("project",
                        "blue -> absent, or red, the project of your token"));
    }

    private static String filled(String text, Map<String, String> ids) {
        String filled = text;
        for (Map.Entry<String, String> id : ids.entrySet()) {
            filled = filled.replace(id.getKey(), id.getValue());
        }
        return filled;
    }

    /** Everything about an answer that a stranger could tell two apart by, with the ids taken out. */
    private static Map<String, Object> answer(Api who, String method, Try way, Map<String, String> ids) {
        byte[] body = way.body == null ? null : filled(way.body, ids).getBytes(StandardCharsets.UTF_8);
        Api.Answer answer = who.send(method, filled(way.path, ids), body, way.headers);
        Map<String, Object> seen = new TreeMap<>();
        answer.headers().map().forEach((name, values) -> {
            if (!OWN.contains(name)) {
                seen.put(name, values);
            }
        });
        String text = answer.text();
        for (Map.Entry<String, String> id : ids.entrySet().stream()
                .sorted(Comparator.comparing(found -> -found.getValue().length())).toList()) {
            text = text.replace(id.getValue(), id.getKey());
        }
        seen.put("body", text);
        seen.put("status", answer.status());
        return seen;
    }
}
