package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.artifact.Artifact;
import io.espalier.artifact.Artifacts;
import io.espalier.job.JobEvent;
import io.espalier.job.JobState;
import io.espalier.job.Lease;
import io.espalier.job.Leases;
import io.espalier.job.PhaseTimes;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Layout;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreShelf;
import io.espalier.recipe.Violation;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.MDC;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;
import org.springframework.util.FileSystemUtils;

@OfficeTest
class WorkerTest {

    private static final ComputeDevice CPU = new ComputeDevice("cpu", 0);

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
    private WorkerSettings settings;
    @Autowired
    private io.espalier.job.SliceShelf slices;
    @Autowired
    private PlatformTransactionManager transactions;
    @Autowired
    private JdbcTemplate jdbc;
    private String id;

    @BeforeEach
    void order() {
        jdbc.execute("truncate pruning_job, artifact, score_set, scheduled_tasks cascade");
        id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
    }

    @Test
    void aRunThatEndsWellIsPublishedWhole() throws IOException {
        Worker worker = worker((inputs, device, progress) -> {
            assertThat(inputs.recipe()).isEqualTo(Orders.recipe());
            assertThat(inputs.given().model()).isEqualTo(Path.of(Orders.inputs().modelDirectory()));
            assertThat(inputs.given().calibration()).isEqualTo(Orders.inputs().calibration());
            assertThat(inputs.workDirectory()).isEmptyDirectory().hasFileName(id + "-2");
            assertThat(MDC.get("job_id")).isEqualTo(id);
            return FakeRun.QUICK.execute(inputs, device, progress);
        });
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.DONE);

        PruningJob job = jobs.find(id).orElseThrow();
        assertThat(job.state()).isEqualTo(JobState.SUCCEEDED);
        assertThat(job.result()).isEqualTo(FakeRun.RESULT);
        assertThat(job.progress().percent()).isEqualTo(100);
        assertThat(job.phases()).extracting(PhaseTimes::phase).containsExactly(Phase.OPEN, Phase.CUT, Phase.PUBLISH);
        assertThat(job.phases()).extracting(PhaseTimes::finishedAt).doesNotContainNull();
        Artifact artifact = artifacts.find(job.artifactId()).orElseThrow();
        assertThat(artifact.jobId()).isEqualTo(id);
        assertThat(artifact.digest()).isEqualTo("e".repeat(64));
        assertThat(artifacts.file(artifact.id(), "config.json").orElseThrow()).hasContent("{}");
        assertThat(jdbc.queryForObject("select sha256 from score_set where id = ?", String.class, job.scoreSetId()))
                .isEqualTo(jdbc.queryForObject("select encode(sha256('scores'::bytea), 'hex')", String.class));
        assertThat(jobs.events(id, 0, 100)).extracting(JobEvent::type).containsExactly("queued", "running", "piece_started",
                "piece_started",
                "phase_started", "experts_unrouted", "phase_finished", "phase_started", "phase_finished", "phase_started", "phase_finished",
                "succeeded");
        assertThat(settings.directory()).isEmptyDirectory();
        assertThat(MDC.get("job_id")).isNull();
    }

    @Test
    void aFurtherOutputIsAnArtifactOfTheSameJobUnderAnIdThatFollowsFromTheFirst() throws IOException {
        assertThat(carryOut(worker((inputs, _, _) -> FakeRun.twoOutcomes(inputs.workDirectory())), id)).isEqualTo(Worker.Fate.DONE);

        PruningJob job = jobs.find(id).orElseThrow();
        assertThat(job.result().further()).singleElement()
                .satisfies(further -> assertThat(further.output().layout()).isEqualTo(Layout.EXPERTS));
        Artifact further = artifacts.find(Lease.furtherArtifactId(job.artifactId(), 1)).orElseThrow();
        assertThat(further.jobId()).isEqualTo(id);
        assertThat(further.digest()).isEqualTo("9".repeat(64));
        assertThat(artifacts.file(further.id(), "config.json").orElseThrow()).hasContent("{\"further\": 1}");
        assertThat(artifactDirectories()).containsExactlyInAnyOrder(job.artifactId(), further.id());
    }

    @Test
    void ofSeveralOutputsAllArePublishedOrNone() throws IOException {
        Worker worker = worker((inputs, _, _) -> {
            PruningRun.Outcome two = FakeRun.twoOutcomes(inputs.workDirectory());
            FileSystemUtils.deleteRecursively(two.furtherArtifacts().getFirst().toFile());
            return two;
        });
        carryOut(worker, id);
        assertThat(jobs.find(id).orElseThrow().state()).isNotEqualTo(JobState.SUCCEEDED);
        assertNothingWasPublished();
    }

    @Test
    void anOrderThatCannotBeCarriedOutFailsWithItsCodeAndLeavesNothing() {
        Worker worker = worker((inputs, device, progress) -> {
            FakeRun.outcome(inputs.workDirectory());
            throw new PruningException(ErrorCode.MODEL_WITHOUT_EXPERTS, "config.json: num_experts: 0 (expected: more than 0)");
        });
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.DONE);
        PruningJob job = jobs.find(id).orElseThrow();
        assertThat(job.state()).isEqualTo(JobState.FAILED);
        assertThat(job.error().code()).isEqualTo(ErrorCode.MODEL_WITHOUT_EXPERTS);
        assertThat(job.error().message()).contains("num_experts: 0");
        assertNothingWasPublished();
        assertThat(carryOut(worker, id)).as("a job that has ended is dropped").isEqualTo(Worker.Fate.DONE);
        assertThat(jobs.find(id).orElseThrow().attempt()).isEqualTo(2);
    }

    @Test
    void whatWasDeletedSinceTheOrderIsNamedAllAtOnce() {
        id = jobs.submit(Orders.recipe(), new ResolvedInputs("/gone/model", CorpusRef.at("/gone/text.txt"), CorpusRef.inline("words")))
                .id();
        assertThat(carryOut(worker(FakeRun.QUICK), id)).isEqualTo(Worker.Fate.DONE);
        assertThat(jobs.find(id).orElseThrow().error().code()).isEqualTo(ErrorCode.INVALID_RECIPE);
        assertThat(jobs.find(id).orElseThrow().error().violations()).extracting(Violation::field).containsExactly("model",
                "calibration.corpus");
    }

    @Test
    void aFullDiskIsTriedAgainAfterAPauseAndFailsTheJobByThatNameWhenItStaysFull() {
        Worker worker = worker((inputs, device, progress) -> {
            throw new UncheckedIOException(new FileSystemException("model-00001-of-00002.safetensors", null, "No space left on device"));
        });
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.WAITS);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.QUEUED);
        assertThat(jobs.events(id, 0, 100)).extracting(JobEvent::type).contains("retrying");
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.WAITS);
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.WAITS);
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.DONE);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.FAILED);
        assertThat(jobs.find(id).orElseThrow().error().code()).isEqualTo(ErrorCode.DISK_FULL);
        assertNothingWasPublished();
    }

    @Test
    void aCancelledRunStopsAtItsNextTick() {
        Worker worker = worker((inputs, device, progress) -> FakeRun.endless(inputs, progress, () -> jobs.cancel(id)));
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.DONE);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.CANCELLED);
        assertThat(jobs.find(id).orElseThrow().error()).isNull();
        assertNothingWasPublished();
    }

    @Test
    void aCancelBeatsASuccessThatComesLater() {
        Worker worker = worker((inputs, device, progress) -> {
            jobs.cancel(id);
            return FakeRun.outcome(inputs.workDirectory());
        });
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.DONE);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.CANCELLED);
        assertNothingWasPublished();
    }

    @Test
    void aCancelBeatsAFailureThatComesLater() {
        Worker worker = worker((inputs, device, progress) -> {
            jobs.cancel(id);
            throw new IllegalStateException("late");
        });
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.DONE);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.CANCELLED);
    }

    @Test
    void aWorkerThatLostItsJobPublishesNothingAndLeavesTheOtherOneAlone() {
        Worker[] rescuer = {worker(FakeRun.QUICK)};
        Worker zombie = worker((inputs, device, progress) -> {
            assertThat(carryOut(rescuer[0], id)).isEqualTo(Worker.Fate.DONE);
            return FakeRun.outcome(inputs.workDirectory());
        });
        assertThat(carryOut(zombie, id)).isEqualTo(Worker.Fate.LOST);
        PruningJob job = jobs.find(id).orElseThrow();
        assertThat(job.state()).isEqualTo(JobState.SUCCEEDED);
        assertThat(job.attempt()).isEqualTo(3);
        assertThat(jdbc.queryForList("select id from artifact", String.class)).containsExactly(job.artifactId());
        assertThat(artifactDirectories()).containsExactly(job.artifactId());
        assertThat(jdbc.queryForObject("select count(*) from score_set", Long.class)).isEqualTo(1);
    }

    @Test
    void aRunOfALostJobIsToldToStop() {
        Worker worker = worker(
                (inputs, device, progress) -> FakeRun.endless(inputs, progress, () -> leases.claim(entry(id), "rescuer", "cpu")));
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.LOST);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.RUNNING);
        assertThat(jobs.pieces(id).getLast().worker()).isEqualTo("rescuer");
        assertThat(jobs.pieces(id).getLast().rejectedWrites()).isPositive();
    }

    @Test
    void aWorkerThatShutsDownHandsItsJobBack() {
        Worker[] worker = new Worker[1];
        worker[0] = worker((inputs, device, progress) -> FakeRun.endless(inputs, progress, worker[0]::drain));
        assertThat(carryOut(worker[0], id)).isEqualTo(Worker.Fate.WAITS);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.QUEUED);
        assertThat(carryOut(worker[0], id)).as("and takes no other").isEqualTo(Worker.Fate.WAITS);
        assertThat(jobs.find(id).orElseThrow().attempt()).isEqualTo(2);
        assertNothingWasPublished();
    }

    @Test
    void aRunThatBreaksWhileTheWorkerShutsDownIsHandedBackToo() {
        Worker[] worker = new Worker[1];
        worker[0] = worker((inputs, device, progress) -> {
            worker[0].drain();
            Thread.currentThread().interrupt();
            throw new IllegalStateException("closed by interrupt");
        });
        assertThat(carryOut(worker[0], id)).isEqualTo(Worker.Fate.WAITS);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.QUEUED);
    }

    @Test
    void whenTheDatabaseDoesNotAnswerAtTheEndTheJobComesBack() {
        Worker worker = worker((inputs, device, progress) -> {
            throw new DataAccessResourceFailureException("connection refused");
        });
        assertThatThrownBy(() -> carryOut(worker, id)).isInstanceOf(DataAccessResourceFailureException.class);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.RUNNING);
        assertThat(carryOut(worker(FakeRun.QUICK), id)).isEqualTo(Worker.Fate.DONE);
        assertThat(jobs.find(id).orElseThrow().attempt()).isEqualTo(3);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.SUCCEEDED);
    }

    @Test
    void whatDeadAttemptsLeftBehindIsSweptByTheNextOne() throws IOException {
        Lease dead = leases.claim(entry(id), "dead", "cpu").orElseThrow();
        Path left = Files.createDirectories(settings.directory().resolve(id + "-1/artifact"));
        Files.writeString(left.resolve("half.safetensors"), "half");
        Path moved = Files.createDirectories(settings.directory().resolveSibling("artifacts/" + dead.artifactId()));
        Worker worker = worker(FakeRun.QUICK);
        worker.sweep();
        assertThat(left).as("nobody knows yet that it is dead").exists();
        assertThat(moved).exists();
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.DONE);
        assertThat(settings.directory()).isEmptyDirectory();
        assertThat(artifactDirectories()).containsExactly(jobs.find(id).orElseThrow().artifactId());
    }

    @Test
    void aJobWhoseScoresExistSkipsCalibration() {
        ScoreOrigin origin = FakeRun.origin();
        Worker worker = worker((inputs, device, progress) -> FakeRun.outcome(inputs.workDirectory(), origin), origin);
        assertThat(carryOut(worker, id)).isEqualTo(Worker.Fate.DONE);
        PruningJob first = jobs.find(id).orElseThrow();
        assertThat(first.scoresReused()).isFalse();

        String second = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        assertThat(carryOut(worker, second)).isEqualTo(Worker.Fate.DONE);
        PruningJob job = jobs.find(second).orElseThrow();
        assertThat(job.state()).isEqualTo(JobState.SUCCEEDED);
        assertThat(job.scoresReused()).isTrue();
        assertThat(job.scoreSetId()).isEqualTo(first.scoreSetId());
        assertThat(job.slices()).isZero();
        assertThat(jobs.events(second, 0, 100)).filteredOn(event -> event.type().equals("scores_reused")).singleElement()
                .satisfies(event -> assertThat(event.data()).containsEntry("score_set_id", first.scoreSetId()));
        assertThat(jdbc.queryForObject("select count(*) from job_scores", Long.class)).isEqualTo(2);

        jdbc.update("delete from pruning_job where id = ?", id);
        assertThat(jdbc.queryForList("select id from score_set", String.class)).containsExactly(first.scoreSetId());
        jdbc.update("delete from pruning_job where id = ?", second);
        assertThat(jdbc.queryForList("select id from score_set", String.class)).isEmpty();
    }

    @Test
    void aJobHoldsTheScoresThatItFoundFromTheMomentItIsOpened() {
        ScoreOrigin origin = FakeRun.origin();
        Worker worker = worker((inputs, device, progress) -> FakeRun.outcome(inputs.workDirectory(), origin), origin);
        carryOut(worker, id);
        String second = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        worker.carryOut(entry(second), CPU);
        jdbc.update("delete from pruning_job where id = ?", id);
        assertThat(carryOut(worker, second)).isEqualTo(Worker.Fate.DONE);
        assertThat(jobs.find(second).orElseThrow().state()).isEqualTo(JobState.SUCCEEDED);
    }

    @Test
    void manyTicksAreFewWrites() {
        Worker worker = worker((inputs, device, progress) -> {
            for (int i = 0; i < 10_000; i++) {
                progress.tick(new Progress.Tick(Phase.CALIBRATE, i / 100.0, null, null, null));
            }
            throw new PruningException(ErrorCode.NOT_FINITE, "enough");
        });
        carryOut(worker, id);
        assertThat(jobs.find(id).orElseThrow().version()).isLessThan(10);
    }

    /** Carries out the job's pieces that wait, one after the other, until one does not end well. */
    private Worker.Fate carryOut(Worker worker, String job) {
        Worker.Fate fate = Worker.Fate.DONE;
        for (String entry = entry(job); entry != null && fate == Worker.Fate.DONE; entry = entry(job)) {
            fate = worker.carryOut(entry, CPU).fate();
        }
        return fate;
    }

    private String entry(String job) {
        return jdbc.queryForList("select job_id || '/' || number || '/' || entry from job_piece where job_id = ?"
                + " and state in ('queued', 'running') order by number limit 1", String.class, job).stream().findFirst().orElse(null);
    }

    private Worker worker(FakeRun.Whole whole) {
        return worker(whole, FakeRun.origin());
    }

    private Worker worker(FakeRun.Whole whole, ScoreOrigin origin) {
        return new Worker("test", settings.directory(),
                new Worker.Products(artifacts, shelf, slices, new TransactionTemplate(transactions)), leases, reports,
                FakeRun.workshop(whole, origin), new Worker.Manner(0, Duration.ZERO, Duration.ZERO));
    }

    private void assertNothingWasPublished() {
        assertThat(jdbc.queryForObject("select count(*) from artifact", Long.class)).isZero();
        assertThat(jdbc.queryForObject("select count(*) from score_set", Long.class)).isZero();
        assertThat(jdbc.queryForObject("select count(*) from score_set_chunk", Long.class)).isZero();
        assertThat(artifactDirectories()).isEmpty();
        assertThat(settings.directory()).isEmptyDirectory();
    }

    private List<String> artifactDirectories() {
        Path directory = settings.directory().resolveSibling("artifacts");
        if (!Files.isDirectory(directory)) {
            return List.of();
        }
        try (Stream<Path> entries = Files.list(directory)) {
            List<String> recorded = jdbc.queryForList("select id from artifact", String.class);
            return entries.map(entry -> entry.getFileName().toString())
                    .filter(name -> recorded.contains(name) || name.contains(id.substring(4)))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
