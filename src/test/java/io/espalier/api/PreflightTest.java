package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

import io.espalier.job.PruningJobs;
import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.pruning.Survey;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.Preflight;
import io.espalier.recipe.PruningRecipe;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Orders that are only asked about, in a process that has no worker. */
@ApiTest
class PreflightTest {

    private static final JsonMapper JSON = JsonMapper.builder().build();

    @TempDir
    Path directory;
    private final Api api;
    private final PruningJobs jobs;
    private final Runs runs;

    PreflightTest(@LocalServerPort int port, PruningJobs jobs, Runs runs) {
        api = new Api(port);
        this.jobs = jobs;
        this.runs = runs;
    }

    @Test
    void anOrderThatIsAskedAboutIsNotOrderedAndUsesNoKeyUp() {
        String newest = newest();
        Api.Answer answer = ask(Posted.SHORTEST, "Idempotency-Key", "preflight-1");
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        assertThat(newest()).isEqualTo(newest);
        JsonNode found = answer.json();
        assertThat(found.path("recipe").path("calibration").path("sequences").intValue()).isEqualTo(128);
        assertThat(found.path("model").path("bytes").longValue()).isEqualTo(6_904_064);
        assertThat(found.path("model").path("dtypes").get(0).path("dtype").stringValue()).isEqualTo("BF16");
        assertThat(found.path("memory").isNull()).isTrue();
        assertThat(found.path("unknown")).extracting(each -> each.path("field").stringValue()).contains("memory", "disk", "scores",
                "outputs");
        Api.Answer ordered = api.send("POST", "/v1/pruning-jobs", Posted.COMPLETE.getBytes(java.nio.charset.StandardCharsets.UTF_8),
                "Content-Type", "application/json", "Idempotency-Key", "preflight-1");
        assertThat(ordered.status()).as(ordered.text()).isEqualTo(202);
        assertThat(ordered.header("Idempotency-Replayed")).isNull();
    }

    @Test
    void aBadOrderIsRefusedInTheWordsOfARealOne() {
        String bad = Posted.SHORTEST.replace("0.25", "1.5").replace("tiny-qwen2moe", "nowhere");
        JsonNode asked = ask(bad).json();
        JsonNode posted = api.order(bad).json();
        assertThat(asked).isEqualTo(posted);
        assertThat(asked.path("status").intValue()).isEqualTo(422);
    }

    @Test
    void falseIsAnOrderAndEverythingElseIsNeither() {
        assertThat(api.send("POST", "/v1/pruning-jobs?dry_run=false", Posted.SHORTEST.getBytes(java.nio.charset.StandardCharsets.UTF_8),
                "Content-Type", "application/json").status()).isEqualTo(202);
        assertThat(api.send("POST", "/v1/pruning-jobs?dry_run=maybe", Posted.SHORTEST.getBytes(java.nio.charset.StandardCharsets.UTF_8),
                "Content-Type", "application/json").violations()).containsOnlyKeys("dry_run");
    }

    @Test
    void timesComeFromJobsThatSucceededHere() {
        String id = api.ordered(Posted.SHORTEST);
        runs.succeed(id);
        JsonNode time = ask(Posted.SHORTEST).json().path("time");
        assertThat(time.path("jobs").intValue()).isPositive();
        assertThat(time.path("calibrate_seconds").doubleValue()).isPositive();
        assertThat(time.path("check_seconds").doubleValue()).isZero();
        assertThat(time.path("total_seconds").isNull()).as("the outputs' bytes are not known without a worker").isTrue();
    }

    @Test
    void whatAWorkerSaysFitsTheContract() {
        Path demo = Path.of("src/main/resources/demo").toAbsolutePath();
        CorpusRef text = CorpusRef.at(demo.resolve("text/kjv-test.txt").toString());
        PruningRecipe recipe = JSON.readValue(Posted.COMPLETE, PruningRecipe.class);
        for (long budget : List.of(0L, 1L)) {
            Preflight.Findings found = Survey.of(new PruningRun.Inputs(recipe, demo.resolve("tiny-qwen2moe"), text, text),
                    new Survey.Place(new ComputeDevice("cpu", budget), 0, directory, directory, address -> Optional.empty()));
            JsonNode answer = ask(Posted.COMPLETE).json();
            JsonNode findings = JSON.valueToTree(found);
            findings.properties().forEach(field -> ((tools.jackson.databind.node.ObjectNode) answer).set(field.getKey(), field.getValue()));
            assertThat(Contract.IT.departures("/components/schemas/Preflight", answer)).as(answer.toPrettyString()).isEmpty();
        }
    }

    private String newest() {
        return jobs.list(null, null, 1).stream().map(job -> job.id()).findFirst().orElse("");
    }

    private Api.Answer ask(String order, String... headers) {
        String[] all = java.util.stream.Stream.concat(java.util.stream.Stream.of("Content-Type", "application/json"),
                java.util.stream.Stream.of(headers)).toArray(String[]::new);
        return api.send("POST", "/v1/pruning-jobs?dry_run=true", order.getBytes(java.nio.charset.StandardCharsets.UTF_8), all);
    }
}
