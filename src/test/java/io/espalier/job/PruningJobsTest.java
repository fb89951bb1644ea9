package io.espalier.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.recipe.Violation;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

@OfficeTest
class PruningJobsTest {

    @Autowired
    private PruningJobs jobs;
    @Autowired
    private Leases leases;
    @Autowired
    private PieceReports reports;
    @Autowired
    private JdbcTemplate jdbc;
    @Autowired
    private PlatformTransactionManager transactions;

    @BeforeEach
    void empty() {
        jdbc.execute("truncate pruning_job, scheduled_tasks cascade");
    }

    @Test
    void anOrderComesBackAsItWasGiven() {
        PruningJob given = jobs.submit(Orders.recipe(), Orders.inputs());
        PruningJob found = jobs.find(given.id()).orElseThrow();
        assertThat(found.recipe()).isEqualTo(Orders.recipe());
        assertThat(found.recipe().budget().ratio()).hasToString("0.90");
        assertThat(found.inputs()).isEqualTo(Orders.inputs());
        assertThat(found.state()).isEqualTo(JobState.QUEUED);
        assertThat(found.createdAt()).isEqualTo(given.createdAt()).isEqualTo(given.createdAt().truncatedTo(ChronoUnit.MICROS));
        assertThat(found.progress()).isEqualTo(JobProgress.NONE);
        assertThat(found.attempt()).isZero();
        assertThat(found.id()).matches("job_[0-9a-z]{26}");
        assertThat(jdbc.queryForObject("select recipe::text from pruning_job", String.class))
                .contains("\"ratio\": 0.90", "\"ratio_of\": \"routed_atoms\"", "\"sequence_length\": 64", "\"layout\": \"uniform\"");
    }

    @Test
    void anOrderAndItsPlaceInTheQueueAreTakenTogetherOrNotAtAll() {
        TransactionTemplate transaction = new TransactionTemplate(transactions);
        transaction.executeWithoutResult(status -> {
            jobs.submit(Orders.recipe(), Orders.inputs());
            status.setRollbackOnly();
        });
        assertThat(jdbc.queryForObject("select count(*) from scheduled_tasks", Long.class)).isZero();
        String id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        assertThat(jdbc.queryForList("select task_instance from scheduled_tasks", String.class)).containsExactly(id + "/0/1");
        assertThat(jdbc.queryForList("select id from pruning_job", String.class)).containsExactly(id);
    }

    @Test
    void jobsAreListedNewestFirstPageByPage() {
        List<String> ids = IntStream.range(0, 5).mapToObj(i -> jobs.submit(Orders.recipe(), Orders.inputs()).id()).toList().reversed();
        jobs.cancel(ids.get(1));
        assertThat(jobs.list(null, null, 2)).extracting(PruningJob::id).containsExactly(ids.get(0), ids.get(1));
        assertThat(jobs.list(null, ids.get(1), 10)).extracting(PruningJob::id).containsExactly(ids.get(2), ids.get(3), ids.get(4));
        assertThat(jobs.list(JobState.CANCELLED, null, 10)).extracting(PruningJob::id).containsExactly(ids.get(1));
        assertThat(jobs.list(JobState.QUEUED, ids.get(0), 2)).extracting(PruningJob::id).containsExactly(ids.get(2), ids.get(3));
    }

    @Test
    void aJobsHistoryTellsItsWholeLifeInOrder() {
        Lease lease = claimed();
        reports.enter(lease, Phase.OPEN);
        reports.enter(lease, Phase.CALIBRATE);
        reports.note(lease, "experts_unrouted", "2 experts got no token", Map.of("experts", List.of("0:1", "2:3"), "share", 0.125));
        reports.fail(lease,
                new JobError(ErrorCode.TOO_FEW_TOKENS, "too few", List.of(new Violation("calibration.sequences", "8", "at most 4"))));
        List<JobEvent> events = jobs.events(lease.jobId(), 0, 100);
        assertThat(events).extracting(JobEvent::type).containsExactly("queued", "running", "piece_started", "phase_started",
                "phase_finished",
                "phase_started",
                "experts_unrouted", "failed");
        assertThat(events).extracting(JobEvent::seq).containsExactly(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L);
        assertThat(events).extracting(JobEvent::at).isSorted();
        assertThat(events.get(6).data()).isEqualTo(Map.of("experts", List.of("0:1", "2:3"), "share", 0.125));
        assertThat(events.get(7).data()).containsEntry("code", "too_few_tokens");
        assertThat(jobs.events(lease.jobId(), 4, 2)).extracting(JobEvent::seq).containsExactly(5L, 6L);

        PruningJob job = jobs.find(lease.jobId()).orElseThrow();
        assertThat(job.phases()).extracting(PhaseTimes::phase).containsExactly(Phase.OPEN, Phase.CALIBRATE);
        assertThat(job.phases().getFirst().finishedAt()).isEqualTo(job.phases().getLast().startedAt());
        assertThat(job.phases().getLast().finishedAt()).isNull();
        assertThat(job.error().violations()).containsExactly(new Violation("calibration.sequences", "8", "at most 4"));
    }

    @Test
    void eventsWrittenAtOnceAreNumberedWithoutAGap() throws Exception {
        Lease lease = claimed();
        try (ExecutorService pool = Executors.newFixedThreadPool(4)) {
            List<Future<?>> all = IntStream.range(0, 40)
                    .<Future<?>>mapToObj(i -> pool.submit(() -> reports.note(lease, "noted", "note " + i, Map.of("i", i)))).toList();
            for (Future<?> one : all) {
                one.get();
            }
        }
        assertThat(jobs.events(lease.jobId(), 0, 100)).extracting(JobEvent::seq)
                .containsExactlyElementsOf(LongStream.rangeClosed(1, 43).boxed().toList());
    }

    @Test
    void progressIsStoredAndNeverFalls() {
        Lease lease = claimed();
        long version = jobs.find(lease.jobId()).orElseThrow().version();
        assertThat(reports.progress(lease, new Progress.Tick(Phase.CALIBRATE, 40, 3, 28, 1234.5))).isTrue();
        assertThat(reports.progress(lease, new Progress.Tick(Phase.CALIBRATE, 39, 4, null, null))).isTrue();
        PruningJob job = jobs.find(lease.jobId()).orElseThrow();
        assertThat(job.progress().percent()).isEqualTo(40);
        assertThat(job.progress().layer()).isEqualTo(4);
        assertThat(job.progress().layers()).isEqualTo(28);
        assertThat(job.progress().tokensPerSecond()).isNull();
        assertThat(job.progress().etaSeconds()).isNotNull();
        assertThat(job.version()).isEqualTo(version + 2);
    }

    @Test
    void aQueuedJobIsCancelledAtOnceAndNeverClaimed() {
        String id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        assertThat(jobs.cancel(id).state()).isEqualTo(JobState.CANCELLED);
        assertThat(jobs.find(id).orElseThrow().finishedAt()).isNotNull();
        assertThat(leases.claim(id + "/0/1", "w", "cpu")).isEmpty();
        assertThat(jobs.cancel(id).state()).isEqualTo(JobState.CANCELLED);
        assertThatThrownBy(() -> jobs.cancel("job_none")).isInstanceOf(NoSuchJobException.class).hasMessageContaining("job_none");
    }

    @Test
    void aRunningJobIsCancellingUntilItsWorkerConfirms() {
        Lease lease = claimed();
        assertThat(jobs.cancel(lease.jobId()).state()).isEqualTo(JobState.CANCELLING);
        assertThat(jobs.cancel(lease.jobId()).state()).isEqualTo(JobState.CANCELLING);
        assertThat(reports.progress(lease, new Progress.Tick(Phase.SCORE, 50, null, null, null))).isFalse();
        assertThatThrownBy(() -> reports.fail(lease, new JobError(ErrorCode.NOT_FINITE, "NaN", null)))
                .isInstanceOf(JobStateException.class);
        assertThatThrownBy(() -> reports.release(lease)).isInstanceOf(JobStateException.class);
        reports.stopped(lease);
        assertThat(jobs.find(lease.jobId()).orElseThrow().state()).isEqualTo(JobState.CANCELLED);
        assertThat(jobs.events(lease.jobId(), 3, 10)).extracting(JobEvent::type).containsExactly("cancelling", "cancelled");
    }

    @Test
    void aCancelOutlivesTheWorkerThatWasToHearIt() {
        Lease lease = claimed();
        jobs.cancel(lease.jobId());
        assertThat(leases.claim(lease.jobId() + "/0/1", "another", "cpu")).isEmpty();
        assertThat(jobs.find(lease.jobId()).orElseThrow().state()).isEqualTo(JobState.CANCELLED);
    }

    @Test
    void aJobHandedBackStartsAgainFromNothing() {
        Lease first = claimed();
        reports.enter(first, Phase.OPEN);
        reports.progress(first, new Progress.Tick(Phase.OPEN, 10, 1, 2, 3.0));
        reports.release(first);
        PruningJob waiting = jobs.find(first.jobId()).orElseThrow();
        assertThat(waiting.state()).isEqualTo(JobState.QUEUED);
        assertThat(leases.claim(first.jobId() + "/0/1", "w2", "gpu:0").orElseThrow().attempt()).isEqualTo(2);
    }

    @Test
    void aWorkerThatLostItsJobChangesNothing() {
        Lease lost = claimed();
        Lease holds = leases.claim(lost.jobId() + "/0/1", "rescuer", "cpu").orElseThrow();
        String before = row(lost.jobId());
        List<Consumer<Lease>> writes = List.of(
                lease -> reports.progress(lease, new Progress.Tick(Phase.CHECK, 99, 1, 1, 1.0)),
                lease -> reports.enter(lease, Phase.CHECK),
                lease -> reports.note(lease, "late", "too late", Map.of()),
                lease -> reports.succeed(lease, null, "art_late", "scr_late"),
                lease -> reports.fail(lease, new JobError(ErrorCode.INTERNAL_ERROR, "late", null)),
                reports::stopped,
                reports::release);
        for (Consumer<Lease> write : writes) {
            assertThatThrownBy(() -> write.accept(lost)).isInstanceOf(LeaseLostException.class)
                    .hasMessageContaining("attempt 1 of " + lost.jobId()).hasMessageContaining("running");
        }
        assertThat(row(lost.jobId())).isEqualTo(before);
        reports.fail(holds, new JobError(ErrorCode.NOT_FINITE, "NaN", null));
        for (Consumer<Lease> write : writes) {
            assertThatThrownBy(() -> write.accept(holds)).isInstanceOf(LeaseLostException.class).hasMessageContaining("failed");
        }
    }

    @Test
    void twoClaimsAtOnceNeverGetTheSameAttempt() throws Exception {
        String id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        CountDownLatch go = new CountDownLatch(1);
        try (ExecutorService pool = Executors.newFixedThreadPool(4)) {
            List<Future<Optional<Lease>>> claims = IntStream.range(0, 4).mapToObj(i -> pool.submit(() -> {
                go.await();
                return leases.claim(id + "/0/1", "w" + i, "cpu");
            })).toList();
            go.countDown();
            List<Integer> attempts = claims.stream().map(claim -> {
                try {
                    return claim.get().orElseThrow().attempt();
                } catch (Exception e) {
                    throw new AssertionError(e);
                }
            }).sorted().toList();
            assertThat(attempts).containsExactly(1, 2, 3, 4);
        }
    }

    @Test
    void onlyTheAttemptThatHoldsTheJobMayPublish() {
        Lease first = claimed();
        assertThat(leases.mayPublish(first.artifactId())).isTrue();
        Lease second = leases.claim(first.jobId() + "/0/1", "w", "cpu").orElseThrow();
        assertThat(leases.mayPublish(first.artifactId())).isFalse();
        assertThat(leases.mayPublish(second.artifactId())).isTrue();
        assertThat(leases.mayPublish(Lease.furtherArtifactId(second.artifactId(), 8))).isTrue();
        assertThat(leases.mayPublish(Lease.furtherArtifactId(first.artifactId(), 1))).isFalse();
        assertThat(leases.mayPublish("lost+found")).isFalse();
        reports.fail(second, new JobError(ErrorCode.NOT_FINITE, "NaN", null));
        assertThat(leases.mayPublish(second.artifactId())).isFalse();
    }

    @Test
    void anAttemptThatIsOverHasGivenUpItsArtifactUnlessItsJobIsOlderThanTheDatabase() {
        Lease first = claimed();
        assertThat(leases.gaveUp(first.artifactId())).isFalse();
        Lease second = leases.claim(first.jobId() + "/0/1", "w", "cpu").orElseThrow();
        assertThat(leases.gaveUp(first.artifactId())).isTrue();
        assertThat(leases.gaveUp(second.artifactId())).isFalse();
        assertThat(leases.gaveUp("lost+found")).isFalse();
        assertThat(leases.gaveUp("art_01m8862e0zad5egzdyvn4fmdcm1")).as("of a job before the database was there").isFalse();
        assertThat(leases.gaveUp("art_7z0000000000000000000000001")).as("of one that came later and was deleted").isTrue();
    }

    @ParameterizedTest
    @EnumSource
    void theDatabaseHoldsTheSameTableOfStates(JobState from) {
        for (JobState to : JobState.values()) {
            String id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
            jdbc.execute("alter table pruning_job disable trigger pruning_job_transition");
            jdbc.update(SET_STATE, from.json(), from.terminal(), from.json(), from.json(), id);
            jdbc.execute("alter table pruning_job enable trigger pruning_job_transition");
            Runnable move = () -> jdbc.update(SET_STATE, to.json(), to.terminal(), to.json(), to.json(), id);
            if (from == to || from.mayBecome(to)) {
                move.run();
            } else {
                assertThatThrownBy(move::run).as("%s -> %s", from, to).hasMessageContaining(from.json() + " may not become " + to.json());
            }
        }
    }

    private static final String SET_STATE = """
            update pruning_job set state = ?, finished_at = case when ? then now() end, started_at = now(), attempt = 1,
                result = case when ? = 'succeeded' then '{}'::jsonb end, error = case when ? = 'failed'
                    then '{"code": "io_error", "message": "", "violations": []}'::jsonb end where id = ?""";

    private Lease claimed() {
        Lease lease = leases.claim(jobs.submit(Orders.recipe(), Orders.inputs()).id() + "/0/1", "w1", "cpu").orElseThrow();
        assertThat(lease.startedAt()).isBeforeOrEqualTo(Instant.now());
        return lease;
    }

    private String row(String id) {
        return jdbc.queryForObject(
                "select row_to_json(j)::text || (select count(*) from job_event where job_id = j.id) from pruning_job j where id = ?",
                String.class, id);
    }
}
