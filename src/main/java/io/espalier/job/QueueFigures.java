package io.espalier.job;

import java.sql.Timestamp;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;

import io.espalier.telemetry.Meter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tags;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.scheduling.annotation.Scheduled;
import org.springframework.stereotype.Component;

/**
 * The meters that the database knows, read by one query every few seconds, however often and by whomever they are scraped; in processes that serve the
 * API. Labels are bounded: the projects with most that waits have their own, the rest are {@value #OTHER}.
 */
@Component
@ConditionalOnBooleanProperty("espalier.api.enabled")
class QueueFigures {

    static final String OTHER = "other";

    private static final Logger log = LoggerFactory.getLogger(QueueFigures.class);

    private final JdbcClient jdbc;
    private final Clock clock;
    private final int projects;
    private final MultiGauge pieces;
    private final MultiGauge oldest;
    private final MultiGauge jobs;
    private final AtomicReference<Double> artifactBytes = new AtomicReference<>(0.0);

    QueueFigures(JdbcClient jdbc, Clock clock, MeterRegistry registry, MetricSettings settings) {
        this.jdbc = jdbc;
        this.clock = clock;
        this.projects = settings.projects();
        this.pieces = gauges(Meter.QUEUE_PIECES, registry);
        this.oldest = gauges(Meter.QUEUE_OLDEST, registry);
        this.jobs = gauges(Meter.JOBS, registry);
        Gauge.builder(Meter.ARTIFACT_BYTES.id(), artifactBytes, AtomicReference::get).description(Meter.ARTIFACT_BYTES.sentence())
                .register(registry);
    }

    private static MultiGauge gauges(Meter meter, MeterRegistry registry) {
        return MultiGauge.builder(meter.id()).description(meter.sentence()).register(registry);
    }

    /** One row of the one query; what it is about decides which fields count. */
    private record Row(String what, String label, String priority, double number, double age) {}

    /** What waits of a project's jobs of one class of priority. */
    private record Waiting(double pieces, double age) {
        Waiting and(Waiting other) {
            return new Waiting(pieces + other.pieces, Math.max(age, other.age));
        }
    }

    private record Place(String priority, String project) {
        Tags tags() {
            return Tags.of("priority", priority, "project", project);
        }
    }

    @Scheduled(initialDelay = 0, fixedDelayString = "${espalier.metrics.interval}")
    void read() {
        try {
            tell(rows());
        } catch (RuntimeException e) {
            log.warn("the queue was not counted, the last figures stay: {}", e.toString());
        }
    }

    private List<Row> rows() {
        // why the last event: it is when a job that waits came into the queue, for the first time or again
        return jdbc
                .sql("""
                        select 'waiting' as what, j.project as label,
                            case when j.priority > 0 then 'high' when j.priority < 0 then 'low' else 'normal' end as priority,
                            cast(count(*) as float8) as number,
                            cast(coalesce(max(case when j.state = 'queued' then extract(epoch from (cast(:now as timestamptz) - coalesce((
                                select e.at from job_event e where e.job_id = j.id order by e.seq desc limit 1), j.created_at))) end), 0) as float8) as age
                        from job_piece p join pruning_job j on j.id = p.job_id
                        where p.state in ('ready', 'queued') and j.state in ('queued', 'running') group by 2, 3
                        union all select 'jobs', state, '', count(*), 0 from pruning_job group by state
                        union all select 'artifacts', '', '', coalesce(sum(bytes), 0), 0 from artifact""")
                .param("now", Timestamp.from(clock.instant())).query(Row.class).list();
    }

    private void tell(List<Row> rows) {
        Map<String, Double> byProject = rows.stream().filter(row -> row.what.equals("waiting"))
                .collect(Collectors.groupingBy(Row::label, TreeMap::new, Collectors.summingDouble(Row::number)));
        Set<String> named = byProject.entrySet().stream().sorted(Map.Entry.<String, Double>comparingByValue(Comparator.reverseOrder()))
                .limit(projects).map(Map.Entry::getKey).collect(Collectors.toSet());
        Map<Place, Waiting> waiting = rows.stream().filter(row -> row.what.equals("waiting")).collect(Collectors.toMap(
                row -> new Place(row.priority, named.contains(row.label) ? row.label : OTHER),
                row -> new Waiting(row.number, Math.max(0, row.age)), Waiting::and));
        pieces.register(waiting.entrySet().stream().map(one -> MultiGauge.Row.of(one.getKey().tags(), one.getValue().pieces)).toList(),
                true);
        oldest.register(waiting.entrySet().stream().map(one -> MultiGauge.Row.of(one.getKey().tags(), one.getValue().age)).toList(), true);
        List<MultiGauge.Row<?>> states = new ArrayList<>();
        for (JobState state : JobState.values()) {
            states.add(MultiGauge.Row.of(Tags.of("state", state.json()), rows.stream()
                    .filter(row -> row.what.equals("jobs") && row.label.equals(state.json())).mapToDouble(Row::number).sum()));
        }
        jobs.register(states, true);
        rows.stream().filter(row -> row.what.equals("artifacts")).forEach(row -> artifactBytes.set(row.number));
    }
}
