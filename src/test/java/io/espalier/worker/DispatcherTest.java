package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import javax.sql.DataSource;

import com.zaxxer.hikari.HikariDataSource;
import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.artifact.Artifacts;
import io.espalier.job.JobState;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.pruning.ComputeDevice;
import io.espalier.recipe.ScoreShelf;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.core.env.Environment;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;
import org.springframework.util.unit.DataSize;

@OfficeTest
class DispatcherTest {

    @Autowired
    private PruningJobs jobs;
    @Autowired
    private PieceReports reports;
    @Autowired
    private Leases leases;
    @Autowired
    private Artifacts artifacts;
    @Autowired
    private ScoreShelf shelf;
    @Autowired
    private io.espalier.job.SliceShelf slices;
    @Autowired
    private WorkerSettings settings;
    @Autowired
    private PlatformTransactionManager transactions;
    @Autowired
    private DataSource database;
    @Autowired
    private Clock clock;
    @Autowired
    private JdbcTemplate jdbc;
    @Autowired
    private Environment environment;
    private final Queue<Dispatcher> started = new ConcurrentLinkedQueue<>();

    @BeforeEach
    void empty() {
        jdbc.execute("truncate pruning_job, artifact, score_set, scheduled_tasks cascade");
    }

    @AfterEach
    void stop() {
        started.stream().filter(Dispatcher::isRunning).forEach(Dispatcher::stop);
    }

    @Test
    void twoWorkersNeverRunTheSameJobAndADeviceNeverTwoAtOnce() {
        Queue<String> runs = new ConcurrentLinkedQueue<>();
        AtomicInteger crowded = new AtomicInteger();
        ConcurrentLinkedQueue<String> busy = new ConcurrentLinkedQueue<>();
        FakeRun.Whole workshop = (inputs, device, progress) -> {
            if (busy.contains(device.name())) {
                crowded.incrementAndGet();
            }
            busy.add(device.name());
            runs.add(inputs.workDirectory().getFileName().toString());
            try {
                return FakeRun.QUICK.execute(inputs, device, progress);
            } finally {
                busy.remove(device.name());
            }
        };
        List<String> ids = IntStream.range(0, 30).mapToObj(i -> submit()).toList();
        start("one", workshop, "gpu:0", "gpu:1");
        start("two", workshop, "gpu:2", "gpu:3");
        await().atMost(Duration.ofSeconds(60)).until(() -> jobs.list(JobState.SUCCEEDED, null, 100).size() == 30);
        assertThat(runs).containsExactlyInAnyOrderElementsOf(ids.stream().map(id -> id + "-2").toList());
        assertThat(crowded).hasValue(0);
        assertThat(jobs.list(null, null, 100)).extracting(job -> jobs.pieces(job.id()).getLast().worker()).contains("one", "two");
        await().untilAsserted(() -> assertThat(queued()).isZero());
    }

    /** The plan by which PostgreSQL counts a limit anew for each row comes and goes with the statistics; here it is the only one that is left. */
    @Test
    void aWorkerLocksNoMoreThanItHasDevicesWhateverTheDatabasePlans() throws Exception {
        List.of("enable_hashjoin", "enable_mergejoin", "enable_hashagg", "enable_sort", "enable_material")
                .forEach(setting -> jdbc.execute("alter role current_user set " + setting + " = off"));
        try (HikariDataSource planned = new HikariDataSource()) {
            planned.setJdbcUrl(environment.getProperty("spring.datasource.url"));
            planned.setUsername(environment.getProperty("spring.datasource.username"));
            planned.setPassword(environment.getProperty("spring.datasource.password"));
            List<String> ids = IntStream.range(0, 5).mapToObj(i -> submit()).toList();
            jdbc.execute("analyze scheduled_tasks");
            CountDownLatch running = new CountDownLatch(1);
            CountDownLatch looked = new CountDownLatch(1);
            Dispatcher one = start("one", planned, (inputs, device, progress) -> {
                running.countDown();
                try {
                    looked.await();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
                return FakeRun.QUICK.execute(inputs, device, progress);
            }, "cpu");
            assertThat(running.await(20, TimeUnit.SECONDS)).isTrue();
            Long locked = jdbc.queryForObject("select count(*) from scheduled_tasks where picked", Long.class);
            looked.countDown();
            await().atMost(Duration.ofSeconds(20)).until(() -> ids.stream().allMatch(id -> state(id) == JobState.SUCCEEDED));
            one.stop();
            assertThat(locked).isEqualTo(1);
        } finally {
            jdbc.execute("alter role current_user reset all");
        }
    }

    @Test
    void theJobOfADeadWorkerRunsAgainWithinTenSeconds() {
        String id = submit();
        leases.claim(id + "/0/1", "dead", "cpu");
        // what a killed process leaves: an entry that is picked and whose heart has stopped
        jdbc.update("update scheduled_tasks set picked = true, picked_by = 'dead', last_heartbeat = now(), version = version + 1");
        Instant died = Instant.now();
        start("alive", FakeRun.QUICK, "cpu");
        await().atMost(Duration.ofSeconds(20)).until(() -> state(id) == JobState.SUCCEEDED);
        PruningJob job = jobs.find(id).orElseThrow();
        assertThat(job.attempt()).isEqualTo(3);
        assertThat(jobs.pieces(id).getFirst().worker()).isEqualTo("alive");
        assertThat(Duration.between(died, jobs.pieces(id).getFirst().startedAt())).isLessThan(Duration.ofSeconds(12));
    }

    @Test
    void aDispatcherThatStopsHandsItsJobBackAndTheNextOneTakesIt() throws Exception {
        String id = submit();
        CountDownLatch running = new CountDownLatch(1);
        Dispatcher first = start("first", (inputs, device, progress) -> FakeRun.endless(inputs, progress, running::countDown), "cpu");
        assertThat(running.await(20, TimeUnit.SECONDS)).isTrue();
        first.stop();
        assertThat(state(id)).isEqualTo(JobState.QUEUED);
        assertThat(queued()).isEqualTo(1);
        start("second", FakeRun.QUICK, "cpu");
        await().atMost(Duration.ofSeconds(10)).until(() -> state(id) == JobState.SUCCEEDED);
        assertThat(jobs.find(id).orElseThrow().attempt()).isEqualTo(3);
    }

    @Test
    void aCancelReachesARunningJobAndTheQueueGoesOn() throws Exception {
        String stuck = submit();
        String next = submit();
        CountDownLatch running = new CountDownLatch(1);
        start("w", (inputs, device, progress) -> inputs.workDirectory().toString().contains(stuck)
                ? FakeRun.endless(inputs, progress, running::countDown)
                : FakeRun.QUICK.execute(inputs, device, progress), "cpu");
        assertThat(running.await(20, TimeUnit.SECONDS)).isTrue();
        jobs.cancel(stuck);
        await().atMost(Duration.ofSeconds(5)).until(() -> state(stuck) == JobState.CANCELLED);
        await().atMost(Duration.ofSeconds(10)).until(() -> state(next) == JobState.SUCCEEDED);
        await().untilAsserted(() -> assertThat(queued()).isZero());
    }

    private Dispatcher start(String name, FakeRun.Whole workshop, String... devices) {
        return start(name, database, workshop, devices);
    }

    private Dispatcher start(String name, DataSource database, FakeRun.Whole workshop, String... devices) {
        Worker worker = new Worker(name, settings.directory(),
                new Worker.Products(artifacts, shelf, slices, new TransactionTemplate(transactions)),
                leases, reports, FakeRun.workshop(workshop), new Worker.Manner(0, Duration.ZERO, Duration.ZERO));
        Dispatcher dispatcher = new Dispatcher(name, database, clock,
                () -> Stream.of(devices).map(device -> new ComputeDevice(device, 0)).toList(), worker,
                new WorkerSettings.Worker(true, "auto", DataSize.ofBytes(0), 0, Duration.ofSeconds(2), 4, Duration.ofMillis(100),
                        Duration.ZERO, Duration.ZERO,
                        Duration.ofSeconds(10)));
        dispatcher.start();
        started.add(dispatcher);
        return dispatcher;
    }

    private String submit() {
        return jobs.submit(Orders.recipe(), Orders.inputs()).id();
    }

    private JobState state(String id) {
        return jobs.find(id).orElseThrow().state();
    }

    private long queued() {
        return jdbc.queryForObject("select count(*) from scheduled_tasks", Long.class);
    }
}
