package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import javax.sql.DataSource;

import io.espalier.EspalierApplication;
import io.espalier.Orders;
import io.espalier.artifact.Artifacts;
import io.espalier.job.JobState;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJobs;
import io.espalier.job.SliceShelf;
import io.espalier.pruning.ComputeDevice;
import io.espalier.recipe.ScoreShelf;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.transaction.support.TransactionTemplate;
import org.springframework.util.unit.DataSize;

/** The service on a PostgreSQL that is held up, cut off and restarted under it, with workers whose runs are made up. */
class DatabaseTroubleTest {

    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static final Duration HEARTBEAT = Duration.ofSeconds(1);
    private static final Set<Integer> SERVED_OR_TOLD = Set.of(200, 202, 409, 503);

    @TempDir
    private Path temp;
    private EmbeddedPostgres server;
    private ConfigurableApplicationContext service;
    private PruningJobs jobs;
    private PieceReports reports;
    private Leases leases;
    private final List<Dispatcher> workers = new ArrayList<>();

    @BeforeEach
    void start() throws IOException {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        server = postgres(port);
        service = new SpringApplicationBuilder(EspalierApplication.class).run("--espalier.data-dir=" + temp, "--server.port=0",
                "--espalier.worker.enabled=false", "--espalier.database.mode=external", "--spring.datasource.url=" + url(),
                "--spring.datasource.username=postgres", "--spring.datasource.password=postgres", "--espalier.database.check=200ms",
                "--espalier.database.connections.api=3", "--espalier.database.connections.worker=5",
                "--espalier.database.connections.lock-timeout=700ms", "--espalier.database.connections.acquire-timeout=700ms");
        jobs = service.getBean(PruningJobs.class);
        reports = service.getBean(PieceReports.class);
        leases = service.getBean(Leases.class);
    }

    @AfterEach
    void stop() throws IOException {
        workers.forEach(Dispatcher::stop);
        service.close();
        server.close();
    }

    private EmbeddedPostgres postgres(int port) throws IOException {
        return EmbeddedPostgres.builder().setPort(port).setDataDirectory(temp.resolve("data").toFile()).setCleanDataDirectory(false)
                .setOverrideWorkingDirectory(Path.of("target/postgres").toFile()).start();
    }

    private String url() {
        return "jdbc:postgresql://127.0.0.1:" + server.getPort() + "/postgres";
    }

    @Test
    void aForeignClientThatHoldsAJobHoldsUpThatJobAlone() throws Exception {
        CountDownLatch working = new CountDownLatch(1);
        CountDownLatch held = new CountDownLatch(1);
        String stuck = submit();
        worker("one", (inputs, device, progress) -> {
            if (inputs.workDirectory().toString().contains(stuck)) {
                working.countDown();
                reached(held);
            }
            return FakeRun.QUICK.execute(inputs, device, progress);
        }, "cpu:0", "cpu:1");
        reached(working);
        try (Connection foreign = DriverManager.getConnection(url(), "postgres", "postgres")) {
            foreign.setAutoCommit(false);
            foreign.createStatement().execute("select * from pruning_job where id = '" + stuck + "' for update");
            held.countDown();
            HttpResponse<String> cancel = send("POST", "/v1/pruning-jobs/" + stuck + "/cancel");
            assertThat(cancel.statusCode()).isEqualTo(503);
            assertThat(cancel.body()).contains("\"code\":\"unavailable\"",
                    "another client of the database holds what this request has to change");
            assertThat(send("GET", "/v1/pruning-jobs/" + stuck).statusCode()).as("looking is free").isEqualTo(200);
            String other = submit();
            await().atMost(Duration.ofSeconds(30)).until(() -> state(other) == JobState.SUCCEEDED);
            assertThat(state(stuck)).isEqualTo(JobState.RUNNING);
            foreign.commit();
        }
        await().atMost(Duration.ofSeconds(30)).until(() -> state(stuck) == JobState.SUCCEEDED);
        assertThat(jobs.find(stuck).orElseThrow().attempt()).as("its worker wrote until it got through").isEqualTo(2);
    }

    @Test
    void aForeignClientThatHoldsAnEntryOfTheQueueKeepsNoOtherHeartFromBeating() throws Exception {
        CountDownLatch working = new CountDownLatch(2);
        List<String> both = List.of(submit(), submit());
        worker("one", (inputs, device, progress) -> FakeRun.endless(inputs, progress, working::countDown), "cpu:0", "cpu:1");
        reached(working);
        try (Connection foreign = DriverManager.getConnection(url(), "postgres", "postgres")) {
            foreign.setAutoCommit(false);
            foreign.createStatement()
                    .execute("select * from scheduled_tasks where task_instance like '" + both.getFirst() + "/%' for update");
            worker("other", FakeRun.QUICK, "cpu:0");
            // why: several leases long
            await().during(Duration.ofSeconds(9)).atMost(Duration.ofSeconds(15)).until(
                    () -> "one".equals(jobs.pieces(both.getLast()).getLast().worker()));
            foreign.rollback();
        }
        assertThat(jobs.pieces(both.getLast()).getLast().lostWorkers()).isZero();
    }

    @Test
    void requestsThatTakeEveryConnectionLeaveTheWorkerAlone() throws Exception {
        CountDownLatch working = new CountDownLatch(1);
        String job = submit();
        worker("one", (inputs, device, progress) -> FakeRun.endless(inputs, progress, working::countDown), "cpu:0");
        reached(working);
        String wanted = submit();
        Set<Integer> statuses = new ConcurrentSkipListSet<>();
        try (Connection foreign = DriverManager.getConnection(url(), "postgres", "postgres")) {
            foreign.setAutoCommit(false);
            foreign.createStatement().execute("select * from pruning_job where id = '" + wanted + "' for update");
            try (Load load = new Load(12, () -> statuses.add(send("POST", "/v1/pruning-jobs/" + wanted + "/cancel").statusCode()))) {
                // why: several leases long
                await().during(Duration.ofSeconds(9)).atMost(Duration.ofSeconds(15)).until(
                        () -> load.goesOn() && jobs.pieces(job).getLast().attempt() == 2);
                assertThat(send("GET", "/readyz").statusCode()).as("the database is there").isEqualTo(200);
            }
            foreign.rollback();
        }
        assertThat(statuses).containsExactly(503);
        assertThat(jobs.pieces(job).getLast().lostWorkers()).isZero();
        assertThat(send("POST", "/v1/pruning-jobs/" + wanted + "/cancel").statusCode()).isEqualTo(200);
    }

    @Test
    void connectionsCutOneByOneUnderLoadCostNoJob() throws Exception {
        List<String> ordered = IntStream.range(0, 20).mapToObj(i -> submit()).toList();
        Set<Integer> statuses = new ConcurrentSkipListSet<>();
        worker("one", DatabaseTroubleTest::aWhile, "cpu:0", "cpu:1");
        try (Load load = new Load(3, () -> statuses.add(send("GET", "/v1/pruning-jobs?limit=5").statusCode()));
                Connection admin = DriverManager.getConnection(url(), "postgres", "postgres")) {
            for (int i = 0; i < 60; i++) {
                admin.createStatement()
                        .execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'espalier%'"
                                + " order by random() limit 1");
                Thread.sleep(50);
            }
            assertThat(load.goesOn()).isTrue();
        }
        assertThat(statuses).contains(200).isSubsetOf(SERVED_OR_TOLD);
        allSucceed(ordered);
    }

    @Test
    void aRestartOfTheDatabaseUnderLoadCostsNoJob() throws Exception {
        List<String> ordered = IntStream.range(0, 20).mapToObj(i -> submit()).toList();
        Set<Integer> statuses = new ConcurrentSkipListSet<>();
        worker("one", DatabaseTroubleTest::aWhile, "cpu:0", "cpu:1");
        await().until(() -> jobs.list(JobState.SUCCEEDED, null, 100).size() > 2);
        try (Load load = new Load(3, () -> statuses.add(send("GET", "/v1/pruning-jobs?limit=5").statusCode()))) {
            int port = server.getPort();
            server.close();
            await().until(() -> send("GET", "/readyz").statusCode() == 503);
            assertThat(send("GET", "/livez").statusCode()).isEqualTo(200);
            HttpResponse<String> refused = send("GET", "/v1/pruning-jobs");
            assertThat(refused.statusCode()).isEqualTo(503);
            assertThat(refused.body()).contains("the database does not answer");
            server = postgres(port);
            await().atMost(Duration.ofSeconds(30)).until(() -> send("GET", "/readyz").statusCode() == 200);
            assertThat(load.goesOn()).isTrue();
        }
        assertThat(statuses).contains(200, 503).isSubsetOf(SERVED_OR_TOLD);
        allSucceed(ordered);
    }

    @Test
    void noTransactionIsOpenWhileADeviceWorks() throws Exception {
        CountDownLatch working = new CountDownLatch(1);
        CountDownLatch done = new CountDownLatch(1);
        String job = submit();
        worker("one", (inputs, device, progress) -> {
            working.countDown();
            reached(done);
            return FakeRun.QUICK.execute(inputs, device, progress);
        }, "cpu:0");
        reached(working);
        for (int i = 0; i < 20; i++) {
            Thread.sleep(50);
            assertThat(number("select count(*) from pg_stat_activity where application_name like 'espalier%'"
                    + " and clock_timestamp() - xact_start > interval '300 milliseconds'")).isZero();
        }
        assertThat(number("select count(*) from pg_stat_activity where application_name like 'espalier api %/"
                + ProcessHandle.current().pid() + "'")).as("and one can see whose connections they are").isPositive();
        assertThat(number("select count(*) from pg_stat_activity where application_name like 'espalier housekeeping %/"
                + ProcessHandle.current().pid() + "'")).isPositive();
        done.countDown();
        allSucceed(List.of(job));
    }

    @Test
    void aWorkerThatIsClosedHandsBackWhatItHasAndTakesNothingMore() throws Exception {
        CountDownLatch working = new CountDownLatch(1);
        String job = submit();
        Dispatcher old = worker("old", (inputs, device, progress) -> FakeRun.endless(inputs, progress, working::countDown), "cpu:0");
        reached(working);
        old.closed(new AvailabilityChangeEvent<>("schema version 99", ReadinessState.REFUSING_TRAFFIC));
        await().atMost(Duration.ofSeconds(20)).until(() -> !old.isRunning() && state(job) == JobState.QUEUED);
        worker("new", FakeRun.QUICK, "cpu:0");
        allSucceed(List.of(job));
        assertThat(jobs.pieces(job).getLast().worker()).isEqualTo("new");
    }

    /** A run of some tenths of a second, so that there is something to disturb. */
    private static io.espalier.pruning.PruningRun.Outcome aWhile(FakeRun.At inputs, ComputeDevice device,
            io.espalier.recipe.Progress progress) {
        try {
            Thread.sleep(200);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        return FakeRun.QUICK.execute(inputs, device, progress);
    }

    private void allSucceed(List<String> ordered) {
        // why: on a connection of its own, since one of the pool may be the one that was cut last
        String named = String.join("', '", ordered);
        await().atMost(Duration.ofSeconds(120)).until(() -> number("select count(*) from pruning_job where state = 'succeeded' and id in ('"
                + named + "')") == ordered.size());
        await().atMost(Duration.ofSeconds(30)).until(() -> number("select count(*) from scheduled_tasks") == 0);
    }

    private Dispatcher worker(String name, FakeRun.Whole workshop, String... devices) {
        Worker worker = new Worker(name, service.getBean(WorkerSettings.class).directory(), new Worker.Products(
                service.getBean(Artifacts.class), service.getBean(ScoreShelf.class), service.getBean(SliceShelf.class),
                service.getBean(TransactionTemplate.class)), leases, reports, FakeRun.workshop(workshop),
                new Worker.Manner(0, Duration.ZERO, Duration.ZERO));
        Dispatcher dispatcher = new Dispatcher(name, service.getBean("queueConnections", DataSource.class), service.getBean(Clock.class),
                () -> Stream.of(devices).map(device -> new ComputeDevice(device, 0)).toList(), worker,
                new WorkerSettings.Worker(true, "auto", DataSize.ofBytes(0), 0, HEARTBEAT, 4, Duration.ofMillis(100),
                        Duration.ZERO, Duration.ZERO, Duration.ofSeconds(5)));
        dispatcher.start();
        workers.add(dispatcher);
        return dispatcher;
    }

    private String submit() {
        return jobs.submit(Orders.recipe(), Orders.inputs()).id();
    }

    private JobState state(String id) {
        return jobs.find(id).orElseThrow().state();
    }

    private long number(String sql) {
        try (Connection connection = DriverManager.getConnection(url(), "postgres", "postgres");
                ResultSet rows = connection.createStatement().executeQuery(sql)) {
            rows.next();
            return rows.getLong(1);
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    private HttpResponse<String> send(String method, String path) throws IOException, InterruptedException {
        return CLIENT.send(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + service.getEnvironment().getProperty("local.server.port")
                + path)).method(method, HttpRequest.BodyPublishers.noBody()).timeout(Duration.ofSeconds(30)).build(),
                HttpResponse.BodyHandlers.ofString());
    }

    private static void reached(CountDownLatch latch) {
        await().atMost(Duration.ofSeconds(60)).until(() -> latch.getCount() == 0);
    }

    /** Threads that ask again and again until they are told to stop. */
    private static final class Load implements AutoCloseable {

        private final AtomicBoolean stopped = new AtomicBoolean();
        private final List<Thread> threads;

        @FunctionalInterface
        private interface Asking {
            void ask() throws IOException, InterruptedException;
        }

        Load(int threads, Asking asking) {
            this.threads = IntStream.range(0, threads).mapToObj(i -> Thread.ofVirtual().start(() -> {
                try {
                    while (!stopped.get()) {
                        asking.ask();
                    }
                } catch (IOException | InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            })).toList();
        }

        /** Whether every one of them still gets answers, of whatever kind. */
        boolean goesOn() {
            return threads.stream().allMatch(Thread::isAlive);
        }

        @Override
        public void close() {
            stopped.set(true);
            threads.forEach(thread -> {
                try {
                    thread.join();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            });
        }
    }
}
