package io.espalier.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.recipe.Slicing;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.test.context.TestPropertySource;

/** A job in pieces: what is kept, what is done again, and when it is enough. */
@OfficeTest
@TestPropertySource(properties = {"espalier.jobs.poison-after=3", "espalier.jobs.retries=2", "espalier.jobs.housekeeping=1h",
        "espalier.jobs.keep-events=1d", "espalier.jobs.keep-slices=2d", "espalier.jobs.keep-jobs=3d"})
class PiecesTest {

    @Autowired
    private PruningJobs jobs;
    @Autowired
    private Leases leases;
    @Autowired
    private PieceReports reports;
    @Autowired
    private Housekeeping house;
    @Autowired
    private SliceShelf shelf;
    @Autowired
    private JdbcTemplate jdbc;
    @TempDir
    private Path directory;
    private String id;

    @BeforeEach
    void order() {
        jdbc.execute("truncate pruning_job, scheduled_tasks cascade");
        id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
    }

    @Test
    void theLastSliceLetsTheJobFinishInWhateverOrderTheyCome() throws Exception {
        reports.opened(claim(0), Orders.slicing(3));
        measure(3);
        measure(1);
        assertThat(state(4)).isEqualTo(Piece.State.BLOCKED);
        measure(2);
        assertThat(state(4)).isEqualTo(Piece.State.QUEUED);
        assertThat(jobs.find(id).orElseThrow().slicesDone()).isEqualTo(3);
        assertThat(jobs.events(id, 0, 100)).filteredOn(event -> event.type().equals("slice_finished"))
                .extracting(event -> event.data().get("slice")).containsExactly(3, 1, 2);
    }

    @Test
    void aPieceThatEndsOneWorkerAfterTheOtherFailsTheJobAndARetryForgivesIt() throws Exception {
        reports.opened(claim(0), Orders.slicing(2));
        measure(1);
        for (int lost = 0; lost < 3; lost++) {
            assertThat(leases.claim(entry(2), "w" + lost, "cpu")).as("worker %d", lost).isPresent();
        }
        assertThat(leases.claim(entry(2), "w3", "cpu")).isEmpty();
        PruningJob failed = jobs.find(id).orElseThrow();
        assertThat(failed.state()).isEqualTo(JobState.FAILED);
        assertThat(failed.error().code()).isEqualTo(ErrorCode.POISON_SLICE);
        assertThat(failed.error().message()).contains("slice 2 of 2 ended 3 workers", "the last worker was w2");
        assertThat(failed.slicesDone()).isEqualTo(1);

        jobs.retry(id);
        reports.opened(claim(0), Orders.slicing(2));
        assertThat(state(1)).as("measured before").isEqualTo(Piece.State.DONE);
        assertThat(jobs.pieces(id).get(2).lostWorkers()).isZero();
        measure(2);
        assertThat(state(3)).isEqualTo(Piece.State.QUEUED);
    }

    @Test
    void workersThatHandAPieceBackAreNotLostOnes() {
        for (int time = 0; time < 5; time++) {
            reports.release(claim(0));
        }
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.QUEUED);
        assertThat(jobs.pieces(id).getFirst().lostWorkers()).isZero();
    }

    @Test
    void aFailureThatMayPassIsTriedAgainLaterAndLaterAndThenEndsTheJob() {
        JobError full = new JobError(ErrorCode.DISK_FULL, "the disk is full", null);
        Instant first = reports.tryAgain(claim(0), full).orElseThrow();
        Instant second = reports.tryAgain(claim(0), full).orElseThrow();
        assertThat(Duration.between(first, second)).isGreaterThanOrEqualTo(Duration.ofSeconds(10));
        assertThat(reports.tryAgain(claim(0), full)).isEmpty();
        assertThat(jobs.find(id).orElseThrow().error().code()).isEqualTo(ErrorCode.DISK_FULL);
    }

    @Test
    void aPauseKeepsFinishedSlicesAndTheWorkerAtWorkHasLostItsPiece() throws Exception {
        reports.opened(claim(0), Orders.slicing(3));
        measure(1);
        Lease atWork = claim(2);
        assertThat(jobs.pause(id).state()).isEqualTo(JobState.PAUSED);
        assertThatThrownBy(() -> reports.progress(atWork, new Progress.Tick(Phase.CALIBRATE, 30, 1, 2, null)))
                .isInstanceOf(LeaseLostException.class);
        leases.rejected(atWork);
        assertThat(jobs.pieces(id).get(2).rejectedWrites()).as("told to stop is not fenced out").isZero();
        assertThat(busy()).isZero();

        jobs.resume(id);
        reports.opened(claim(0), Orders.slicing(3));
        assertThat(List.of(state(1), state(2), state(3))).containsExactly(Piece.State.DONE, Piece.State.QUEUED, Piece.State.QUEUED);
    }

    @Test
    void slicesOfAnotherCutDoNotCount() throws Exception {
        reports.opened(claim(0), Orders.slicing(3));
        measure(1);
        jobs.pause(id);
        jobs.resume(id);
        Slicing changed = new Slicing("e".repeat(64), 1, 64, Orders.slicing(3).slices());
        reports.opened(claim(0), changed);
        assertThat(state(1)).isEqualTo(Piece.State.QUEUED);
        assertThat(jobs.find(id).orElseThrow().slicesDone()).isZero();
        assertThat(jdbc.queryForObject("select count(*) from slice_chunk", Long.class)).isZero();
        assertThat(jobs.events(id, 0, 100)).extracting(JobEvent::type).contains("slices_dropped");
    }

    @Test
    void aSliceWhoseBytesAreDamagedIsMeasuredAgainBeforeTheJobFinishes() throws Exception {
        reports.opened(claim(0), Orders.slicing(2));
        measure(1);
        measure(2);
        jdbc.update("update slice_chunk set content = set_byte(content, 0, 1) where piece = 2");
        Lease finishing = claim(3);
        Path file = directory.resolve("fetched");
        assertThat(shelf.fetch(jobs.pieces(id).get(1), file)).isNull();
        assertThat(file).hasContent("slice 1");
        String wrong = shelf.fetch(jobs.pieces(id).get(2), file);
        assertThat(wrong).startsWith("SHA-256 ");
        reports.damaged(finishing, 2, wrong);
        assertThat(List.of(state(1), state(2), state(3))).containsExactly(Piece.State.DONE, Piece.State.QUEUED, Piece.State.BLOCKED);
        measure(2);
        assertThat(state(3)).isEqualTo(Piece.State.QUEUED);
    }

    @Test
    void whatAWorkerStoredThatLostItsSliceIsNobodys() throws Exception {
        reports.opened(claim(0), Orders.slicing(1));
        Lease lost = claim(1);
        Lease holds = claim(1);
        SliceShelf.Sum sum = shelf.keep(holds, Files.writeString(directory.resolve("good"), "good"));
        shelf.keep(lost, Files.writeString(directory.resolve("late"), "late"));
        reports.measured(holds, sum.sha256(), sum.bytes());
        assertThatThrownBy(() -> reports.measured(lost, "0".repeat(64), 4)).isInstanceOf(LeaseLostException.class);
        leases.rejected(lost);
        assertThat(jobs.pieces(id).get(1).rejectedWrites()).isEqualTo(1);
        assertThat(jobs.events(id, 0, 100)).extracting(JobEvent::type).contains("write_rejected");
        assertThat(shelf.fetch(jobs.pieces(id).get(1), directory.resolve("fetched"))).isNull();
        assertThat(directory.resolve("fetched")).hasContent("good");
    }

    @Test
    void aMeasuredSliceSaidTwiceCountsOnce() throws Exception {
        reports.opened(claim(0), Orders.slicing(2));
        Lease lease = measure(1);
        reports.measured(lease, "0".repeat(64), 1);
        assertThat(jobs.find(id).orElseThrow().slicesDone()).isEqualTo(1);
        assertThat(jobs.pieces(id).get(1).sha256()).isNotEqualTo("0".repeat(64));
    }

    @Test
    void aJobThatHasEndedIsDeletedWithAllThatIsItsOwn() throws Exception {
        reports.opened(claim(0), Orders.slicing(2));
        measure(1);
        assertThatThrownBy(() -> jobs.delete(id)).isInstanceOf(JobStateException.class).hasMessageContaining("running");
        jobs.cancel(id);
        jobs.delete(id);
        for (String table : List.of("pruning_job", "job_piece", "job_event", "slice_chunk")) {
            assertThat(jdbc.queryForObject("select count(*) from " + table, Long.class)).as(table).isZero();
        }
        assertThatThrownBy(() -> jobs.delete(id)).isInstanceOf(NoSuchJobException.class);
        jdbc.queryForList("select task_instance from scheduled_tasks", String.class)
                .forEach(entry -> assertThat(leases.claim(entry, "w", "cpu")).isEmpty());
    }

    @Test
    void whatWasKeptLongEnoughIsForgottenOneAfterTheOther() throws Exception {
        reports.opened(claim(0), Orders.slicing(2));
        measure(1);
        jobs.cancel(id);
        String going = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        ended("12 hours");
        assertThat(kept()).containsExactly(1L, 1L, true);
        ended("25 hours");
        assertThat(kept()).containsExactly(1L, 1L, false);
        ended("49 hours");
        assertThat(kept()).containsExactly(1L, 0L, false);
        ended("73 hours");
        assertThat(kept()).containsExactly(0L, 0L, false);
        assertThat(jobs.find(going)).isPresent();
        assertThat(jobs.events(going, 0, 10)).isNotEmpty();
    }

    private void ended(String ago) {
        jdbc.update("update pruning_job set finished_at = now() - ?::interval where id = ?", ago, id);
        house.keepHouse();
    }

    private List<Object> kept() {
        return List.of(jdbc.queryForObject("select count(*) from pruning_job where id = ?", Long.class, id),
                jdbc.queryForObject("select count(*) from slice_chunk where job_id = ?", Long.class, id),
                jdbc.queryForObject("select count(*) from job_event where job_id = ?", Long.class, id) > 0);
    }

    private Lease claim(int number) {
        return leases.claim(entry(number), "w", "cpu").orElseThrow();
    }

    private Lease measure(int number) throws Exception {
        Lease lease = claim(number);
        SliceShelf.Sum sum = shelf.keep(lease, Files.writeString(directory.resolve("slice-" + number), "slice " + number));
        reports.measured(lease, sum.sha256(), sum.bytes());
        return lease;
    }

    private String entry(int number) {
        return jdbc.queryForObject("select job_id || '/' || number || '/' || entry from job_piece where job_id = ? and number = ?",
                String.class, id, number);
    }

    private Piece.State state(int number) {
        return jobs.pieces(id).get(number).state();
    }

    private long busy() {
        return jobs.pieces(id).stream().filter(piece -> piece.is(Piece.State.QUEUED) || piece.is(Piece.State.RUNNING)).count();
    }
}
