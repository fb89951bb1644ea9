package io.espalier.worker;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

import javax.sql.DataSource;

import io.espalier.EspalierApplication;
import io.espalier.Orders;
import io.espalier.TestDatabase;
import io.espalier.artifact.Artifacts;
import io.espalier.benchmark.Options;
import io.espalier.benchmark.Report;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJobs;
import io.espalier.job.SliceShelf;
import io.espalier.pruning.ComputeDevice;
import io.espalier.recipe.ScoreShelf;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * Thousands of jobs that compute nothing, so that what is left is the service: claims, events, statistics, artifacts and scores that are stored, on a real
 * PostgreSQL and a real disk. Workers are dispatchers of one device each in one process. In this package because they are.
 */
public final class Throughput {

    private static final Duration LOOK_EVERY = Duration.ofSeconds(1);

    private Throughput() {}

    public static void main(String[] arguments) throws Exception {
        Options options = Options.only(arguments, "jobs", "workers");
        int jobs = options.number("jobs", 10_000);
        int workers = options.number("workers", 4);
        Report report = Report.withoutEngine("Throughput", options);
        try (ConfigurableApplicationContext context = new SpringApplicationBuilder(EspalierApplication.class).web(WebApplicationType.NONE)
                .initializers(new TestDatabase()).run("--espalier.worker.enabled=false", "--spring.main.banner-mode=off",
                        "--logging.level.root=error",
                        "--spring.datasource.hikari.maximum-pool-size=" + (4 * workers + 4))) {
            run(report, context, jobs, workers);
        }
        report.finish();
    }

    private static void run(Report report, ConfigurableApplicationContext context, int jobs, int workers) throws InterruptedException {
        PruningJobs office = context.getBean(PruningJobs.class);
        JdbcTemplate jdbc = context.getBean(JdbcTemplate.class);
        Instant began = Instant.now();
        for (int i = 0; i < jobs; i++) {
            office.submit(Orders.recipe(), Orders.inputs());
        }
        double submitting = seconds(began);
        List<Dispatcher> dispatchers = IntStream.range(0, workers).mapToObj(i -> dispatcher("worker-" + i, context)).toList();
        List<List<Object>> pace = new ArrayList<>();
        Instant started = Instant.now();
        dispatchers.forEach(Dispatcher::start);
        long done = 0;
        long told = 0;
        Instant toldAt = started;
        while (done < jobs) {
            Thread.sleep(LOOK_EVERY);
            done = jdbc.queryForObject("select count(*) from pruning_job where finished_at is not null", Long.class);
            if (done - told >= jobs / 10 || done == jobs) {
                pace.add(Arrays.asList(done, (done - told) / seconds(toldAt)));
                told = done;
                toldAt = Instant.now();
            }
        }
        double working = seconds(started);
        dispatchers.forEach(Dispatcher::stop);
        long claims = jdbc.queryForObject("select sum(tries) from job_piece", Long.class);
        report.table("pace", List.of("jobs done", "jobs_per_second_since"), pace);
        report.table("throughput", List.of("jobs", "workers", "orders_per_second", "jobs_per_second", "claims_per_second", "wall_s"),
                List.of(List.of(jobs, workers, jobs / submitting, jobs / working, claims / working, working)));
        account(report, jdbc, jobs);
    }

    /** Every job succeeded, exactly once, and left nothing in the queue. */
    private static void account(Report report, JdbcTemplate jdbc, int jobs) {
        Map<String, Object> counts = jdbc.queryForMap("""
                select (select count(*) from pruning_job where state = 'succeeded') as succeeded,
                    (select count(*) from pruning_job where state <> 'succeeded') as otherwise,
                    (select count(distinct job_id) from artifact) as with_artifact, (select count(*) from artifact) as artifacts,
                    (select count(*) from score_set) as score_sets,
                    (select count(*) from job_event where type = 'succeeded') as events_of_success,
                    (select count(*) from job_piece where tries <> 1) as pieces_claimed_otherwise_than_once,
                    (select count(*) from (select job_id from job_event group by job_id having max(seq) <> count(*)) g) as gaps_in_events,
                    (select count(*) from scheduled_tasks where task_name = 'job_piece') as entries_left""");
        counts.forEach(report::fact);
        long wrong = List.of("succeeded", "with_artifact", "artifacts", "score_sets", "events_of_success").stream()
                .filter(name -> (Long) counts.get(name) != jobs).count()
                + List.of("otherwise", "pieces_claimed_otherwise_than_once", "gaps_in_events", "entries_left").stream()
                        .filter(name -> (Long) counts.get(name) != 0).count();
        report.bar("counts that are not as they must be", wrong, "<=", 0);
    }

    private static Dispatcher dispatcher(String name, ConfigurableApplicationContext context) {
        WorkerSettings settings = context.getBean(WorkerSettings.class);
        Worker worker = new Worker(name, settings.directory(), new Worker.Products(context.getBean(Artifacts.class),
                context.getBean(ScoreShelf.class), context.getBean(SliceShelf.class),
                new TransactionTemplate(context.getBean(PlatformTransactionManager.class))), context.getBean(Leases.class),
                context.getBean(PieceReports.class),
                FakeRun.workshop((inputs, device, progress) -> FakeRun.outcome(inputs.workDirectory())), settings.manner());
        return new Dispatcher(name, context.getBean("queueConnections", DataSource.class), context.getBean(Clock.class),
                () -> List.of(new ComputeDevice(name, 0)), worker,
                settings.worker());
    }

    private static double seconds(Instant since) {
        return Duration.between(since, Instant.now()).toNanos() * 1e-9;
    }

}
