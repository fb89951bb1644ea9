package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.artifact.Artifacts;
import io.espalier.job.JobEvent;
import io.espalier.job.JobState;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.job.SliceShelf;
import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.pruning.Saving;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Progress;
import io.espalier.recipe.Progress.Answer;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreShelf;
import io.espalier.recipe.Slicing;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;
import org.springframework.util.FileSystemUtils;

/** The bundled model of four layers, in two slices; workers that do not come to the end of the first one. */
@OfficeTest
class SavedSliceTest {

    private static final ComputeDevice CPU = new ComputeDevice("cpu", 0);
    private static final Duration LONG = Duration.ofHours(1);
    private static final PruningRecipe ORDER = new PruningRecipe("tiny-qwen2moe", MethodChoice.of(MethodName.HEAPR),
            new Calibration(CorpusRef.named("kjv-train"), 8, 64, 0L), new Budget(new BigDecimal("0.25"), null), Layout.RAGGED, 1, false,
            null,
            null);

    /** Percent of the run after which the first slice is in its reverse half, which begins with layer 3. */
    private static final double REVERSE = 24;

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
    private PlatformTransactionManager transactions;
    @Autowired
    private JdbcTemplate jdbc;
    private Path root;
    private Path saved;
    private String id;

    @BeforeEach
    void order() {
        jdbc.execute("truncate pruning_job, artifact, score_set, scheduled_tasks cascade");
        root = settings.directory().resolveSibling("saved-slices");
        id = jobs.submit(ORDER, Orders.inputs()).id();
        saved = root.resolve("savepoints").resolve(id + "-1");
    }

    @AfterEach
    void clear() throws IOException {
        FileSystemUtils.deleteRecursively(root);
    }

    @Test
    void whoeverFollowsAKilledWorkerGoesOnFromItsLayerToTheSameBytes() {
        Worker killed = worker(Duration.ofMillis(1), LONG, (tick, progress) -> {
            if (tick.layer() == 3) {
                // so much work that saving is cheap beside it
                sleep(1000);
                return progress.tick(tick);
            }
            throw new DataAccessResourceFailureException("as if killed: nobody is told anything any more");
        });
        assertThatThrownBy(() -> carryOut(killed)).isInstanceOf(DataAccessResourceFailureException.class);
        assertThat(saved).exists();

        assertThat(carryOut(undisturbed())).isEqualTo(Worker.Fate.DONE);
        assertThat(messages()).contains("Slice 1 of 2 goes on below layer 3, saved by attempt 2");
        assertSucceededLikeAnUndisturbedJob();
    }

    @Test
    void aWorkerThatDrainsSavesAtTheNextLayerEndAndHandsTheSliceBack() {
        drainAtLayer(3);
        assertThat(messages()).contains("Slice 1 of 2 is saved down to layer 3; whoever goes on with it on this machine begins below");
        drainAtLayer(2);
        assertThat(messages()).contains("Slice 1 of 2 goes on below layer 3, saved by attempt 2");
        assertThat(carryOut(undisturbed())).isEqualTo(Worker.Fate.DONE);
        assertThat(messages()).contains("Slice 1 of 2 goes on below layer 2, saved by attempt 3");
        assertSucceededLikeAnUndisturbedJob();
    }

    @Test
    void whatIsDamagedMeanwhileIsMeasuredAnew() throws IOException {
        drainAtLayer(2);
        try (FileChannel channel = FileChannel.open(saved, StandardOpenOption.WRITE)) {
            channel.truncate(channel.size() / 2);
        }
        assertThat(carryOut(undisturbed())).isEqualTo(Worker.Fate.DONE);
        assertThat(messages()).anyMatch(message -> message.startsWith("What was saved of slice 1 of 2 is deleted"));
        assertThat(messages()).noneMatch(message -> message.contains("goes on below"));
        assertSucceededLikeAnUndisturbedJob();
    }

    @Test
    void aCancelLeavesNothing() {
        drainAtLayer(3);
        Worker worker = worker(LONG, LONG, (tick, progress) -> {
            assertThat(saved).exists();
            jobs.cancel(id);
            while (progress.tick(tick) != Answer.STOP) {
                sleep(20);
            }
            return Answer.STOP;
        });
        assertThat(carryOut(worker)).isEqualTo(Worker.Fate.DONE);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.CANCELLED);
        assertThat(saved.getParent()).isEmptyDirectory();
    }

    @Test
    void aPausedSliceKeepsWhatIsSavedOfIt() {
        drainAtLayer(3);
        Worker worker = worker(LONG, LONG, (tick, progress) -> {
            jobs.pause(id);
            while (progress.tick(tick) != Answer.STOP) {
                sleep(20);
            }
            return Answer.STOP;
        });
        assertThat(carryOut(worker)).isEqualTo(Worker.Fate.LOST);
        worker.sweep();
        assertThat(saved).exists();
        jobs.resume(id);
        assertThat(carryOut(undisturbed())).isEqualTo(Worker.Fate.DONE);
        assertThat(messages()).filteredOn(message -> message.contains("goes on below layer 3")).hasSize(2);
        assertSucceededLikeAnUndisturbedJob();
    }

    @Test
    void whatIsOfNoUseAnyMoreIsSwept() throws IOException {
        String over = jobs.submit(ORDER, Orders.inputs()).id();
        jobs.cancel(over);
        Files.createDirectories(saved.getParent());
        for (String left : List.of(id + "-0", id + "-1", id + "-0.7.part", over + "-0", "job_gone-1", "job_gone-1.3.part", "note.txt")) {
            Files.writeString(saved.resolveSibling(left), "left");
        }
        undisturbed().sweep();
        assertThat(listed()).as("of the job that waits; piece 1 of it is not known").containsExactly(id + "-0", "note.txt");
    }

    @Test
    void nothingIsSavedWhereThatIsOff() {
        Worker[] worker = new Worker[1];
        worker[0] = worker(Duration.ZERO, Duration.ofMillis(100), (tick, progress) -> {
            worker[0].drain();
            sleep(200);
            return progress.tick(tick);
        });
        assertThat(carryOut(worker[0])).isEqualTo(Worker.Fate.WAITS);
        assertThat(saved.getParent()).doesNotExist();
    }

    private void drainAtLayer(int layer) {
        Worker[] worker = new Worker[1];
        worker[0] = worker(LONG, LONG, (tick, progress) -> {
            if (tick.layer() == layer) {
                worker[0].drain();
            }
            return progress.tick(tick);
        });
        assertThat(carryOut(worker[0])).isEqualTo(Worker.Fate.WAITS);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.QUEUED);
        assertThat(saved).exists();
    }

    private void assertSucceededLikeAnUndisturbedJob() {
        PruningJob job = jobs.find(id).orElseThrow();
        assertThat(job.state()).isEqualTo(JobState.SUCCEEDED);
        assertThat(listed()).isEmpty();
        id = jobs.submit(ORDER, Orders.inputs()).id();
        assertThat(carryOut(undisturbed())).isEqualTo(Worker.Fate.DONE);
        assertThat(job.result()).isEqualTo(jobs.find(id).orElseThrow().result());
        assertThat(root.resolve("digests")).as("the model's digest, for whoever opens it next").isNotEmptyDirectory();
    }

    /** Hears every tick of the reverse half of slices, and answers it. */
    @FunctionalInterface
    private interface Watch {
        Answer tick(Progress.Tick tick, Progress progress);
    }

    private Worker undisturbed() {
        return worker(LONG, LONG, (tick, progress) -> progress.tick(tick));
    }

    private Worker worker(Duration saveEvery, Duration drain, Watch watch) {
        Workshop real = Workshop.real(root.resolve("digests"));
        Workshop watched = (inputs, device, progress) -> new Watched(real.open(inputs, device, progress), watch);
        return new Worker("test", root, new Worker.Products(artifacts, shelf, slices, new TransactionTemplate(transactions)), leases,
                reports, watched,
                new Worker.Manner(256, drain, saveEvery));
    }

    private record Watched(Workshop.Run run, Watch watch) implements Workshop.Run {

        @Override
        public Slicing slicing(long tokensPerSlice, Progress progress) {
            return run.slicing(tokensPerSlice, progress);
        }

        @Override
        public Path measure(Slicing slicing, int slice, Path workDirectory, Saving saving, Progress progress) {
            return run.measure(slicing, slice, workDirectory, saving, new Progress() {
                @Override
                public Answer tick(Tick tick) {
                    return tick.percent() > REVERSE ? watch.tick(tick, progress) : progress.tick(tick);
                }

                @Override
                public void note(String type, String message, Map<String, Object> data) {
                    progress.note(type, message, data);
                }
            });
        }

        @Override
        public PruningRun.Outcome finish(Slicing slicing, List<Path> statistics, Path workDirectory, Progress progress) {
            return run.finish(slicing, statistics, workDirectory, progress);
        }

        /** Another one every time, so that no test finds the scores of the one before. */
        @Override
        public ScoreOrigin origin(Slicing slicing) {
            return FakeRun.origin();
        }

        @Override
        public PruningRun.Outcome finish(Slicing slicing, Path scores, Path workDirectory, Progress progress) {
            throw new AssertionError("no scores are there");
        }

        @Override
        public void close() {
            run.close();
        }
    }

    /** Carries out the job's pieces that wait, one after the other, until one does not end well. */
    private Worker.Fate carryOut(Worker worker) {
        Worker.Fate fate = Worker.Fate.DONE;
        for (String entry = entry(); entry != null && fate == Worker.Fate.DONE; entry = entry()) {
            fate = worker.carryOut(entry, CPU).fate();
        }
        worker.close();
        assertThat(jobs.find(id).orElseThrow().error()).isNull();
        return fate;
    }

    private String entry() {
        return jdbc.queryForList("select job_id || '/' || number || '/' || entry from job_piece where job_id = ?"
                + " and state in ('queued', 'running') order by number limit 1", String.class, id).stream().findFirst().orElse(null);
    }

    private List<String> messages() {
        return jobs.events(id, 0, 200).stream().map(JobEvent::message).toList();
    }

    private List<String> listed() {
        try (Stream<Path> left = Files.list(saved.getParent())) {
            return left.map(path -> path.getFileName().toString()).sorted().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void sleep(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
