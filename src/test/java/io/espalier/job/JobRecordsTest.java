package io.espalier.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.telemetry.LogLine;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.test.context.TestPropertySource;

/** What is told of a job is kept, bounded, and only by whoever has its lease. */
@OfficeTest
@TestPropertySource(properties = {"espalier.jobs.record.points=16", "espalier.jobs.record.log-bytes=4KB"})
class JobRecordsTest {

    private static final Instant BEGIN = Instant.parse("2026-11-25T00:00:00Z");
    private static final List<String> ALL = List.of("trace", "debug", "info", "warn", "error");
    private static final Progress.Tick TICK = new Progress.Tick(Phase.CALIBRATE, 10, 3, 12, 100.0);

    @Autowired
    private PruningJobs jobs;
    @Autowired
    private Leases leases;
    @Autowired
    private PieceReports reports;
    @Autowired
    private JobRecords records;
    @Autowired
    private JdbcTemplate jdbc;
    private String id;
    private Lease lease;

    @BeforeEach
    void start() {
        jdbc.execute("truncate pruning_job, artifact, score_set, scheduled_tasks cascade");
        id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        lease = leases.claim(id + "/0/1", "w", "cpu").orElseThrow();
    }

    private List<JobRecords.Point> points(JobMetric metric, int seconds) {
        return records.series(id, List.of(metric), null, seconds).getFirst().points();
    }

    private static LogLine line(String level, String message) {
        return new LogLine(BEGIN, level, "Test", message, "w", null);
    }

    @Test
    void aSeriesThatGrowsTooLongIsHalvedAndKeepsItsMeansAndItsEnd() {
        for (int second = 0; second < 100; second++) {
            records.add(id, Map.of(JobMetric.TOKENS_PER_SECOND, (double) second, JobMetric.PERCENT, (double) second),
                    BEGIN.plusSeconds(second));
        }
        JobRecords.Series speed = records.series(id, List.of(JobMetric.TOKENS_PER_SECOND), null, 0).getFirst();
        assertThat(speed.pointSeconds()).isEqualTo(8);
        assertThat(speed.points()).hasSize(13);
        assertThat(speed.points().getFirst()).isEqualTo(new JobRecords.Point(BEGIN, 3.5));
        assertThat(speed.points().getLast()).isEqualTo(new JobRecords.Point(BEGIN.plusSeconds(96), 97.5));
        assertThat(points(JobMetric.PERCENT, 0)).last().extracting(JobRecords.Point::value).isEqualTo(99.0);
        assertThat(points(JobMetric.PERCENT, 0)).first().extracting(JobRecords.Point::value).isEqualTo(7.0);
        assertThat(points(JobMetric.PERCENT, 50)).as("56 s, the next multiple").extracting(JobRecords.Point::at)
                .allMatch(at -> at.getEpochSecond() % 56 == 0);
        assertThat(points(JobMetric.TOKENS_PER_SECOND, 86_400)).singleElement().extracting(JobRecords.Point::value).isEqualTo(49.5);
        assertThat(records.series(id, List.of(JobMetric.PERCENT), BEGIN.plusSeconds(90), 0).getFirst().points())
                .extracting(JobRecords.Point::at).containsExactly(BEGIN.plusSeconds(96));
        assertThat(points(JobMetric.LOSS, 0)).isEmpty();
    }

    @Test
    void whatIsReadAddsUpOverAllPiecesAndWhatIsNoNumberIsNoPoint() {
        records.add(id, Map.of(JobMetric.READ_BYTES, 100.0, JobMetric.LOSS, Double.NaN), BEGIN);
        records.add(id, Map.of(JobMetric.READ_BYTES, 20.0), BEGIN.plusSeconds(5));
        assertThat(points(JobMetric.READ_BYTES, 0)).extracting(JobRecords.Point::value).containsExactly(100.0, 120.0);
        assertThat(points(JobMetric.LOSS, 0)).isEmpty();
    }

    @Test
    void figuresAndLinesGoWithTheProgress() {
        assertThat(
                reports.progress(lease, TICK, Map.of(JobMetric.TOKENS_PER_SECOND, 100.0),
                        List.of(line("info", "one"), line("warn", "two"))))
                .isTrue();
        assertThat(points(JobMetric.PERCENT, 0)).extracting(JobRecords.Point::value).containsExactly(10.0);
        assertThat(points(JobMetric.TOKENS_PER_SECOND, 0)).extracting(JobRecords.Point::value).containsExactly(100.0);
        assertThat(records.lines(id, 0, ALL, 10)).extracting(JobRecords.Line::seq).containsExactly(1L, 2L);
        assertThat(records.lines(id, 1, ALL, 10)).singleElement()
                .isEqualTo(new JobRecords.Line(2, 0, lease.attempt(), line("warn", "two")));
        assertThat(records.lines(id, 0, List.of("error"), 10)).isEmpty();
        assertThat(jobs.find(id).orElseThrow().progress().percent()).isEqualTo(10);
    }

    @Test
    void aWorkerWhosePieceSomebodyElseHasCanTellNothing() {
        Lease later = leases.claim(id + "/0/1", "other", "cpu").orElseThrow();
        assertThatThrownBy(() -> reports.progress(lease, TICK, Map.of(JobMetric.LAYER, 1.0), List.of(line("info", "late"))))
                .isInstanceOf(LeaseLostException.class);
        assertThat(records.lastWords(lease, Map.of(), List.of(line("info", "late")))).isFalse();
        assertThat(records.lines(id, 0, ALL, 10)).isEmpty();
        assertThat(points(JobMetric.LAYER, 0)).isEmpty();
        assertThat(records.lastWords(later, Map.of(JobMetric.LAYER, 2.0), List.of(line("info", "mine")))).isTrue();
        assertThat(records.lines(id, 0, ALL, 10)).extracting(kept -> kept.line().message()).containsExactly("mine");
        assertThat(points(JobMetric.LAYER, 0)).hasSize(1);
    }

    @Test
    void theLastWordsOfAPieceAreWrittenAfterItsEnd() {
        reports.fail(lease, new JobError(io.espalier.recipe.ErrorCode.INTERNAL_ERROR, "why", null));
        assertThat(records.lastWords(lease, Map.of(), List.of(line("warn", "failed")))).isTrue();
        assertThat(records.lines(id, 0, ALL, 10)).hasSize(1);
    }

    @Test
    void linesThatWeighTooMuchGoOldestFirstAndAreCounted() {
        for (int i = 1; i <= 100; i++) {
            records.lastWords(lease, Map.of(), List.of(line("info", "line " + i + " " + "x".repeat(100))));
        }
        List<JobRecords.Line> kept = records.lines(id, 0, ALL, 1000);
        assertThat(kept).last().extracting(JobRecords.Line::seq).isEqualTo(100L);
        assertThat(kept.stream().mapToInt(line -> line.line().bytes()).sum()).isBetween(2000, 4096);
        assertThat(records.linesDropped(id)).isEqualTo(100 - kept.size());
        assertThat(kept).extracting(JobRecords.Line::seq)
                .containsExactlyElementsOf(IntStream.rangeClosed(101 - kept.size(), 100).mapToObj(Long::valueOf).toList());
        assertThat(jdbc.queryForObject("select line_bytes from job_record", Long.class))
                .isEqualTo(kept.stream().mapToLong(line -> line.line().bytes()).sum());
    }

    @Test
    void aDeletedJobTakesItAllAlong() {
        reports.progress(lease, TICK, Map.of(JobMetric.LAYER, 1.0), List.of(line("info", "one")));
        reports.fail(lease, new JobError(io.espalier.recipe.ErrorCode.INTERNAL_ERROR, "why", null));
        jobs.delete(id);
        for (String table : List.of("job_record", "job_point", "job_line")) {
            assertThat(jdbc.queryForObject("select count(*) from " + table, Long.class)).as(table).isZero();
        }
        assertThat(records.lastWords(lease, Map.of(), List.of(line("info", "of nothing")))).isFalse();
    }
}
