package io.espalier.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.IntStream;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.test.context.TestPropertySource;

/** Who is let into the queue, and in which order. */
@OfficeTest
@TestPropertySource(properties = {"espalier.jobs.project-cap=3", "espalier.jobs.ageing=1m", "espalier.jobs.housekeeping=1h"})
class WaitingTest {

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

    @BeforeEach
    void empty() {
        jdbc.execute("truncate pruning_job, scheduled_tasks cascade");
    }

    @Test
    void aProjectHasNoMorePiecesInTheQueueThanItsCap() {
        List<String> mine = IntStream.range(0, 5).mapToObj(_ -> submit("mine", 0)).toList();
        String theirs = submit("theirs", 0);
        assertThat(queued()).containsExactlyInAnyOrder(mine.get(0) + "/0/1", mine.get(1) + "/0/1", mine.get(2) + "/0/1", theirs + "/0/1");

        Lease lease = leases.claim(mine.get(0) + "/0/1", "w", "cpu").orElseThrow();
        house.keepHouse();
        assertThat(queued()).as("one at work counts too").hasSize(4);
        jobs.cancel(mine.get(1));
        assertThat(queued()).contains(mine.get(3) + "/0/1").doesNotContain(mine.get(4) + "/0/1");
        reports.opened(lease, Orders.slicing(8));
        assertThat(queued()).as("the place that the opening piece left goes to the older job's first slice").contains(mine.get(0) + "/1/1")
                .doesNotContain(mine.get(0) + "/2/1");
    }

    @Test
    void ofEqualAgeTheHigherPriorityComesFirst() {
        String low = submit("a", -5);
        String high = submit("b", 5);
        String middle = submit("c", 0);
        house.keepHouse();
        assertThat(inOrder()).containsExactly(high, middle, low);
    }

    @Test
    void waitingCountsAsPriorityInTheEnd() {
        String patient = submit("a", -2);
        aged(patient, 10);
        String hasty = submit("b", 5);
        house.keepHouse();
        assertThat(inOrder()).as("8 against 5").containsExactly(patient, hasty);
        String urgent = submit("c", 9);
        house.keepHouse();
        assertThat(inOrder()).containsExactly(urgent, patient, hasty);
    }

    @Test
    void whoHasWaitedLongestIsLetInFirstWhenAPlaceIsFree() {
        List<String> holding = IntStream.range(0, 3).mapToObj(_ -> submit("mine", 0)).toList();
        String young = submit("mine", 1);
        String old = submit("mine", 0);
        aged(old, 5);
        jobs.cancel(holding.getFirst());
        assertThat(queued()).contains(old + "/0/1").doesNotContain(young + "/0/1");
    }

    private String submit(String project, int priority) {
        return jobs.submit(Orders.recipe(project, priority), Orders.inputs()).id();
    }

    private void aged(String id, int minutes) {
        jdbc.execute("alter table pruning_job disable trigger pruning_job_unedited");
        jdbc.update("update pruning_job set created_at = created_at - make_interval(mins => ?) where id = ?", minutes, id);
        jdbc.execute("alter table pruning_job enable trigger pruning_job_unedited");
    }

    private List<String> queued() {
        return jdbc.queryForList("select task_instance from scheduled_tasks t join job_piece p on t.task_instance ="
                + " p.job_id || '/' || p.number || '/' || p.entry where p.state in ('queued', 'running')", String.class);
    }

    /** As the queue hands them out. */
    private List<String> inOrder() {
        return jdbc.queryForList("select split_part(task_instance, '/', 1) from scheduled_tasks order by priority desc, execution_time",
                String.class);
    }
}
