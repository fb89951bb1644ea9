package io.espalier.api;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.regex.Pattern;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;

import io.espalier.artifact.Artifact;
import io.espalier.artifact.Artifacts;
import io.espalier.job.IdempotencyKey;
import io.espalier.job.JobState;
import io.espalier.job.JobStateException;
import io.espalier.job.NoSuchJobException;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.job.TooManyJobsException;
import io.espalier.recipe.Violation;
import org.springframework.http.CacheControl;
import org.springframework.http.HttpMethod;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.json.JsonMapper;

@RestController
@RequestMapping(path = PruningJobController.PATH, produces = MediaType.APPLICATION_JSON_VALUE)
final class PruningJobController {

    static final String PATH = "/v1/pruning-jobs";

    private static final String LIMIT = "50";
    private static final int MAX_LIMIT = 200;
    private static final String AFTERS = "an integer, 0 or more";
    private static final Duration MAX_WAIT = Duration.ofSeconds(60);
    private static final Pattern WAITS = Pattern.compile("[0-9]{1,4}s?");
    private static final String LIMITS = "an integer from 1 to " + MAX_LIMIT;

    private final PruningJobs jobs;
    private final Orders orders;
    private final Artifacts artifacts;
    private final JobFeed feed;
    private final LimitSettings limits;
    private final JsonMapper json;

    PruningJobController(PruningJobs jobs, Orders orders, Artifacts artifacts, JobFeed feed, LimitSettings limits, JsonMapper json) {
        this.jobs = jobs;
        this.orders = orders;
        this.artifacts = artifacts;
        this.feed = feed;
        this.limits = limits;
        this.json = json;
    }

    @PostMapping(consumes = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<JobView> submit(Caller caller, HttpServletRequest request) throws IOException {
        Orders.Order order = orders.read(request, caller);
        try {
            PruningJobs.Submitted submitted = orders.held(order, () -> jobs.submit(order.recipe(), order.inputs(), order.key(),
                    caller.seesAll() ? 0 : limits.unfinishedJobs()));
            ResponseEntity.BodyBuilder answer = fresh(HttpStatus.ACCEPTED).location(URI.create(JobView.href(submitted.job().id())));
            if (submitted.replayed()) {
                answer.header(PostKey.REPLAYED, "true");
            }
            return answer.body(JobView.of(submitted.job()));
        } catch (TooManyJobsException e) {
            throw new ProblemException(ProblemCode.TOO_MANY_JOBS, e.getMessage());
        } catch (IdempotencyKey.InFlightException e) {
            throw new ProblemException(ProblemCode.IDEMPOTENCY_KEY_IN_FLIGHT, e.getMessage());
        }
    }

    @GetMapping
    ResponseEntity<Page<JobView>> list(Caller caller, @RequestParam(required = false) String state,
            @RequestParam(required = false) String cursor,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit) {
        JobState only = state == null ? null : state("state", state);
        String after = cursor == null ? null : Page.Cursor.parse(cursor, "job_").afterId();
        // why: one more than asked for says whether there is a next page
        List<PruningJob> found = jobs.list(caller.project(), only, after, limit + 1);
        List<PruningJob> page = found.subList(0, Math.min(limit, found.size()));
        String next = found.size() > limit ? new Page.Cursor(page.getLast().id()).text() : null;
        return fresh(HttpStatus.OK).body(new Page<>(page.stream().map(JobView::listed).toList(), next));
    }

    @GetMapping("/{id}")
    ResponseEntity<JobView> get(Caller caller, @PathVariable String id, @RequestParam(required = false) String wait,
            @RequestParam(name = "while", required = false) String meanwhile) {
        PruningJob job = known(id, caller);
        Duration atMost = wait(wait);
        JobState from = meanwhile == null ? job.state() : state("while", meanwhile);
        return fresh(HttpStatus.OK).body(JobView.of(await(job, atMost, news -> news.job().state() != from || from.terminal()).job()));
    }

    @PostMapping("/{id}/cancel")
    ResponseEntity<JobView> cancel(Caller caller, @PathVariable String id) {
        boolean askedBefore = known(id, caller).state() == JobState.CANCELLING;
        try {
            PruningJob job = jobs.cancel(id);
            boolean stopped = askedBefore || job.state() == JobState.CANCELLED;
            return fresh(stopped ? HttpStatus.OK : HttpStatus.ACCEPTED).body(JobView.of(job));
        } catch (NoSuchJobException e) {
            throw unknown(id);
        } catch (JobStateException e) {
            if (e.state() == JobState.CANCELLED) {
                return get(caller, id, null, null);
            }
            throw ProblemException.conflict(ProblemCode.JOB_FINISHED, e.getMessage(), e.state().json());
        }
    }

    @PostMapping("/{id}/pause")
    ResponseEntity<JobView> pause(Caller caller, @PathVariable String id) {
        return moved(caller, id, jobs::pause);
    }

    @PostMapping("/{id}/resume")
    ResponseEntity<JobView> resume(Caller caller, @PathVariable String id) {
        return moved(caller, id, jobs::resume);
    }

    @PostMapping("/{id}/retry")
    ResponseEntity<JobView> retry(Caller caller, @PathVariable String id) {
        return moved(caller, id, jobs::retry);
    }

    private ResponseEntity<JobView> moved(Caller caller, String id, Function<String, PruningJob> verb) {
        require(id, caller);
        try {
            return fresh(HttpStatus.OK).body(JobView.of(verb.apply(id)));
        } catch (NoSuchJobException e) {
            throw unknown(id);
        } catch (JobStateException e) {
            throw ProblemException.conflict(ProblemCode.JOB_STATE, e.getMessage(), e.state().json());
        }
    }

    @DeleteMapping("/{id}")
    ResponseEntity<Void> delete(Caller caller, @PathVariable String id) {
        require(id, caller);
        List<Artifact> published = artifacts.ofJob(id);
        try {
            jobs.delete(id);
        } catch (NoSuchJobException e) {
            throw unknown(id);
        } catch (JobStateException e) {
            throw ProblemException.conflict(ProblemCode.JOB_STATE, e.getMessage(), e.state().json());
        }
        published.forEach(artifacts::discard);
        return ResponseEntity.noContent().build();
    }

    @GetMapping("/{id}/pieces")
    ResponseEntity<Page.Growing<JobView.PieceView>> pieces(Caller caller, @PathVariable String id,
            @RequestParam(defaultValue = "-1") @Min(value = -1, message = "an integer, -1 or more") int after,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit) {
        known(id, caller);
        List<JobView.PieceView> pieces = jobs.pieces(id, after, limit).stream().map(JobView.PieceView::of).toList();
        return fresh(HttpStatus.OK).body(new Page.Growing<>(pieces, pieces.isEmpty() ? after : pieces.getLast().number()));
    }

    @GetMapping("/{id}/events")
    ResponseEntity<Page.Growing<JobView.Event>> events(Caller caller, @PathVariable String id,
            @RequestParam(defaultValue = "0") @Min(value = 0, message = AFTERS) long after,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit,
            @RequestParam(required = false) String wait) {
        await(known(id, caller), wait(wait), news -> news.job().lastEvent() > after || news.job().state().terminal());
        List<JobView.Event> events = jobs.events(id, after, limit).stream().map(JobView.Event::of).toList();
        return fresh(HttpStatus.OK).body(new Page.Growing<>(events, events.isEmpty() ? after : events.getLast().seq()));
    }

    @GetMapping(path = "/{id}/events", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
    void stream(Caller caller, @PathVariable String id, @RequestParam(defaultValue = "0") @Min(value = 0, message = AFTERS) long after,
            @RequestHeader(name = "Last-Event-ID", required = false) @Min(value = 0, message = AFTERS) Long lastEventId,
            HttpServletRequest request, HttpServletResponse response) throws IOException {
        PruningJob job = known(id, caller);
        long had = lastEventId == null ? after : lastEventId;
        if (lastEventId != null && job.state().terminal() && had >= job.lastEvent()) {
            // why 204: it is the only answer that keeps a browser's EventSource from coming back
            response.setStatus(HttpStatus.NO_CONTENT.value());
        } else if (HttpMethod.HEAD.matches(request.getMethod())) {
            response.setContentType(MediaType.TEXT_EVENT_STREAM_VALUE);
        } else {
            JobStream.write(feed, jobs, job, had, json, Gate.welcome(request), response);
        }
    }

    /** What is there now, or, when that is not enough, what comes within the time. */
    private JobFeed.News await(PruningJob job, Duration atMost, Predicate<JobFeed.News> enough) {
        JobFeed.News news = new JobFeed.News(job, List.of());
        if (atMost.isZero() || enough.test(news)) {
            return news;
        }
        try (JobFeed.Watch watch = feed.watch(job)) {
            long until = System.nanoTime() + atMost.toNanos();
            news = watch.latest();
            while (!enough.test(news) && feed.open() && System.nanoTime() < until) {
                news = watch.newerThan(news, Duration.ofNanos(until - System.nanoTime()));
            }
            return news;
        }
    }

    private static Duration wait(String text) {
        if (text == null) {
            return Duration.ZERO;
        }
        if (!WAITS.matcher(text).matches() || Integer.parseInt(text.replace("s", "")) > MAX_WAIT.toSeconds()) {
            throw ProblemException.violated(ProblemCode.INVALID_REQUEST,
                    List.of(new Violation("wait", Given.printable(text), "seconds from 0 to " + MAX_WAIT.toSeconds() + ", such as 30s")));
        }
        return Duration.ofSeconds(Integer.parseInt(text.replace("s", "")));
    }

    private PruningJob known(String id, Caller caller) {
        return jobs.find(id, caller.project()).orElseThrow(() -> unknown(id));
    }

    /** For verbs, which find the job themselves: only whoever does not see all is worth another question. */
    private void require(String id, Caller caller) {
        if (!caller.seesAll()) {
            known(id, caller);
        }
    }

    static ProblemException unknown(String id) {
        return new ProblemException(ProblemCode.JOB_NOT_FOUND, "no job has the id " + Given.printable(id));
    }

    private static ResponseEntity.BodyBuilder fresh(HttpStatus status) {
        return ResponseEntity.status(status).cacheControl(CacheControl.noStore());
    }

    private static JobState state(String parameter, String word) {
        return Arrays.stream(JobState.values()).filter(state -> state.json().equals(word)).findFirst()
                .orElseThrow(
                        () -> ProblemException.violated(ProblemCode.INVALID_REQUEST, List.of(new Violation(parameter, Given.printable(word),
                                "one of " + String.join(", ", Arrays.stream(JobState.values()).map(JobState::json).toList())))));
    }
}
