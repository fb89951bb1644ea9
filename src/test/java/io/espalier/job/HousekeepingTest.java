package io.espalier.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.stream.IntStream;

import javax.sql.DataSource;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.test.context.TestPropertySource;

/** What is forgotten, and that it holds nothing up. */
@OfficeTest
@TestPropertySource(properties = {"espalier.jobs.keep-jobs=1d", "espalier.jobs.keep-events=1h", "espalier.jobs.housekeeping=1h"})
class HousekeepingTest {

    @Autowired
    private PruningJobs jobs;
    @Autowired
    private Housekeeping house;
    @Autowired
    private JdbcTemplate jdbc;
    @Autowired
    private DataSource database;

    @BeforeEach
    void empty() {
        jdbc.execute("truncate pruning_job, scheduled_tasks cascade");
    }

    @Test
    void anOldJobThatSomebodyHoldsIsForgottenLaterAndEverythingElseNow() throws SQLException {
        String held = ended("2 days");
        String free = ended("2 days");
        String waiting = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        jdbc.update("update job_piece set state = 'ready' where job_id = ?", waiting);
        try (Connection other = database.getConnection()) {
            other.setAutoCommit(false);
            other.createStatement().execute("select 1 from pruning_job where id = '" + held + "' for update");
            house.keepHouse();
            other.rollback();
            other.setAutoCommit(true);
        }
        assertThat(jobs.find(held)).isPresent();
        assertThat(jobs.find(free)).isEmpty();
        assertThat(jobs.pieces(waiting)).extracting(Piece::state).containsExactly(Piece.State.QUEUED);

        house.keepHouse();
        assertThat(jobs.find(held)).isEmpty();
    }

    @Test
    void theHistoryGoesBeforeTheJobAndOnlyThatOfOldJobs() {
        String old = ended("2 hours");
        String young = ended("2 minutes");
        house.keepHouse();
        assertThat(jobs.events(old, 0, 10)).isEmpty();
        assertThat(jobs.events(young, 0, 10)).hasSize(2);
        assertThat(jobs.find(old)).isPresent();
    }

    @Test
    void manyOldJobsAreForgottenInSeveralRounds() {
        List<String> all = IntStream.range(0, 103).mapToObj(_ -> ended("2 days")).toList();
        house.keepHouse();
        assertThat(all.stream().filter(id -> jobs.find(id).isPresent())).hasSize(3);
        house.keepHouse();
        assertThat(all.stream().filter(id -> jobs.find(id).isPresent())).isEmpty();
    }

    private String ended(String before) {
        String id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        jobs.cancel(id);
        jdbc.update("update pruning_job set finished_at = now() - cast(? as interval) where id = ?", before, id);
        return id;
    }
}
