package io.espalier.job;

import java.sql.Timestamp;
import java.time.Clock;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.temporal.ChronoUnit;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import io.espalier.telemetry.LogLine;
import io.espalier.telemetry.Traces;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/**
 * What is told of a job beside its state and kept after its workers are gone: its trace, series of figures, log lines. Bounded for each job: a series that
 * has too many points has its resolution halved, log lines that weigh too much go, the oldest first. Written in transactions that hold the job's row
 * and have seen that the lease is good.
 */
@Component
@Transactional
public class JobRecords {

    /** Series whose points are means, see {@link JobMetric#averaged}. */
    private static final String[] AVERAGED = Arrays.stream(JobMetric.values()).filter(JobMetric::averaged).map(JobMetric::json)
            .toArray(String[]::new);

    private final JdbcClient jdbc;
    private final RecordSettings settings;
    private final Traces traces;
    private final Clock clock;

    JobRecords(JdbcClient jdbc, RecordSettings settings, Traces traces, Clock clock) {
        this.jdbc = jdbc;
        this.settings = settings;
        this.traces = traces;
        this.clock = clock;
    }

    /** @param value what the series was at that time, mean or last */
    public record Point(Instant at, double value) {}

    /**
     * One series, in order.
     *
     * @param pointSeconds the time that a point stands for
     */
    public record Series(JobMetric name, int pointSeconds, List<Point> points) {}

    /**
     * A line as it was kept.
     *
     * @param seq 1, 2, 3, ... within the job
     */
    public record Line(long seq, int piece, int attempt, LogLine line) {}

    /** A job begins, in the trace that the calling thread is about. */
    void begin(String id) {
        jdbc.sql("insert into job_record (job_id, traceparent) values (:id, :trace) on conflict do nothing").param("id", id)
                .param("trace", traces.current(), java.sql.Types.VARCHAR).update();
    }

    /** Trace context of the request that ordered the job; empty where nobody traced it. */
    @Transactional(readOnly = true)
    public Optional<String> traceparent(String id) {
        return jdbc.sql("select traceparent from job_record where job_id = :id and traceparent is not null").param("id", id)
                .query(String.class).optional();
    }

    /**
     * Adds figures to a job's series.
     *
     * @param figures by what they are about; of {@link JobMetric#READ_BYTES}, what was read since it was told last
     */
    void add(String id, Map<JobMetric, Double> figures, Instant now) {
        Map<JobMetric, Double> values = new java.util.EnumMap<>(figures);
        values.values().removeIf(value -> !Double.isFinite(value));
        values.computeIfPresent(JobMetric.READ_BYTES, (_, more) -> jdbc
                .sql("update job_record set read_bytes = read_bytes + :more where job_id = :id returning read_bytes").param("more", more)
                .param("id", id).query(Double.class).optional().orElse(more));
        List<Boolean> begun = jdbc.sql("""
                insert into job_point (job_id, name, at, value, samples)
                select :id, f.name, to_timestamp(floor(extract(epoch from cast(:now as timestamptz)) / r.s) * r.s), f.value, 1
                from unnest(cast(:names as text[]), cast(:values as float8[])) as f (name, value),
                    (select coalesce((select point_seconds from job_record where job_id = :id), 1) as s) r
                on conflict (job_id, name, at) do update set samples = job_point.samples + 1, value = case when job_point.name = any(:means)
                    then job_point.value + (excluded.value - job_point.value) / (job_point.samples + 1) else excluded.value end
                returning xmax = 0""")
                .param("id", id).param("now", Timestamp.from(now)).param("means", AVERAGED)
                .param("names", values.keySet().stream().map(JobMetric::json).toArray(String[]::new))
                .param("values", values.values().toArray(Double[]::new)).query(Boolean.class).list();
        if (begun.contains(true)) {
            halve(id);
        }
    }

    /** Makes each point stand for twice the time, until no series has too many. */
    private void halve(String id) {
        while (jdbc.sql("select max(n) from (select count(*) n from job_point where job_id = :id group by name) s").param("id", id)
                .query(Long.class).single() > settings.points()) {
            int seconds = jdbc.sql("""
                    insert into job_record (job_id, point_seconds) values (:id, 2)
                    on conflict (job_id) do update set point_seconds = job_record.point_seconds * 2 returning point_seconds""")
                    .param("id", id).query(Integer.class).single();
            jdbc.sql(
                    """
                            with fine as (delete from job_point where job_id = :id returning name, at, value, samples)
                            insert into job_point (job_id, name, at, value, samples)
                            select :id, name, to_timestamp(floor(extract(epoch from at) / :s) * :s),
                                case when name = any(:means) then sum(value * samples) / sum(samples) else (array_agg(value order by at desc))[1] end,
                                sum(samples)
                            from fine group by 2, 3""")
                    .param("id", id).param("s", seconds).param("means", AVERAGED).update();
        }
    }

    /**
     * Keeps what a worker has to tell, in the transaction of its progress, which has locked the job's row and seen that the lease is good.
     *
     * @param percent of the whole job
     */
    void told(Lease lease, double percent, Map<JobMetric, Double> figures, List<LogLine> lines, Instant now) {
        if (!figures.isEmpty()) {
            Map<JobMetric, Double> all = new java.util.EnumMap<>(figures);
            all.put(JobMetric.PERCENT, percent);
            all.computeIfPresent(JobMetric.TOKENS_PER_SECOND, (_, own) -> jdbc
                    .sql("select coalesce(tokens_per_second, 0) from pruning_job where id = :id").param("id", lease.jobId())
                    .query(Double.class).single());
            add(lease.jobId(), all, now);
        }
        add(lease, lines);
    }

    /**
     * Keeps the last words of a piece, those that no progress goes with. Its lease is good for that until somebody else claims the piece.
     *
     * @return whether they are kept; {@code false} when somebody has claimed it, or the job is gone
     */
    public boolean lastWords(Lease lease, Map<JobMetric, Double> figures, List<LogLine> lines) {
        Double percent = jdbc.sql("select percent from pruning_job where id = :id for update").param("id", lease.jobId())
                .query(Double.class).optional().orElse(null);
        boolean last = percent != null && jdbc
                .sql("select count(*) from job_piece where job_id = :id and number = :number and attempt = :attempt")
                .param("id", lease.jobId()).param("number", lease.piece()).param("attempt", lease.attempt()).query(Integer.class)
                .single() > 0;
        if (last) {
            Map<JobMetric, Double> own = new java.util.EnumMap<>(JobMetric.class);
            own.putAll(figures);
            own.remove(JobMetric.TOKENS_PER_SECOND);
            told(lease, percent, own, lines, clock.instant());
        }
        return last;
    }

    /** Adds lines to a job's log. */
    void add(Lease lease, List<LogLine> lines) {
        if (lines.isEmpty()) {
            return;
        }
        long bytes = lines.stream().mapToLong(LogLine::bytes).sum();
        record Size(long lastLine, long lineBytes) {}
        Size size = jdbc.sql("""
                insert into job_record (job_id, last_line, line_bytes) values (:id, :lines, :bytes)
                on conflict (job_id) do update set last_line = job_record.last_line + :lines, line_bytes = job_record.line_bytes + :bytes
                returning last_line, line_bytes""")
                .param("id", lease.jobId()).param("lines", lines.size()).param("bytes", bytes).query(Size.class).single();
        jdbc.sql("""
                insert into job_line (job_id, seq, at, level, logger, message, piece, attempt, worker, trace_id, bytes)
                select :id, :first + n, l.at, l.level, l.logger, l.message, :piece, :attempt, l.worker, l.trace_id, l.bytes
                from unnest(cast(:at as timestamptz[]), cast(:level as text[]), cast(:logger as text[]), cast(:message as text[]),
                    cast(:worker as text[]), cast(:trace as text[]), cast(:bytes as int[]))
                    with ordinality as l (at, level, logger, message, worker, trace_id, bytes, n)""")
                .param("id", lease.jobId()).param("first", size.lastLine - lines.size()).param("piece", lease.piece())
                .param("attempt", lease.attempt())
                .param("at", of(lines, line -> line.at().truncatedTo(ChronoUnit.MICROS).toString()))
                .param("level", of(lines, LogLine::level))
                .param("logger", of(lines, LogLine::logger)).param("message", of(lines, LogLine::message))
                .param("worker", of(lines, LogLine::worker)).param("trace", of(lines, LogLine::traceId))
                .param("bytes", lines.stream().map(LogLine::bytes).toArray(Integer[]::new)).update();
        if (size.lineBytes > settings.logBytes().toBytes()) {
            forget(lease.jobId());
        }
    }

    private static String[] of(List<LogLine> lines, java.util.function.Function<LogLine, String> field) {
        return lines.stream().map(field).toArray(String[]::new);
    }

    /** Drops the oldest lines; a quarter more than must be, so that it is not done every time. */
    private void forget(String id) {
        jdbc.sql("""
                with sized as (select seq, sum(bytes) over (order by seq desc) as since from job_line where job_id = :id),
                    gone as (delete from job_line l using sized where l.job_id = :id and l.seq = sized.seq and sized.since > :most
                        returning l.bytes)
                update job_record set lines_dropped = lines_dropped + (select count(*) from gone),
                    line_bytes = line_bytes - (select coalesce(sum(bytes), 0) from gone)
                where job_id = :id""").param("id", id).param("most", settings.logBytes().toBytes() * 3 / 4).update();
    }

    /**
     * Series of a job, in the order of {@link JobMetric}; one that nothing was told of has no points.
     *
     * @param names which
     * @param since only points at or after it; {@code null}: all
     * @param seconds the time that a point is to stand for, if that is longer than what is kept; 0: what is kept
     */
    @Transactional(readOnly = true)
    public List<Series> series(String id, List<JobMetric> names, Instant since, int seconds) {
        int kept = jdbc.sql("select coalesce((select point_seconds from job_record where job_id = :id), 1)").param("id", id)
                .query(Integer.class).single();
        // why a multiple: a point that is kept falls into one that is given
        int given = seconds <= kept ? kept : Math.ceilDiv(seconds, kept) * kept;
        record Row(String name, OffsetDateTime begin, double value) {}
        Map<String, List<Row>> rows = jdbc
                .sql("""
                        select name, to_timestamp(floor(extract(epoch from at) / :s) * :s) as begin,
                            case when name = any(:means) then sum(value * samples) / sum(samples) else (array_agg(value order by at desc))[1] end as value
                        from job_point where job_id = :id and name = any(:names) and at >= coalesce(cast(:since as timestamptz), '-infinity')
                        group by 1, 2 order by 1, 2""")
                .param("id", id).param("s", given).param("means", AVERAGED)
                .param("names", names.stream().map(JobMetric::json).toArray(String[]::new))
                .param("since", since == null ? null : since.atOffset(java.time.ZoneOffset.UTC), java.sql.Types.TIMESTAMP_WITH_TIMEZONE)
                .query(Row.class).stream().collect(java.util.stream.Collectors.groupingBy(Row::name));
        return names.stream().map(name -> new Series(name, given, rows.getOrDefault(name.json(), List.of()).stream()
                .map(row -> new Point(row.begin.toInstant(), row.value)).toList())).toList();
    }

    /**
     * Log lines of a job, in order.
     *
     * @param afterSeq only lines with a higher number; 0: from the first
     * @param levels only those
     * @param limit at most so many
     */
    @Transactional(readOnly = true)
    public List<Line> lines(String id, long afterSeq, List<String> levels, int limit) {
        return jdbc.sql("""
                select seq, at, level, logger, message, piece, attempt, worker, trace_id from job_line
                where job_id = :id and seq > :after and level = any(:levels) order by seq limit :limit""")
                .param("id", id).param("after", afterSeq).param("levels", levels.toArray(String[]::new)).param("limit", limit)
                .query((row, _) -> new Line(row.getLong("seq"), row.getInt("piece"), row.getInt("attempt"),
                        new LogLine(row.getObject("at", OffsetDateTime.class).toInstant(), row.getString("level"), row.getString("logger"),
                                row.getString("message"), row.getString("worker"), row.getString("trace_id"))))
                .list();
    }

    /** What waits and who is at work, for people: one row for each piece that is somebody's or could be, of the most urgent jobs first. */
    @Transactional(readOnly = true)
    public List<Map<String, Object>> queue() {
        return jdbc
                .sql("""
                        select j.id as job_id, j.state as job_state, j.priority, j.created_at::text, p.number as piece, p.kind, p.state, p.tries,
                            p.lost_workers, p.failures, p.worker, p.device, p.started_at::text, t.picked_by, t.last_heartbeat::text, t.execution_time::text
                        from job_piece p join pruning_job j on j.id = p.job_id
                        left join scheduled_tasks t on t.task_name = :task and t.task_instance = p.job_id || '/' || p.number || '/' || p.entry
                        where p.state in ('ready', 'queued', 'running') order by j.priority desc, j.id, p.number limit 500""")
                .param("task", PruningJobs.TASK.getTaskName()).query().listOfRows();
    }

    /** How many lines were dropped because there were too many. */
    @Transactional(readOnly = true)
    public long linesDropped(String id) {
        return jdbc.sql("select coalesce((select lines_dropped from job_record where job_id = :id), 0)").param("id", id).query(Long.class)
                .single();
    }
}
