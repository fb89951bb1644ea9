package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import javax.sql.DataSource;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.artifact.Artifacts;
import io.espalier.job.JobState;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJobs;
import io.espalier.job.SliceShelf;
import io.espalier.platform.Clocks;
import io.espalier.pruning.ComputeDevice;
import io.espalier.recipe.ScoreShelf;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.support.TransactionTemplate;
import org.springframework.util.unit.DataSize;

/** Two workers on one database whose machines' clocks are two hours apart. */
@OfficeTest
class SkewedClocksTest {

    private static final Duration HOUR = Duration.ofHours(1);

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
    private SliceShelf slices;
    @Autowired
    private WorkerSettings settings;
    @Autowired
    private TransactionTemplate transaction;
    @Autowired
    private DataSource database;
    @Autowired
    private JdbcTemplate jdbc;
    private final List<Dispatcher> started = new ArrayList<>();
    private final CountDownLatch running = new CountDownLatch(1);

    @BeforeEach
    void empty() {
        jdbc.execute("truncate pruning_job, artifact, score_set, scheduled_tasks cascade");
    }

    @AfterEach
    void stop() {
        started.forEach(Dispatcher::stop);
    }

    @Test
    void aLiveWorkersPieceIsLeftAloneByAMachineThatIsAhead() throws Exception {
        String id = running(Clocks.onAMachineAheadBy(HOUR.negated(), database));
        start("other", FakeRun.QUICK, Clocks.onAMachineAheadBy(HOUR, database));
        // why: several leases long
        assertThat(jobs.find(id)).get().satisfies(job -> await().during(Duration.ofSeconds(4)).atMost(Duration.ofSeconds(10))
                .until(() -> jobs.find(id).orElseThrow().attempt() == job.attempt()));
        assertThat(jobs.pieces(id).getLast().worker()).isEqualTo("one");
    }

    /** What the test above would see if workers went by their machines. */
    @Test
    void byTheMachinesOwnClocksItWouldBeTaken() throws Exception {
        String id = running(Clock.offset(Clock.systemUTC(), HOUR.negated()));
        start("other", FakeRun.QUICK, Clock.offset(Clock.systemUTC(), HOUR));
        await().atMost(Duration.ofSeconds(20)).until(() -> "other".equals(jobs.pieces(id).getLast().worker()));
    }

    @Test
    void aDeadWorkersPieceIsTakenWithinItsLeaseByAMachineThatIsBehind() throws Exception {
        String id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        leases.claim(id + "/0/1", "dead", "cpu");
        jdbc.update(
                "update scheduled_tasks set picked = true, picked_by = 'dead', last_heartbeat = clock_timestamp(), version = version + 1");
        start("other", FakeRun.QUICK, Clocks.onAMachineAheadBy(HOUR.negated(), database));
        await().atMost(Duration.ofSeconds(20)).until(() -> jobs.find(id).orElseThrow().state() == JobState.SUCCEEDED);
        assertThat(jobs.pieces(id).getFirst().worker()).isEqualTo("other");
    }

    /** A job whose finishing piece one worker is at. */
    private String running(Clock clock) throws Exception {
        String id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        // why: entries are due since the order; a clock that is an hour behind would not see this one yet
        jdbc.update("update scheduled_tasks set execution_time = execution_time - interval '3 hours'");
        start("one", (inputs, device, progress) -> FakeRun.endless(inputs, progress, running::countDown), clock);
        await().atMost(Duration.ofSeconds(20)).until(() -> {
            jdbc.update("update scheduled_tasks set execution_time = execution_time - interval '3 hours' where not picked");
            return running.getCount() == 0;
        });
        assertThat(running.await(1, TimeUnit.SECONDS)).isTrue();
        return id;
    }

    private void start(String name, FakeRun.Whole workshop, Clock clock) {
        Worker worker = new Worker(name, settings.directory(), new Worker.Products(artifacts, shelf, slices, transaction), leases, reports,
                FakeRun.workshop(workshop), new Worker.Manner(0, Duration.ZERO, Duration.ZERO));
        Dispatcher dispatcher = new Dispatcher(name, database, clock, () -> List.of(new ComputeDevice("cpu", 0)), worker,
                new WorkerSettings.Worker(true, "auto", DataSize.ofBytes(0), 0, Duration.ofMillis(200), 4, Duration.ofMillis(100),
                        Duration.ZERO, Duration.ZERO, Duration.ofSeconds(5)));
        dispatcher.start();
        started.add(dispatcher);
    }
}
