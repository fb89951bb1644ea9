package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.artifact.Artifact;
import io.espalier.artifact.Artifacts;
import io.espalier.job.JobEvent;
import io.espalier.job.JobState;
import io.espalier.job.Lease;
import io.espalier.job.PhaseTimes;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.pruning.ComputeDevice;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.ResolvedInputs;
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

@OfficeTest
class WorkerTest {

    private static final ComputeDevice CPU = new ComputeDevice("cpu", 0);

    @Autowired
    private PruningJobs jobs;
    @Autowired
    private Artifacts artifacts;
    @Autowired
    private ScoreShelf shelf;
    @Autowired
    private WorkerSettings settings;
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
            assertThat(inputs.model()).isEqualTo(Path.of(Orders.inputs().modelDirectory()));
            assertThat(inputs.calibration()).isEqualTo(Orders.inputs().calibration());
            assertThat(inputs.workDirectory()).isEmptyDirectory().hasFileName(id + "-1");
            assertThat(MDC.get("job_id")).isEqualTo(id);
            return FakeRun.QUICK.execute(inputs, device, progress);
        });
        assertThat(worker.carryOut(id, CPU)).isEqualTo(Worker.Ending.DONE);

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
        assertThat(jobs.events(id, 0, 100)).extracting(JobEvent::type).containsExactly("queued", "running", "phase_started",
                "experts_unrouted",
                "phase_finished", "phase_started", "phase_finished", "phase_started", "phase_finished", "succeeded");
        assertThat(settings.directory()).isEmptyDirectory();
        assertThat(MDC.get("job_id")).isNull();
    }

    @Test
    void anOrderThatCannotBeCarriedOutFailsWithItsCodeAndLeavesNothing() {
        Worker worker = worker((inputs, device, progress) -> {
            FakeRun.outcome(inputs.workDirectory());
            throw new PruningException(ErrorCode.MODEL_WITHOUT_EXPERTS, "config.json: num_experts: 0 (expected: more than 0)");
        });
        assertThat(worker.carryOut(id, CPU)).isEqualTo(Worker.Ending.DONE);
        PruningJob job = jobs.find(id).orElseThrow();
        assertThat(job.state()).isEqualTo(JobState.FAILED);
        assertThat(job.error().code()).isEqualTo(ErrorCode.MODEL_WITHOUT_EXPERTS);
        assertThat(job.error().message()).contains("num_experts: 0");
        assertNothingWasPublished();
        assertThat(worker.carryOut(id, CPU)).as("a job that has ended is dropped").isEqualTo(Worker.Ending.DONE);
        assertThat(jobs.find(id).orElseThrow().attempt()).isEqualTo(1);
    }

    @Test
    void whatWasDeletedSinceTheOrderIsNamedAllAtOnce() {
        id = jobs.submit(Orders.recipe(), new ResolvedInputs("/gone/model", CorpusRef.at("/gone/text.txt"), CorpusRef.inline("words")))
                .id();
        assertThat(worker(FakeRun.QUICK).carryOut(id, CPU)).isEqualTo(Worker.Ending.DONE);
        assertThat(jobs.find(id).orElseThrow().error().code()).isEqualTo(ErrorCode.INVALID_RECIPE);
        assertThat(jobs.find(id).orElseThrow().error().violations()).extracting(Violation::field).containsExactly("model",
                "calibration.corpus");
    }

    @Test
    void aFullDiskFailsTheJobByThatName() {
        Worker worker = worker((inputs, device, progress) -> {
            throw new UncheckedIOException(new FileSystemException("model-00001-of-00002.safetensors", null, "No space left on device"));
        });
        assertThat(worker.carryOut(id, CPU)).isEqualTo(Worker.Ending.DONE);
        assertThat(jobs.find(id).orElseThrow().error().code()).isEqualTo(ErrorCode.DISK_FULL);
        assertNothingWasPublished();
    }

    @Test
    void aCancelledRunStopsAtItsNextTick() {
        Worker worker = worker((inputs, device, progress) -> FakeRun.endless(inputs, progress, () -> jobs.cancel(id)));
        assertThat(worker.carryOut(id, CPU)).isEqualTo(Worker.Ending.DONE);
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
        assertThat(worker.carryOut(id, CPU)).isEqualTo(Worker.Ending.DONE);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.CANCELLED);
        assertNothingWasPublished();
    }

    @Test
    void aCancelBeatsAFailureThatComesLater() {
        Worker worker = worker((inputs, device, progress) -> {
            jobs.cancel(id);
            throw new IllegalStateException("late");
        });
        assertThat(worker.carryOut(id, CPU)).isEqualTo(Worker.Ending.DONE);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.CANCELLED);
    }

    @Test
    void aWorkerThatLostItsJobPublishesNothingAndLeavesTheOtherOneAlone() {
        Worker[] rescuer = {worker(FakeRun.QUICK)};
        Worker zombie = worker((inputs, device, progress) -> {
            assertThat(rescuer[0].carryOut(id, CPU)).isEqualTo(Worker.Ending.DONE);
            return FakeRun.outcome(inputs.workDirectory());
        });
        assertThat(zombie.carryOut(id, CPU)).isEqualTo(Worker.Ending.LOST);
        PruningJob job = jobs.find(id).orElseThrow();
        assertThat(job.state()).isEqualTo(JobState.SUCCEEDED);
        assertThat(job.attempt()).isEqualTo(2);
        assertThat(jdbc.queryForList("select id from artifact", String.class)).containsExactly(job.artifactId());
        assertThat(artifactDirectories()).containsExactly(job.artifactId());
        assertThat(jdbc.queryForObject("select count(*) from score_set", Long.class)).isEqualTo(1);
    }

    @Test
    void aRunOfALostJobIsToldToStop() {
        Worker worker = worker((inputs, device, progress) -> FakeRun.endless(inputs, progress, () -> jobs.claim(id, "rescuer", "cpu")));
        assertThat(worker.carryOut(id, CPU)).isEqualTo(Worker.Ending.LOST);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.RUNNING);
        assertThat(jobs.find(id).orElseThrow().worker()).isEqualTo("rescuer");
    }

    @Test
    void aWorkerThatShutsDownHandsItsJobBack() {
        Worker[] worker = new Worker[1];
        worker[0] = worker((inputs, device, progress) -> FakeRun.endless(inputs, progress, worker[0]::shutDown));
        assertThat(worker[0].carryOut(id, CPU)).isEqualTo(Worker.Ending.HANDED_BACK);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.QUEUED);
        assertThat(worker[0].carryOut(id, CPU)).as("and takes no other").isEqualTo(Worker.Ending.HANDED_BACK);
        assertThat(jobs.find(id).orElseThrow().attempt()).isEqualTo(1);
        assertNothingWasPublished();
    }

    @Test
    void aRunThatBreaksWhileTheWorkerShutsDownIsHandedBackToo() {
        Worker[] worker = new Worker[1];
        worker[0] = worker((inputs, device, progress) -> {
            worker[0].shutDown();
            Thread.currentThread().interrupt();
            throw new IllegalStateException("closed by interrupt");
        });
        assertThat(worker[0].carryOut(id, CPU)).isEqualTo(Worker.Ending.HANDED_BACK);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.QUEUED);
    }

    @Test
    void whenTheDatabaseDoesNotAnswerAtTheEndTheJobComesBack() {
        Worker worker = worker((inputs, device, progress) -> {
            throw new DataAccessResourceFailureException("connection refused");
        });
        assertThatThrownBy(() -> worker.carryOut(id, CPU)).isInstanceOf(DataAccessResourceFailureException.class);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.RUNNING);
        assertThat(worker(FakeRun.QUICK).carryOut(id, CPU)).isEqualTo(Worker.Ending.DONE);
        assertThat(jobs.find(id).orElseThrow().attempt()).isEqualTo(2);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.SUCCEEDED);
    }

    @Test
    void whatDeadAttemptsLeftBehindIsSweptByTheNextOne() throws IOException {
        Lease dead = jobs.claim(id, "dead", "cpu").orElseThrow();
        Path left = Files.createDirectories(settings.directory().resolve(id + "-1/artifact"));
        Files.writeString(left.resolve("half.safetensors"), "half");
        Path moved = Files.createDirectories(settings.directory().resolveSibling("artifacts/" + dead.artifactId()));
        Worker worker = worker(FakeRun.QUICK);
        worker.sweep();
        assertThat(left).as("nobody knows yet that it is dead").exists();
        assertThat(moved).exists();
        assertThat(worker.carryOut(id, CPU)).isEqualTo(Worker.Ending.DONE);
        assertThat(settings.directory()).isEmptyDirectory();
        assertThat(artifactDirectories()).containsExactly(jobs.find(id).orElseThrow().artifactId());
    }

    @Test
    void manyTicksAreFewWrites() {
        Worker worker = worker((inputs, device, progress) -> {
            for (int i = 0; i < 10_000; i++) {
                progress.tick(new Progress.Tick(Phase.CALIBRATE, i / 100.0, null, null, null));
            }
            throw new PruningException(ErrorCode.NOT_FINITE, "enough");
        });
        worker.carryOut(id, CPU);
        assertThat(jobs.find(id).orElseThrow().version()).isLessThan(10);
    }

    private Worker worker(Workshop workshop) {
        return new Worker("test", settings.directory(), new Worker.Products(artifacts, shelf, new TransactionTemplate(transactions)), jobs,
                workshop);
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
