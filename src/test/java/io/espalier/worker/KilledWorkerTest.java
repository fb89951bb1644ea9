package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;

import javax.sql.DataSource;

import io.espalier.EspalierApplication;
import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.artifact.Artifacts;
import io.espalier.job.JobEvent;
import io.espalier.job.JobMetric;
import io.espalier.job.JobRecords;
import io.espalier.job.JobState;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.pruning.ComputeDevice;
import io.espalier.recipe.ScoreShelf;
import io.espalier.telemetry.LogLines;
import io.espalier.telemetry.Traces;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ApplicationContext;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.Environment;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** Two real processes on one database, and one of them is killed. */
@OfficeTest
class KilledWorkerTest {

    @Autowired
    private ApplicationContext context;
    @Autowired
    private PruningJobs jobs;
    @Autowired
    private JobRecords records;
    @Autowired
    private JdbcTemplate jdbc;
    @Autowired
    private Environment environment;

    @Test
    void aJobWhoseProcessIsKilledRunsAgainElsewhereAndNothingIsLeft() throws Exception {
        jdbc.execute("truncate pruning_job, artifact, score_set, scheduled_tasks cascade");
        Path data = Path.of(environment.getProperty("espalier.data-dir"));
        String id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        Process process = new ProcessBuilder(List.of(ProcessHandle.current().info().command().orElseThrow(), "-Xmx512m", "-cp",
                System.getProperty("java.class.path"), Victim.class.getName(), "--espalier.data-dir=" + data,
                "--espalier.database.mode=external", "--espalier.worker.enabled=false",
                "--spring.datasource.url=" + environment.getProperty("spring.datasource.url"),
                "--spring.datasource.username=" + environment.getProperty("spring.datasource.username"),
                "--spring.datasource.password=" + environment.getProperty("spring.datasource.password")))
                .redirectErrorStream(true).redirectOutput(data.resolve("victim.log").toFile()).start();
        try {
            await().atMost(Duration.ofSeconds(120)).until(() -> jobs.find(id).orElseThrow().progress().percent() > 0);
            await().atMost(Duration.ofSeconds(30)).until(() -> !records.series(id, List.of(JobMetric.TOKENS_PER_SECOND), null, 0).getFirst()
                    .points().isEmpty());
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.waitFor()).as("killed").isEqualTo(137);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.RUNNING);
        assertThat(data.resolve("work/" + id + "-2")).exists();

        List<JobRecords.Line> said = records.lines(id, 0, List.of("info"), 100);
        assertThat(said).as("what the killed process had to say").extracting(line -> line.line().message())
                .contains("open 0, attempt 1, starts on cpu", "finish 1, attempt 2, starts on cpu", "phase calibrate begins");
        assertThat(said).extracting(line -> line.line().worker()).containsOnly("victim");

        Dispatcher survivor = dispatcher("survivor", FakeRun.QUICK, context);
        survivor.start();
        try {
            await().atMost(Duration.ofSeconds(30)).until(() -> jobs.find(id).orElseThrow().state() == JobState.SUCCEEDED);
        } finally {
            survivor.stop();
        }
        PruningJob job = jobs.find(id).orElseThrow();
        assertThat(job.attempt()).isEqualTo(3);
        assertThat(records.lines(id, said.getLast().seq(), List.of("info"), 100)).anySatisfy(line -> {
            assertThat(line.attempt()).isEqualTo(3);
            assertThat(line.line().worker()).isEqualTo("survivor");
        });
        assertThat(records.series(id, List.of(JobMetric.TOKENS_PER_SECOND), null, 0).getFirst().points()).isNotEmpty();
        assertThat(jobs.events(id, 0, 100)).extracting(JobEvent::message).contains(
                "Finishing on cpu, try 2, because the worker of the try before was lost");
        try (var left = Files.list(data.resolve("work"))) {
            assertThat(left).isEmpty();
        }
    }

    private static Dispatcher dispatcher(String name, FakeRun.Whole workshop, ApplicationContext context) {
        WorkerSettings settings = context.getBean(WorkerSettings.class);
        Worker worker = new Worker(name, settings.directory(), new Worker.Products(context.getBean(Artifacts.class),
                context.getBean(ScoreShelf.class), context.getBean(io.espalier.job.SliceShelf.class),
                new TransactionTemplate(context.getBean(PlatformTransactionManager.class))),
                context.getBean(Leases.class), context.getBean(PieceReports.class), FakeRun.workshop(workshop), settings.manner(),
                recording(context));
        return new Dispatcher(name, context.getBean(DataSource.class), context.getBean(Clock.class),
                () -> List.of(new ComputeDevice("cpu", 0)), worker,
                settings.worker());
    }

    private static Recording recording(ApplicationContext context) {
        return new Recording(context.getBean(JobRecords.class), context.getBean(LogLines.class), Traces.OFF,
                new WorkerMeters(new SimpleMeterRegistry()));
    }

    /** The process that will be killed while it runs a job that never ends. */
    static class Victim {
        public static void main(String[] arguments) {
            ConfigurableApplicationContext context = new SpringApplicationBuilder(EspalierApplication.class).web(WebApplicationType.NONE)
                    .run(arguments);
            dispatcher("victim", (inputs, device, progress) -> FakeRun.endless(inputs, progress, () -> {}), context).start();
        }
    }
}
