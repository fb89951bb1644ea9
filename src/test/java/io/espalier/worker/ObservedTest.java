package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

import io.espalier.EspalierApplication;
import io.espalier.TestDatabase;
import io.espalier.artifact.Artifacts;
import io.espalier.job.JobMetric;
import io.espalier.job.JobRecords;
import io.espalier.job.JobState;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJobs;
import io.espalier.job.SliceShelf;
import io.espalier.pruning.ComputeDevice;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.recipe.ScoreShelf;
import io.espalier.telemetry.LogLines;
import io.espalier.telemetry.Meter;
import io.espalier.telemetry.Traces;
import io.micrometer.core.instrument.MeterRegistry;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.Environment;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.test.context.ContextConfiguration;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** What can be seen of a job from outside, while one service takes the order and another one carries it out: metrics, one trace, series, log lines. */
@SpringBootTest(webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT, properties = {"espalier.worker.enabled=false",
        "management.tracing.export.enabled=true", "espalier.metrics.interval=1s",
        "management.opentelemetry.tracing.export.schedule-delay=100ms"})
@ContextConfiguration(initializers = TestDatabase.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ObservedTest {

    private static final SpanReceiver COLLECTOR = new SpanReceiver();
    private static final String TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
    private static final String ORDER = """
            {"model": "tiny-qwen2moe", "budget": {"ratio": 0.25}, "calibration": {"corpus": "kjv-train", "sequences": 8, "sequence_length": 64}}""";

    @DynamicPropertySource
    static void collector(DynamicPropertyRegistry registry) {
        registry.add("management.opentelemetry.tracing.export.otlp.endpoint", COLLECTOR::endpoint);
    }

    @LocalServerPort
    private int port;
    @Autowired
    private Environment environment;
    @Autowired
    private PruningJobs jobs;
    @Autowired
    private JobRecords records;
    @Autowired
    private JdbcTemplate jdbc;
    @Autowired
    private MeterRegistry ofTheApi;
    private ConfigurableApplicationContext elsewhere;
    private Worker worker;
    private String job;

    @BeforeAll
    void aJobIsOrderedHereAndCarriedOutElsewhere() throws Exception {
        List<String> arguments = new ArrayList<>(List.of("--espalier.worker.enabled=false", "--espalier.database.mode=external"));
        for (String same : List.of("espalier.data-dir", "spring.datasource.url", "spring.datasource.username", "spring.datasource.password",
                "management.tracing.export.enabled", "management.opentelemetry.tracing.export.otlp.endpoint",
                "management.opentelemetry.tracing.export.schedule-delay")) {
            arguments.add("--" + same + "=" + environment.getProperty(same));
        }
        elsewhere = new SpringApplicationBuilder(EspalierApplication.class).web(WebApplicationType.NONE)
                .run(arguments.toArray(String[]::new));
        worker = worker(ObservedTest::layers);
        HttpResponse<String> posted = HttpClient.newHttpClient().send(HttpRequest.newBuilder(uri("/v1/pruning-jobs"))
                .header("Content-Type", "application/json").header("traceparent", "00-" + TRACE + "-00f067aa0ba902b7-01")
                .POST(HttpRequest.BodyPublishers.ofString(ORDER)).build(), HttpResponse.BodyHandlers.ofString());
        assertThat(posted.statusCode()).as(posted.body()).isEqualTo(202);
        job = posted.body().replaceAll("(?s).*?\"id\":\"(job_[0-9a-z]+)\".*", "$1");
        carryOut();
        assertThat(jobs.find(job).orElseThrow().state()).isEqualTo(JobState.SUCCEEDED);
    }

    @AfterAll
    void stop() {
        elsewhere.close();
        COLLECTOR.close();
    }

    /** Two layers forth and back, two phases, every figure there is. */
    private static io.espalier.pruning.PruningRun.Outcome layers(FakeRun.At inputs, ComputeDevice device, Progress progress) {
        for (int layer : new int[]{0, 1, 1, 0}) {
            progress.tick(new Progress.Tick(Phase.CALIBRATE, 10, layer, 2, 500.0));
            pause();
            progress.tick(new Progress.Tick(Phase.CALIBRATE, 20, layer, 2, 500.0));
        }
        progress.figure(Progress.Figure.LOSS, 3.5);
        progress.figure(Progress.Figure.PERPLEXITY, 40);
        progress.figure(Progress.Figure.READ_BYTES, 1000);
        progress.figure(Progress.Figure.MEMORY_BYTES, 2000);
        progress.figure(Progress.Figure.MEMORY_BUDGET_BYTES, 3000);
        progress.tick(new Progress.Tick(Phase.CUT, 90, null, 2, null));
        progress.note("said", "with password=S3CR3Tvalue in it", java.util.Map.of());
        return FakeRun.QUICK.execute(inputs, device, progress);
    }

    private static void pause() {
        try {
            Thread.sleep(5);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private Worker worker(FakeRun.Whole whole) {
        Recording recording = new Recording(elsewhere.getBean(JobRecords.class), elsewhere.getBean(LogLines.class),
                elsewhere.getBean(Traces.class),
                new WorkerMeters(elsewhere.getBean(MeterRegistry.class)));
        return new Worker("elsewhere/1", elsewhere.getBean(WorkerSettings.class).directory(),
                new Worker.Products(elsewhere.getBean(Artifacts.class), elsewhere.getBean(ScoreShelf.class),
                        elsewhere.getBean(SliceShelf.class),
                        new TransactionTemplate(elsewhere.getBean(PlatformTransactionManager.class))),
                elsewhere.getBean(Leases.class), elsewhere.getBean(PieceReports.class), FakeRun.workshop(whole),
                new Worker.Manner(0, Duration.ZERO, Duration.ZERO),
                recording);
    }

    private void carryOut() {
        for (String entry = entry(); entry != null; entry = entry()) {
            worker.carryOut(entry, new ComputeDevice("cpu", 0));
        }
    }

    private String entry() {
        return jdbc.queryForList("select job_id || '/' || number || '/' || entry from job_piece where job_id = ? and state = 'queued'"
                + " order by number limit 1", String.class, job).stream().findFirst().orElse(null);
    }

    private URI uri(String path) {
        return URI.create("http://127.0.0.1:" + port + path);
    }

    private String get(String path) throws Exception {
        HttpResponse<String> answer = HttpClient.newHttpClient().send(HttpRequest.newBuilder(uri(path)).build(),
                HttpResponse.BodyHandlers.ofString());
        assertThat(answer.statusCode()).as(path + answer.body()).isEqualTo(200);
        return answer.body();
    }

    @Test
    void oneTraceLeadsFromTheRequestToTheLayersOfAnotherProcess() {
        await().atMost(Duration.ofSeconds(30))
                .until(() -> named("piece finish").size() == 1 && !named("http post /v1/pruning-jobs").isEmpty());
        List<SpanReceiver.Span> ours = COLLECTOR.spans.stream().filter(span -> span.trace().equals(TRACE)).toList();
        assertThat(ours).extracting(SpanReceiver.Span::name).contains("http post /v1/pruning-jobs", "piece open", "piece finish",
                "phase calibrate", "phase cut", "layer 0", "layer 1");
        String request = named("http post /v1/pruning-jobs").getFirst().id();
        assertThat(named("piece open")).extracting(SpanReceiver.Span::parent).containsExactly(request);
        assertThat(named("piece finish")).extracting(SpanReceiver.Span::parent).containsExactly(request);
        String piece = named("piece finish").getFirst().id();
        assertThat(named("phase calibrate")).extracting(SpanReceiver.Span::parent).containsExactly(piece);
        assertThat(named("layer 0")).extracting(SpanReceiver.Span::parent).hasSize(2)
                .containsOnly(named("phase calibrate").getFirst().id());
        assertThat(named("layer 1")).as("up and down at the top is one stretch").hasSize(1);
    }

    private List<SpanReceiver.Span> named(String name) {
        return COLLECTOR.spans.stream().filter(span -> span.trace().equals(TRACE) && span.name().equals(name)).toList();
    }

    @Test
    void whatWasLoggedAboutTheJobCarriesTheTraceAndNoSecret() {
        List<JobRecords.Line> lines = records.lines(job, 0, List.of("info", "warn", "error"), 100);
        assertThat(lines).extracting(line -> line.line().message()).contains("open 0, attempt 1, starts on cpu", "phase calibrate begins",
                "said: with password=*** in it", "finish 1, attempt 2, ends: DONE");
        assertThat(lines).extracting(line -> line.line().worker()).containsOnly("elsewhere/1");
        assertThat(lines).extracting(line -> line.line().traceId()).containsOnly(TRACE);
    }

    @Test
    void everyFigureBecomesASeries() {
        assertThat(records.series(job, List.of(JobMetric.values()), null, 0)).filteredOn(series -> !series.points().isEmpty())
                .extracting(JobRecords.Series::name)
                .contains(JobMetric.PERCENT, JobMetric.LOSS, JobMetric.PERPLEXITY, JobMetric.READ_BYTES, JobMetric.MEMORY_BYTES,
                        JobMetric.PHASE_SECONDS);
    }

    @Test
    void everyMeterIsDocumentedAndEveryDocumentedMeterIsThere() throws Exception {
        jobs.submit(io.espalier.Orders.recipe(), io.espalier.Orders.inputs());
        await().atMost(Duration.ofSeconds(20)).until(() -> get("/actuator/prometheus").contains("espalier_queue_pieces{"));
        MeterRegistry ofTheWorker = elsewhere.getBean(MeterRegistry.class);
        Set<String> registered = new TreeSet<>();
        for (MeterRegistry registry : List.of(ofTheApi, ofTheWorker)) {
            registry.getMeters().stream().map(meter -> meter.getId()).filter(id -> id.getName().startsWith("espalier.")).forEach(id -> {
                registered.add(id.getName());
                Meter documented = Arrays.stream(Meter.values()).filter(meter -> meter.id().equals(id.getName())).findFirst().orElse(null);
                assertThat(documented).as(id.getName()).isNotNull();
                assertThat(id.getTags()).as(id.getName()).extracting(tag -> tag.getKey()).containsAll(documented.labels());
                assertThat(id.getDescription()).isEqualTo(documented.sentence());
            });
        }
        assertThat(registered)
                .isEqualTo(Arrays.stream(Meter.values()).map(Meter::id).collect(Collectors.toCollection(TreeSet::new)));
        assertThat(ofTheWorker.get("espalier.pieces").tags("kind", "finish", "outcome", "done").counter().count()).isEqualTo(1);
        assertThat(ofTheWorker.get("espalier.layer").tags("phase", "calibrate").timer().count()).isEqualTo(3);
        assertThat(ofTheWorker.get("espalier.phase").tags("phase", "cut").timer().count()).isGreaterThanOrEqualTo(1);
        assertThat(ofTheWorker.get("espalier.read.bytes").tags("device", "cpu").counter().count()).isEqualTo(1000);
        assertThat(ofTheWorker.get("espalier.device.memory.budget.bytes").gauge().value()).isEqualTo(3000);
    }

    @Test
    void whatIsScrapedIsNamedAsTheListSaysAndTheRestIsThereToo() throws Exception {
        await().atMost(Duration.ofSeconds(20)).until(() -> get("/actuator/prometheus").contains("espalier_jobs{"));
        String scraped = get("/actuator/prometheus");
        assertThat(scraped).contains("# HELP espalier_jobs Jobs by state", "espalier_artifact_bytes ",
                "http_server_requests_seconds_bucket",
                "hikaricp_connections_active", "jvm_memory_used_bytes");
        String ofAWorker = ((io.micrometer.prometheusmetrics.PrometheusMeterRegistry) elsewhere.getBean(MeterRegistry.class)).scrape();
        for (Meter meter : Meter.values()) {
            String name = meter.scraped() + (meter.type() == Meter.Type.TIMER ? "_bucket" : "");
            boolean ofTheQueue = List.of(Meter.QUEUE_PIECES, Meter.QUEUE_OLDEST).contains(meter);
            assertThat(ofTheQueue || (scraped + ofAWorker).contains("\n" + name)).as(name).isTrue();
        }
    }

    @Test
    void probesScrapesAndHousekeepingAreNotCountedAsWork() throws Exception {
        get("/livez");
        get("/readyz");
        get("/actuator/health");
        get("/actuator/prometheus");
        assertThat(get("/actuator/prometheus")).contains("uri=\"/v1/pruning-jobs\"")
                .doesNotContain("uri=\"/livez\"", "uri=\"/readyz\"", "uri=\"/actuator", "tasks_scheduled");
    }

    @Test
    void theBuildSaysWhatItIs() throws Exception {
        assertThat(get("/actuator/info")).contains("\"version\"").contains("\"java\"");
        assertThat(get("/actuator/health/liveness")).doesNotContain("database");
    }
}
