package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.List;
import java.util.Map;

import io.espalier.job.JobMetric;
import io.espalier.job.Lease;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.telemetry.LogLine;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.JsonNode;

/** Series and log lines of a job over HTTP. */
@ApiTest
class JobRecordTest {

    private final Api api;
    private final Runs runs;
    private String job;

    JobRecordTest(@LocalServerPort int port, Runs runs) {
        this.api = new Api(port);
        this.runs = runs;
    }

    @BeforeEach
    void tell() {
        job = api.ordered(Posted.SHORTEST);
        Lease lease = runs.start(job);
        runs.reports().progress(lease, new Progress.Tick(Phase.CALIBRATE, 42.5, 3, 12, 1234.5),
                Map.of(JobMetric.LAYER, 3.0, JobMetric.TOKENS_PER_SECOND, 1234.5, JobMetric.READ_BYTES, 1e12),
                List.of(new LogLine(Instant.parse("2026-11-25T01:02:03.000004Z"), "info", "Worker", "slice 1 starts", "host/1", null),
                        new LogLine(Instant.parse("2026-11-25T01:02:04Z"), "warn", "Worker", "slice 1 is slow", "host/1",
                                "4bf92f3577b34da6a3ce929d0e0e4736")));
    }

    private String at(String path) {
        return "/v1/pruning-jobs/" + job + path;
    }

    @Test
    void every_series_is_given_or_those_that_are_asked_for() {
        JsonNode all = api.get(at("/metrics")).json();
        assertThat(all.path("step_seconds").intValue()).isEqualTo(1);
        assertThat(all.path("series")).extracting(series -> series.path("name").stringValue())
                .containsExactlyElementsOf(java.util.Arrays.stream(JobMetric.values()).map(JobMetric::json).toList());
        JsonNode some = api.get(at("/metrics?name=tokens_per_second&name=read_bytes&step=60&since=2020-01-01T00:00:00Z")).json();
        assertThat(some.path("step_seconds").intValue()).isEqualTo(60);
        assertThat(some.path("series")).extracting(series -> series.at("/points/0/value").doubleValue()).containsExactly(1234.5, 1e12);
        assertThat(some.at("/series/1/unit").stringValue()).isEqualTo("bytes");
        assertThat(api.get(at("/metrics?name=percent,layer")).json().path("series")).hasSize(2);
        assertThat(api.get(at("/metrics?name=percent&since=2999-01-01T00:00:00Z")).json().at("/series/0/points")).isEmpty();
    }

    @Test
    void the_log_is_given_as_json_and_as_text() {
        JsonNode lines = api.get(at("/logs")).json();
        assertThat(lines.path("items")).extracting(line -> line.path("message").stringValue())
                .containsExactly("slice 1 starts", "slice 1 is slow");
        assertThat(lines.at("/items/0/at").stringValue()).isEqualTo("2026-11-25T01:02:03.000004Z");
        assertThat(lines.path("next_after").intValue()).isEqualTo(2);
        assertThat(lines.path("dropped").intValue()).isZero();
        assertThat(api.get(at("/logs?level=warn")).json().path("items")).hasSize(1);
        assertThat(api.get(at("/logs?after=2")).json().path("next_after").intValue()).isEqualTo(2);

        Api.Answer text = api.get(at("/logs?limit=1"), "Accept", "text/plain");
        assertThat(text.header("Content-Type")).startsWith("text/plain");
        assertThat(text.text().strip())
                .isEqualTo("2026-11-25T01:02:03.000004Z INFO  piece 0, attempt 1, host/1, Worker: slice 1 starts");
    }

    @Test
    void what_cannot_be_read_is_refused_with_everything_that_is_wrong() {
        Api.Answer answer = api.get(at("/metrics?name=speed&since=yesterday"));
        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.violations()).containsOnlyKeys("name", "since");
        for (String wrong : List.of("/metrics?step=0", "/metrics?step=x", "/metrics?name=", "/metrics?since=+999999999-12-31T00:00:00Z",
                "/logs?after=-1", "/logs?limit=1001", "/logs?level=loud", "/logs?after=99999999999999999999")) {
            assertThat(api.get(at(wrong)).status()).as(wrong).isEqualTo(400);
        }
        assertThat(api.get(at("/logs"), "Accept", "image/png").code()).isEqualTo("not_acceptable");
        assertThat(api.get("/v1/pruning-jobs/job_none/metrics").code()).isEqualTo("job_not_found");
        assertThat(api.get("/v1/pruning-jobs/job_none/logs").code()).isEqualTo("job_not_found");
    }
}
