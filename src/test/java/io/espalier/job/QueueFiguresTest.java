package io.espalier.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.ZoneOffset;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;

/** What the database knows, as meters. */
@OfficeTest
class QueueFiguresTest {

    @Autowired
    private PruningJobs jobs;
    @Autowired
    private Leases leases;
    @Autowired
    private PieceReports reports;
    @Autowired
    private JdbcTemplate jdbc;
    @Autowired
    private JdbcClient client;
    @Autowired
    private java.time.Clock clock;
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();

    @BeforeEach
    void empty() {
        jdbc.execute("truncate pruning_job, artifact, score_set, scheduled_tasks cascade");
    }

    private QueueFigures figures(int projects, Duration later) {
        java.time.Clock then = java.time.Clock.fixed(clock.instant().plus(later), ZoneOffset.UTC);
        return new QueueFigures(client, then, meters, new MetricSettings(Duration.ofSeconds(15), projects));
    }

    private double waiting(String meter, String priority, String project) {
        return meters.get(meter).tags("priority", priority, "project", project).gauge().value();
    }

    @Test
    void whatWaitsIsCountedByPriorityAndByTheProjectsWithMostOfIt() {
        for (int i = 0; i < 3; i++) {
            jobs.submit(Orders.recipe("large", 5), Orders.inputs());
        }
        jobs.submit(Orders.recipe("large", 0), Orders.inputs());
        jobs.submit(Orders.recipe("small", 0), Orders.inputs());
        jobs.submit(Orders.recipe("tiny", -3), Orders.inputs());
        String last = jobs.submit(Orders.recipe("least", -3), Orders.inputs()).id();
        QueueFigures figures = figures(1, Duration.ofHours(1));
        figures.read();
        assertThat(waiting("espalier.queue.pieces", "high", "large")).isEqualTo(3);
        assertThat(waiting("espalier.queue.pieces", "normal", "large")).isEqualTo(1);
        assertThat(waiting("espalier.queue.pieces", "normal", "other")).isEqualTo(1);
        assertThat(waiting("espalier.queue.pieces", "low", "other")).isEqualTo(2);
        assertThat(waiting("espalier.queue.oldest.seconds", "high", "large")).isBetween(3600.0, 4200.0);
        assertThat(meters.get("espalier.jobs").tags("state", "queued").gauge().value()).isEqualTo(7);
        assertThat(meters.get("espalier.artifact.bytes").gauge().value()).isZero();

        jobs.cancel(last);
        figures.read();
        assertThat(waiting("espalier.queue.pieces", "low", "other")).isEqualTo(1);
        assertThat(meters.get("espalier.jobs").tags("state", "cancelled").gauge().value()).isEqualTo(1);
        jdbc.execute("truncate pruning_job cascade");
        figures.read();
        assertThat(meters.find("espalier.queue.pieces").gauges()).as("nothing waits, nothing is said of it").isEmpty();
        assertThat(meters.get("espalier.jobs").tags("state", "queued").gauge().value()).isZero();
    }

    @Test
    void aJobThatIsAtWorkDoesNotCountAsWaitingHoweverManyOfItsPiecesDo() {
        String id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        Lease lease = leases.claim(id + "/0/1", "w", "cpu").orElseThrow();
        reports.opened(lease, Orders.slicing(3));
        QueueFigures figures = figures(20, Duration.ofHours(1));
        figures.read();
        assertThat(waiting("espalier.queue.pieces", "normal", "default")).isEqualTo(3);
        assertThat(waiting("espalier.queue.oldest.seconds", "normal", "default")).isZero();
    }
}
