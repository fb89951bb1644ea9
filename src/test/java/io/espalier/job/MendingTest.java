package io.espalier.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.test.context.TestPropertySource;

/** Rows that somebody edited by hand: refused by the database, or put right, and the job goes on. */
@OfficeTest
@TestPropertySource(properties = "espalier.jobs.housekeeping=1h")
class MendingTest {

    @Autowired
    private PruningJobs jobs;
    @Autowired
    private Leases leases;
    @Autowired
    private PieceReports reports;
    @Autowired
    private Housekeeping house;
    @Autowired
    private Housekeeper housekeeper;
    @Autowired
    private JdbcTemplate jdbc;
    private String id;

    @BeforeEach
    void order() {
        jdbc.execute("truncate pruning_job, scheduled_tasks cascade");
        id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
    }

    @ParameterizedTest
    @ValueSource(strings = {"state = 'succeeded'", "state = 'nonsense'", "state = 'cancelling'", "recipe = '{}'", "inputs = '[]'",
            "percent = -1", "percent = 'NaN'", "attempt = -1", "slices = 3", "phases = '{}'", "phases = '[{\"phase\": \"lunch\"}]'",
            "phases = '[{\"phase\": \"open\", \"started_at\": \"soon\"}]'", "phases = '[3]'",
            "slicing = '{\"slices\": []}', slices = 0", "slicing = '{\"fingerprint\": \"f\", \"slices\": [{}]}', slices = 1",
            "state = 'failed', finished_at = now(), error = '{\"message\": 3}'", "created_at = now()", "id = 'job_me'",
            "artifact_id = 'art_none'"})
    void anEditThatMakesNonsenseOfAJobIsRefused(String edit) {
        assertThatThrownBy(() -> jdbc.update("update pruning_job set " + edit + " where id = ?", id)).as(edit)
                .hasMessageContaining("ERROR");
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.QUEUED);
    }

    @ParameterizedTest
    @ValueSource(strings = {"state = 'running'", "state = 'nonsense'", "state = 'done'", "kind = 'open', number = 5", "attempt = -3"})
    void anEditThatMakesNonsenseOfAPieceIsRefused(String edit) {
        assertThatThrownBy(() -> jdbc.update("update job_piece set " + edit + " where job_id = ?", id)).as(edit)
                .hasMessageContaining("ERROR");
    }

    @Test
    void aCodeThatOnlyANewerVersionKnowsCanBeRead() {
        jdbc.update("update pruning_job set state = 'failed', finished_at = now(),"
                + " error = '{\"code\": \"from_the_future\", \"message\": \"hm\", \"violations\": []}' where id = ?", id);
        assertThat(jobs.find(id).orElseThrow().error().code()).isEqualTo(io.espalier.recipe.ErrorCode.INTERNAL_ERROR);
    }

    @Test
    void aPieceWhoseEntryInTheQueueWasDeletedGetsAnother() {
        jdbc.update("delete from scheduled_tasks");
        housekeeper.keepHouse();
        assertThat(jdbc.queryForList("select task_instance from scheduled_tasks", String.class)).containsExactly(id + "/0/2");
        assertThat(leases.claim(id + "/0/2", "w", "cpu")).isPresent();
        assertThat(jobs.events(id, 0, 10)).filteredOn(event -> event.type().equals("mended")).extracting(JobEvent::message)
                .containsExactly("Put right: the queue had lost opening");
    }

    @Test
    void aJobWhosePiecesWereDeletedIsOpenedAnew() {
        reports.opened(leases.claim(id + "/0/1", "w", "cpu").orElseThrow(), Orders.slicing(2));
        jdbc.update("delete from job_piece");
        housekeeper.keepHouse();
        Lease lease = leases.claim(id + "/0/1", "w", "cpu").orElseThrow();
        reports.opened(lease, Orders.slicing(2));
        assertThat(jobs.pieces(id)).hasSize(4);
    }

    @Test
    void aWorkerWhosePieceWasPutBackIntoTheQueueIsFencedOut() {
        Lease lease = leases.claim(id + "/0/1", "w", "cpu").orElseThrow();
        jdbc.update("delete from scheduled_tasks");
        housekeeper.keepHouse();
        assertThatThrownBy(() -> reports.opened(lease, Orders.slicing(1))).isInstanceOf(LeaseLostException.class);
        Lease next = leases.claim(id + "/0/2", "w2", "cpu").orElseThrow();
        reports.opened(next, Orders.slicing(1));
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.RUNNING);
    }

    @Test
    void aJobSetBackByHandIsOpenedAnew() {
        jobs.cancel(id);
        jdbc.update("update pruning_job set state = 'queued', finished_at = null where id = ?", id);
        housekeeper.keepHouse();
        assertThat(leases.claim(id + "/0/2", "w", "cpu")).isPresent();
    }

    @Test
    void aRunningJobThatIsCalledQueuedByHandGoesOnRunning() {
        Lease lease = leases.claim(id + "/0/1", "w", "cpu").orElseThrow();
        jdbc.update("update pruning_job set state = 'queued' where id = ?", id);
        assertThat(reports.progress(lease, new Progress.Tick(Phase.OPEN, 1, null, null, null))).isTrue();
        reports.enter(lease, Phase.OPEN);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.RUNNING);
    }

    @Test
    void aRunningJobThatIsCalledPausedOrFailedByHandLetsItsWorkerGo() {
        Lease lease = leases.claim(id + "/0/1", "w", "cpu").orElseThrow();
        jdbc.update("update pruning_job set state = 'paused' where id = ?", id);
        assertThat(reports.progress(lease, new Progress.Tick(Phase.OPEN, 1, null, null, null))).isFalse();
        assertThat(reports.stopped(lease)).isTrue();
        housekeeper.keepHouse();
        jobs.resume(id);
        assertThat(leases.claim(id + "/0/2", "w", "cpu")).isPresent();
    }

    @Test
    void aWorkerThatWasToldToStopByMistakePutsItsPieceBack() {
        Lease lease = leases.claim(id + "/0/1", "w", "cpu").orElseThrow();
        assertThat(reports.stopped(lease)).as("nobody wanted an end").isFalse();
        assertThat(leases.claim(id + "/0/1", "w", "cpu")).isPresent();
    }

    @Test
    void nothingIsMendedWhereNothingIsWrong() {
        Lease lease = leases.claim(id + "/0/1", "w", "cpu").orElseThrow();
        reports.opened(lease, Orders.slicing(2));
        String paused = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        jobs.pause(paused);
        leases.claim(id + "/1/1", "w", "cpu").orElseThrow();
        jobs.cancel(id);
        assertThat(house.contradictory()).isEmpty();
        house.mend(id);
        house.mend(paused);
        assertThat(jobs.events(id, 0, 100)).extracting(JobEvent::type).doesNotContain("mended");
        assertThat(jobs.events(paused, 0, 100)).extracting(JobEvent::type).doesNotContain("mended");
    }
}
