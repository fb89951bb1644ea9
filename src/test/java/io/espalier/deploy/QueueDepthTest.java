package io.espalier.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.job.Leases;
import io.espalier.job.PruningJobs;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.test.context.TestPropertySource;

/** The question by which KEDA knows how many workers there should be, put to the tables as they are. */
@OfficeTest
@TestPropertySource(properties = "espalier.jobs.housekeeping=1h")
class QueueDepthTest {

    @Autowired
    private PruningJobs jobs;
    @Autowired
    private Leases leases;
    @Autowired
    private JdbcTemplate jdbc;

    @BeforeEach
    void empty() {
        jdbc.execute("truncate pruning_job, scheduled_tasks cascade");
    }

    @Test
    void whatWaitsOrRunsAsksForAWorkerAndNothingElseDoes() {
        assertThat(depth()).isZero();
        String job = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        assertThat(depth()).isEqualTo(1);
        jobs.pause(job);
        assertThat(depth()).as("paused").isZero();
        jobs.resume(job);
        assertThat(leases.claim(jdbc.queryForObject("select max(task_instance) from scheduled_tasks", String.class), "w", "cpu"))
                .isPresent();
        assertThat(depth()).as("running").isEqualTo(1);
        jobs.cancel(job);
        assertThat(depth()).as("cancelled, and its worker does not know yet").isEqualTo(1);
    }

    private long depth() {
        Map<String, Object> scaled = Chart.only(Chart.render("gpu.yaml", _ -> {}), "ScaledObject");
        Map<String, Object> trigger = Chart.list(Chart.at(scaled, "spec"), "triggers").getFirst();
        return jdbc.queryForObject((String) Chart.at(trigger, "metadata").get("query"), Long.class);
    }
}
