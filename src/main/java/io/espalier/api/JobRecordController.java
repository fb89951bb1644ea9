package io.espalier.api;

import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;

import io.espalier.job.JobMetric;
import io.espalier.job.JobRecords;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.recipe.Violation;
import io.espalier.telemetry.LogLine;
import org.springframework.http.CacheControl;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/** What is kept of a job beside its state: series of figures, and the log of its workers. */
@RestController
@RequestMapping(path = PruningJobController.PATH + "/{id}")
final class JobRecordController {

    private static final String AFTERS = "an integer, 0 or more";
    private static final String STEPS = "seconds, an integer from 1 to 86400";
    private static final int MAX_STEP = 86_400;
    private static final String LIMIT = "200";
    private static final String LIMITS = "an integer from 1 to 1000";
    private static final int MAX_LIMIT = 1000;
    /** Each with those that come after it. */
    private static final List<String> LEVELS = List.of("trace", "debug", "info", "warn", "error");
    /** The earliest and the latest time that the database knows, more or less. */
    private static final Instant EARLIEST = Instant.parse("0001-01-01T00:00:00Z");
    private static final Instant LATEST = Instant.parse("9999-12-31T23:59:59Z");

    private final PruningJobs jobs;
    private final JobRecords records;

    JobRecordController(PruningJobs jobs, JobRecords records) {
        this.jobs = jobs;
        this.records = records;
    }

    @JsonNaming(SnakeCaseStrategy.class)
    record Metrics(int stepSeconds, List<Series> series) {}

    record Series(JobMetric name, String unit, List<JobRecords.Point> points) {}

    @JsonNaming(SnakeCaseStrategy.class)
    record Line(long seq, Instant at, String level, String logger, int piece, int attempt, String worker, String traceId, String message) {

        static Line of(JobRecords.Line kept) {
            LogLine line = kept.line();
            return new Line(kept.seq(), line.at(), line.level(), line.logger(), kept.piece(), kept.attempt(), line.worker(), line.traceId(),
                    line.message());
        }

        String text() {
            return "%s %-5s piece %d, attempt %d, %s, %s: %s%n".formatted(at, level.toUpperCase(java.util.Locale.ROOT), piece, attempt,
                    worker, logger, message);
        }
    }

    @JsonNaming(SnakeCaseStrategy.class)
    record Lines(List<Line> items, long nextAfter, long dropped) {}

    @GetMapping(path = "/metrics", produces = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<Metrics> metrics(Caller caller, @PathVariable String id, @RequestParam(required = false) List<String> name,
            @RequestParam(required = false) String since,
            @RequestParam(defaultValue = "1") @Min(value = 1, message = STEPS) @Max(value = MAX_STEP, message = STEPS) int step) {
        List<Violation> violations = new ArrayList<>();
        List<JobMetric> names = name == null ? List.of(JobMetric.values()) : names(name, violations);
        Instant from = since == null ? null : time(since, violations);
        if (!violations.isEmpty()) {
            throw ProblemException.violated(ProblemCode.INVALID_REQUEST, violations);
        }
        List<JobRecords.Series> series = records.series(known(id, caller), names, from, step);
        return fresh(MediaType.APPLICATION_JSON).body(new Metrics(series.getFirst().pointSeconds(),
                series.stream().map(one -> new Series(one.name(), one.name().unit(), one.points())).toList()));
    }

    @GetMapping(path = "/logs", produces = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<Lines> logs(Caller caller, @PathVariable String id,
            @RequestParam(defaultValue = "0") @Min(value = 0, message = AFTERS) long after,
            @RequestParam(defaultValue = "trace") String level,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit) {
        List<String> levels = levels(level);
        List<Line> lines = records.lines(known(id, caller), after, levels, limit).stream().map(Line::of).toList();
        return fresh(MediaType.APPLICATION_JSON)
                .body(new Lines(lines, lines.isEmpty() ? after : lines.getLast().seq(), records.linesDropped(id)));
    }

    @GetMapping(path = "/logs", produces = MediaType.TEXT_PLAIN_VALUE)
    ResponseEntity<String> text(Caller caller, @PathVariable String id,
            @RequestParam(defaultValue = "0") @Min(value = 0, message = AFTERS) long after,
            @RequestParam(defaultValue = "trace") String level,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit) {
        Lines lines = logs(caller, id, after, level, limit).getBody();
        return fresh(new MediaType(MediaType.TEXT_PLAIN, java.nio.charset.StandardCharsets.UTF_8))
                .body(String.join("", lines.items().stream().map(Line::text).toList()));
    }

    private String known(String id, Caller caller) {
        Optional<PruningJob> job = jobs.find(id).filter(found -> caller.sees(found.recipe().project()));
        return job.orElseThrow(() -> PruningJobController.unknown(id)).id();
    }

    private static List<JobMetric> names(List<String> words, List<Violation> violations) {
        List<JobMetric> names = new ArrayList<>();
        for (String word : words) {
            Arrays.stream(JobMetric.values()).filter(metric -> metric.json().equals(word)).findFirst().ifPresentOrElse(
                    metric -> names.add(metric),
                    () -> violations.add(new Violation("name", Given.printable(word),
                            "one of " + String.join(", ", Arrays.stream(JobMetric.values()).map(JobMetric::json).toList()))));
        }
        if (words.isEmpty()) {
            violations.add(new Violation("name", "nothing", "the name of a series, or no such parameter"));
        }
        return names.stream().distinct().sorted().toList();
    }

    private static Instant time(String text, List<Violation> violations) {
        try {
            Instant time = Instant.parse(text);
            if (!time.isBefore(EARLIEST) && !time.isAfter(LATEST)) {
                return time;
            }
        } catch (DateTimeParseException e) {
            // said below
        }
        violations.add(new Violation("since", Given.printable(text), "a time such as 2026-11-25T01:02:03Z"));
        return null;
    }

    private static List<String> levels(String word) {
        int from = LEVELS.indexOf(word);
        if (from < 0) {
            throw ProblemException.violated(ProblemCode.INVALID_REQUEST,
                    List.of(new Violation("level", Given.printable(word), "one of " + String.join(", ", LEVELS))));
        }
        return LEVELS.subList(from, LEVELS.size());
    }

    private static ResponseEntity.BodyBuilder fresh(MediaType type) {
        return ResponseEntity.ok().cacheControl(CacheControl.noStore()).contentType(type);
    }
}
