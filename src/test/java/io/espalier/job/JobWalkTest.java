package io.espalier.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.test.context.TestPropertySource;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * Random interleavings of verbs, claims, results, crashes, lost leases and late writes, on a real database. After each step: every change of state is one
 * of the table's, histories have no gap, whatever should go on can go on, and who lost a lease has changed nothing. In the end honest workers carry out
 * what is left, and every job that nobody stopped succeeds. {@code -Dwalks=1000} walks longer; a seed's walk is always the same.
 */
@OfficeTest
@TestPropertySource(properties = {"espalier.jobs.poison-after=4", "espalier.jobs.housekeeping=1h", "espalier.jobs.project-cap=4"})
class JobWalkTest {

    private static final Logger log = LoggerFactory.getLogger("walk");
    private static final int STEPS = 120;
    private static final int SLICES = 3;

    @Autowired
    private PruningJobs jobs;
    @Autowired
    private Leases leases;
    @Autowired
    private PieceReports reports;
    @Autowired
    private Housekeeping house;
    @Autowired
    private JdbcTemplate jdbc;
    @Autowired
    private PlatformTransactionManager transactions;

    /** Leases that their workers believe in; some are lost. */
    private final List<Lease> held = new ArrayList<>();
    private final Map<String, JobState> states = new HashMap<>();
    private final Map<String, Integer> successes = new HashMap<>();
    private final List<String> story = new ArrayList<>();
    private Random random;

    static IntStream seeds() {
        return IntStream.range(0, Integer.getInteger("walks", 6));
    }

    @BeforeEach
    void empty() {
        jdbc.execute("truncate pruning_job, artifact, score_set, scheduled_tasks cascade");
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void noInterleavingBreaksAJob(int seed) {
        random = new Random(seed);
        try {
            for (int step = 0; step < STEPS; step++) {
                step();
                hold();
            }
            carryOutWhatIsLeft();
        } catch (AssertionError | RuntimeException e) {
            log.error("seed {}:\n{}", seed, String.join("\n", story));
            throw e;
        }
    }

    private void step() {
        List<String> ids = jdbc.queryForList("select id from pruning_job order by id", String.class);
        int what = random.nextInt(100);
        if (ids.isEmpty() || what < 6) {
            tell("submit", () -> jobs.submit(Orders.recipe("p" + random.nextInt(2), random.nextInt(3)), Orders.inputs()));
        } else if (what < 40) {
            claim();
        } else if (what < 75 && !held.isEmpty()) {
            work(held.get(random.nextInt(held.size())));
        } else if (what < 80 && !held.isEmpty()) {
            story.add("crash of " + words(held.remove(random.nextInt(held.size()))));
        } else if (what < 84) {
            tell("housekeeping", () -> {
                house.keepHouse();
                assertThat(house.contradictory()).as("nothing needs mending that only verbs have touched").isEmpty();
            });
        } else {
            verb(ids.get(random.nextInt(ids.size())));
        }
    }

    private void verb(String id) {
        record Verb(String name, Consumer<String> verb) {}
        List<Verb> verbs = List.of(new Verb("cancel", jobs::cancel), new Verb("pause", jobs::pause), new Verb("resume", jobs::resume),
                new Verb("retry", jobs::retry), new Verb("resume", jobs::resume), new Verb("retry", jobs::retry),
                new Verb("delete", random.nextInt(6) == 0 ? jobs::delete : jobs::resume));
        Verb verb = verbs.get(random.nextInt(verbs.size()));
        tell(verb.name + " " + id, () -> verb.verb.accept(id));
        if (jobs.find(id).isEmpty()) {
            states.remove(id);
        }
    }

    /** Any entry may come up: the queue hands one out again when it thinks that its worker is dead. */
    private void claim() {
        List<String> entries = jdbc.queryForList("select task_instance from scheduled_tasks order by 1", String.class);
        if (!entries.isEmpty()) {
            String entry = entries.get(random.nextInt(entries.size()));
            tell("claim " + entry,
                    () -> leases.claim(entry, "w" + random.nextInt(3), "cpu").ifPresentOrElse(held::add, () -> gone(entry)));
        }
    }

    /** What a worker does with a piece; a lost one is refused whatever it does, and nothing of its job changes. */
    private void work(Lease lease) {
        boolean holds = jobs.pieces(lease.jobId()).stream()
                .anyMatch(piece -> piece.number() == lease.piece() && piece.attempt() == lease.attempt() && piece.is(Piece.State.RUNNING));
        String before = rows(lease.jobId());
        try {
            boolean ended = act(lease);
            assertThat(holds).as("%s was lost", words(lease)).isTrue();
            if (ended) {
                held.remove(lease);
            }
        } catch (LeaseLostException e) {
            assertThat(holds).as("%s is held: %s", words(lease), e.getMessage()).isFalse();
            assertThat(rows(lease.jobId())).as("after a late write").isEqualTo(before);
            held.remove(lease);
            story.add("fenced out " + words(lease));
        } catch (JobStateException e) {
            assertThat(e.state()).isEqualTo(JobState.CANCELLING);
            boolean over = reports.stopped(lease);
            assertThat(over).isTrue();
            held.remove(lease);
            gone(entry(lease));
        }
    }

    private boolean act(Lease lease) {
        story.add("work on " + words(lease));
        switch (random.nextInt(10)) {
            case 0, 1 -> {
                if (!reports.progress(lease, new Progress.Tick(Phase.CALIBRATE, random.nextInt(100), 1, 4, 10.0))) {
                    assertThat(reports.stopped(lease)).isTrue();
                    gone(entry(lease));
                    return true;
                }
                return false;
            }
            case 2 -> {
                reports.enter(lease, Phase.values()[random.nextInt(Phase.values().length)]);
                return false;
            }
            case 3 -> {
                reports.release(lease);
                return true;
            }
            case 4 -> {
                if (reports.tryAgain(lease, new JobError(ErrorCode.IO_ERROR, "hiccup", null)).isEmpty()) {
                    gone(entry(lease));
                }
                return true;
            }
            case 5 -> {
                if (random.nextInt(4) > 0) {
                    reports.note(lease, "noted", "a note", Map.of());
                    return false;
                }
                reports.fail(lease, new JobError(ErrorCode.NOT_FINITE, "NaN", null));
            }
            default -> finish(lease);
        }
        gone(entry(lease));
        return true;
    }

    private void finish(Lease lease) {
        switch (lease.kind()) {
            case OPEN -> reports.opened(lease, Orders.slicing(SLICES));
            case SLICE -> reports.measured(lease, "a".repeat(64), 7);
            case FINISH -> {
                if (random.nextInt(5) == 0) {
                    reports.damaged(lease, 1 + random.nextInt(SLICES), "a bit flipped");
                } else {
                    succeed(lease);
                }
            }
        }
    }

    private void succeed(Lease lease) {
        new TransactionTemplate(transactions).executeWithoutResult(_ -> {
            // why first: whoever has lost the lease is refused before he writes anything else
            reports.succeed(lease, RESULT, lease.artifactId(), lease.scoreSetId());
            jdbc.update("insert into artifact (id, job_id, created_at, digest, bytes) values (?, ?, now(), repeat('0', 64), 0)",
                    lease.artifactId(), lease.jobId());
            jdbc.update(
                    "insert into score_set (id, job_id, created_at, sha256, bytes, summary) values (?, ?, now(), repeat('0', 64), 0, '{}')",
                    lease.scoreSetId(), lease.jobId());
        });
        successes.merge(lease.jobId(), 1, Integer::sum);
    }

    private static final io.espalier.recipe.PruningResult RESULT = new io.espalier.recipe.PruningResult(null, null, null, null, null, null,
            null,
            null, null, null);

    private void hold() {
        for (PruningJob job : jobs.list(null, null, 1000)) {
            JobState before = states.put(job.id(), job.state());
            List<JobEvent> events = jobs.events(job.id(), 0, 10_000);
            assertThat(events).extracting(JobEvent::seq)
                    .containsExactlyElementsOf(LongStream.rangeClosed(1, events.size()).boxed().toList());
            assertThat(before == null || before == job.state() || before.mayBecome(job.state()))
                    .as("%s: %s -> %s", job.id(), before, job.state())
                    .isTrue();
            List<Piece> pieces = jobs.pieces(job.id());
            boolean works = pieces.stream().anyMatch(piece -> piece.is(Piece.State.RUNNING));
            boolean waits = pieces.stream().anyMatch(piece -> piece.is(Piece.State.READY) || piece.is(Piece.State.QUEUED));
            switch (job.state()) {
                case QUEUED -> assertThat(waits && !works).as(job.id()).isTrue();
                case RUNNING -> assertThat(works || waits).as(job.id()).isTrue();
                case CANCELLING -> assertThat(works && !waits).as(job.id()).isTrue();
                case PAUSED, CANCELLED, SUCCEEDED, FAILED -> assertThat(works || waits).as(job.id()).isFalse();
            }
            assertThat(job.slicesDone()).isEqualTo((int) pieces.stream()
                    .filter(piece -> piece.kind() == Piece.Kind.SLICE && piece.is(Piece.State.DONE)).count());
            assertThat(job.state() == JobState.SUCCEEDED).isEqualTo(successes.getOrDefault(job.id(), 0) == 1);
        }
        assertThat(jdbc.queryForList(
                "select p.job_id || '/' || p.number from job_piece p where p.state in ('queued', 'running') and not exists"
                        + " (select 1 from scheduled_tasks t where t.task_instance = p.job_id || '/' || p.number || '/' || p.entry)",
                String.class))
                .as("pieces that the queue has lost").isEmpty();
    }

    /** Everybody is dead; honest workers take over, and nothing that nobody stopped is left over. */
    private void carryOutWhatIsLeft() {
        held.clear();
        for (int round = 0; round < 1000; round++) {
            house.keepHouse();
            List<String> entries = jdbc.queryForList("select task_instance from scheduled_tasks", String.class);
            if (entries.isEmpty()) {
                break;
            }
            for (String entry : entries) {
                leases.claim(entry, "honest", "cpu").ifPresent(lease -> {
                    switch (lease.kind()) {
                        case OPEN -> reports.opened(lease, Orders.slicing(SLICES));
                        case SLICE -> reports.measured(lease, "a".repeat(64), 7);
                        case FINISH -> succeed(lease);
                    }
                });
                gone(entry);
            }
        }
        assertThat(jobs.list(null, null, 1000)).allSatisfy(job -> assertThat(job.state()).as(job.id()).isIn(JobState.SUCCEEDED,
                JobState.CANCELLED, JobState.FAILED, JobState.PAUSED));
        assertThat(successes.values()).as("successes of a job").allMatch(times -> times == 1);
    }

    private void tell(String what, Runnable step) {
        story.add(what);
        try {
            step.run();
        } catch (JobStateException e) {
            story.add("  refused: " + e.getMessage());
        }
    }

    private void gone(String entry) {
        jdbc.update("delete from scheduled_tasks where task_instance = ?", entry);
    }

    private String entry(Lease lease) {
        return jdbc.queryForList("select job_id || '/' || number || '/' || entry from job_piece where job_id = ? and number = ?"
                + " and state not in ('queued', 'running')", String.class, lease.jobId(), lease.piece()).stream().findFirst()
                .orElse("none");
    }

    private String rows(String id) {
        return jdbc.queryForList("select row_to_json(j)::text from pruning_job j where id = ? union all"
                + " select row_to_json(p)::text from (select * from job_piece where job_id = ? order by number) p union all"
                + " select count(*)::text from job_event where job_id = ?", String.class, id, id, id).toString();
    }

    private static String words(Lease lease) {
        return lease.kind().json() + " " + lease.piece() + " of " + lease.jobId() + ", attempt " + lease.attempt();
    }
}
