package io.espalier.api;

import static java.util.Map.entry;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

import io.espalier.artifact.Artifacts;
import io.espalier.catalog.ScoreSets;
import io.espalier.job.PruningJobs;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

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
        EVERYBODYS
    }

    /**
     * One way to carry an operation out.
     *
     * @param path with {@code $job}, {@code $set}, {@code $artifact}, {@code $key} where an id belongs
     * @param body the same; {@code null} for none
     */
    private record Try(Kind kind, String path, String body, String... headers) {}

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

    /** Each operation of the contract with every way in which it may name what is not the caller's. */
    private static final Map<String, List<Try>> OPERATIONS = Map.ofEntries(
            entry("POST /v1/pruning-jobs", List.of(posted("/v1/pruning-jobs", "{\"score_set\": \"$set\", \"budget\": {\"ratio\": 0.5}}"),
                    posted("/v1/pruning-jobs",
                            "{\"score_set\": \"$set\", \"budget\": {\"ratio\": 0.5}, \"project\": \"$project\", \"model\": \"tiny-qwen2moe\"}"))),
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
            entry("GET /v1/pruning-jobs/{id}/scores",
                    List.of(one(JOBS + "/scores"), one(JOBS + "/scores", "Accept", "application/vnd.safetensors"))),
            entry("GET /v1/score-sets", List.of(list("/v1/score-sets?limit=200"), list("/v1/score-sets?model=tiny-qwen2moe"))),
            entry("GET /v1/score-sets/{id}", List.of(one(SETS), one(SETS, "Accept", "application/vnd.safetensors", "Range", "bytes=0-9"))),
            entry("GET /v1/score-sets/{id}/coverage", List.of(one(SETS + "/coverage"))),
            entry("GET /v1/score-sets/{id}/curve", List.of(one(SETS + "/curve?points=3"))),
            entry("POST /v1/score-sets/{id}/plans", List.of(posted(SETS + "/plans", "{\"budget\": {\"ratio\": 0.5}}"))),
            entry("GET /v1/artifacts/{id}", List.of(one("/v1/artifacts/$artifact"))),
            entry("GET /v1/artifacts/{id}/files/{name}",
                    List.of(one("/v1/artifacts/$artifact/files/config.json"),
                            one("/v1/artifacts/$artifact/files/model.safetensors", "Range", "bytes=0-9"))),
            entry("GET /v1/models", List.of(list("/v1/models"))),
            entry("GET /v1/models/{name}", List.of(everybodys("/v1/models/tiny-qwen2moe"))),
            entry("GET /v1/corpora", List.of(list("/v1/corpora"))),
            entry("GET /v1/corpora/{name}", List.of(everybodys("/v1/corpora/kjv-test"))),
            entry("GET /v1/methods", List.of(everybodys("/v1/methods"))),
            entry("POST /v1/api-keys",
                    List.of(posted("/v1/api-keys", "{\"name\": \"n\", \"role\": \"viewer\", \"project\": \"$project\"}"))),
            entry("GET /v1/api-keys", List.of(list("/v1/api-keys"))),
            entry("GET /v1/api-keys/{id}", List.of(one("/v1/api-keys/$key"))),
            entry("DELETE /v1/api-keys/{id}", List.of(one("/v1/api-keys/$key"))),
            entry("GET /openapi.yaml", List.of(everybodys("/openapi.yaml"))));

    /** What differs from one answer to the next whoever asks. */
    private static final Set<String> OWN = Set.of("date", "ratelimit", "connection", "keep-alive");

    private final Runs runs;
    private final Api blue;
    private final Api red;
    private final Map<String, String> ofBlue = new HashMap<>();
    /** As long as blue's, so that even the lengths of the answers have to agree. */
    private final Map<String, String> unknown = new HashMap<>(Map.of("$project", "zzzz"));

    TwoProjectsTest(@LocalServerPort int port, PruningJobs jobs, Artifacts artifacts, ScoreSets scores,
            PlatformTransactionManager transactions) {
        runs = new Runs(jobs, artifacts, scores, new TransactionTemplate(transactions));
        blue = new Api(port).as(Issuer.token("b", "blue", "admin"));
        red = new Api(port).as(Issuer.token("r", "red", "admin"));
    }

    static Set<String> operations() {
        return Contract.IT.operations();
    }

    private void makeBlueThings() {
        String job = blue.ordered(Posted.SHORTEST);
        String artifact = runs.succeed(job);
        JsonIds ids = new JsonIds(blue.get("/v1/pruning-jobs/" + job).json().at("/score_set/id").stringValue(),
                blue.send("POST", "/v1/api-keys", "{\"name\": \"blue key\", \"role\": \"viewer\"}".getBytes(StandardCharsets.UTF_8),
                        "Content-Type", "application/json").json().path("id").stringValue());
        ofBlue.putAll(Map.of("$job", job, "$set", ids.set, "$artifact", artifact, "$key", ids.key, "$project", "blue"));
        ofBlue.forEach((name, id) -> unknown.putIfAbsent(name, id.substring(0, 4) + "0".repeat(id.length() - 4)));
    }

    private record JsonIds(String set, String key) {}

    @Test
    void everyOperationOfTheContractIsTriedHere() {
        assertThat(OPERATIONS.keySet()).as("a new operation needs a line in OPERATIONS").isEqualTo(Contract.IT.operations());
    }

    @ParameterizedTest
    @MethodSource("operations")
    void nothingOfAnotherProjectIsToBeSeen(String operation) {
        makeBlueThings();
        String method = operation.replaceAll(" .*", "");

        for (Try way : OPERATIONS.get(operation)) {
            switch (way.kind) {
                case ONE -> {
                    Map<String, Object> foreign = answer(red, method, way, ofBlue);
                    assertThat(foreign).as(way.path + " " + Arrays.toString(way.headers)).isEqualTo(answer(red, method, way, unknown));
                    assertThat(foreign.get("status")).isIn(way.body == null || way.path.contains("$") ? Set.of(404) : Set.of(400, 422));
                    if (method.equals("GET")) {
                        assertThat(answer(red, "HEAD", way, ofBlue)).isEqualTo(answer(red, "HEAD", way, unknown)).containsEntry("status",
                                404);
                        // why HEAD: a stream is no JSON
                        assertThat((Integer) answer(blue, List.of(way.headers).contains("text/event-stream") ? "HEAD" : "GET", way, ofBlue)
                                .get("status")).as("blue itself: " + way.path).isNotEqualTo(404);
                    }
                }
                case LIST -> {
                    String seen = red.send(method, way.path, null).text();
                    ofBlue.forEach((name, id) -> assertThat(seen).as(name).doesNotContain(id));
                    if (operation.matches(".*(pruning-jobs|score-sets|api-keys)")) {
                        assertThat(blue.send(method, way.path, null).text()).containsAnyOf(ofBlue.values().toArray(String[]::new));
                    }
                }
                case EVERYBODYS -> assertThat(red.send(method, way.path, null).body()).isEqualTo(blue.send(method, way.path, null).body());
            }
        }
        assertThat(blue.get("/v1/pruning-jobs/" + ofBlue.get("$job")).json().path("state").stringValue()).as("nothing came of it")
                .isEqualTo("succeeded");
        assertThat(blue.get("/v1/api-keys/" + ofBlue.get("$key")).status()).isEqualTo(200);
    }

    /** Every verb, tried by red on a job of blue's that it would move; then by blue, which it does move. */
    @Test
    void noVerbMovesAJobOfAnotherProject() {
        for (String verb : List.of("pause", "resume", "cancel", "retry", "cancel")) {
            String job = ofBlue.computeIfAbsent("$job", name -> blue.ordered(Posted.SHORTEST));
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

    /** Everything about an answer that a stranger could tell two apart by, with the ids taken out. */
    private static Map<String, Object> answer(Api who, String method, Try way, Map<String, String> ids) {
        String path = way.path;
        String body = way.body;
        for (Map.Entry<String, String> id : ids.entrySet()) {
            path = path.replace(id.getKey(), id.getValue());
            body = body == null ? null : body.replace(id.getKey(), id.getValue());
        }
        Api.Answer answer = who.send(method, path, body == null ? null : body.getBytes(StandardCharsets.UTF_8), way.headers);
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
