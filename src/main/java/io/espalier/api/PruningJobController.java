package io.espalier.api;

import java.io.IOException;
import java.net.URI;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;

import io.espalier.job.JobState;
import io.espalier.job.JobStateException;
import io.espalier.job.NoSuchJobException;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.recipe.Violation;
import org.springframework.http.CacheControl;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

@RestController
@RequestMapping(path = PruningJobController.PATH, produces = MediaType.APPLICATION_JSON_VALUE)
final class PruningJobController {

    static final String PATH = "/v1/pruning-jobs";

    private static final String LIMIT = "50";
    private static final int MAX_LIMIT = 200;
    private static final String LIMITS = "an integer from 1 to " + MAX_LIMIT;

    private final PruningJobs jobs;
    private final Orders orders;

    PruningJobController(PruningJobs jobs, Orders orders) {
        this.jobs = jobs;
        this.orders = orders;
    }

    @PostMapping(consumes = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<JobView> submit(HttpServletRequest request) throws IOException {
        Orders.Order order = orders.read(request);
        PruningJob job = jobs.submit(order.recipe(), order.inputs());
        return fresh(HttpStatus.ACCEPTED).location(URI.create(JobView.href(job.id()))).body(JobView.of(job));
    }

    @GetMapping
    ResponseEntity<Page<JobView>> list(@RequestParam(required = false) String state, @RequestParam(required = false) String cursor,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit) {
        JobState only = state == null ? null : state(state);
        String after = cursor == null ? null : Page.Cursor.parse(cursor, "job_").afterId();
        // why: one more than asked for says whether there is a next page
        List<PruningJob> found = jobs.list(only, after, limit + 1);
        List<PruningJob> page = found.subList(0, Math.min(limit, found.size()));
        String next = found.size() > limit ? new Page.Cursor(page.getLast().id()).text() : null;
        return fresh(HttpStatus.OK).body(new Page<>(page.stream().map(JobView::listed).toList(), next));
    }

    @GetMapping("/{id}")
    ResponseEntity<JobView> get(@PathVariable String id) {
        return fresh(HttpStatus.OK).body(JobView.of(known(id)));
    }

    @PostMapping("/{id}/cancel")
    ResponseEntity<JobView> cancel(@PathVariable String id) {
        boolean askedBefore = known(id).state() == JobState.CANCELLING;
        try {
            PruningJob job = jobs.cancel(id);
            boolean stopped = askedBefore || job.state() == JobState.CANCELLED;
            return fresh(stopped ? HttpStatus.OK : HttpStatus.ACCEPTED).body(JobView.of(job));
        } catch (NoSuchJobException e) {
            throw unknown(id);
        } catch (JobStateException e) {
            if (e.state() == JobState.CANCELLED) {
                return get(id);
            }
            throw ProblemException.conflict(ProblemCode.JOB_FINISHED, e.getMessage(), e.state().json());
        }
    }

    @PostMapping("/{id}/pause")
    ResponseEntity<JobView> pause(@PathVariable String id) {
        return moved(id, jobs::pause);
    }

    @PostMapping("/{id}/resume")
    ResponseEntity<JobView> resume(@PathVariable String id) {
        return moved(id, jobs::resume);
    }

    @PostMapping("/{id}/retry")
    ResponseEntity<JobView> retry(@PathVariable String id) {
        return moved(id, jobs::retry);
    }

    private ResponseEntity<JobView> moved(String id, Function<String, PruningJob> verb) {
        try {
            return fresh(HttpStatus.OK).body(JobView.of(verb.apply(id)));
        } catch (NoSuchJobException e) {
            throw unknown(id);
        } catch (JobStateException e) {
            throw ProblemException.conflict(ProblemCode.JOB_STATE, e.getMessage(), e.state().json());
        }
    }

    @GetMapping("/{id}/events")
    ResponseEntity<Page.Growing<JobView.Event>> events(@PathVariable String id,
            @RequestParam(defaultValue = "0") @Min(value = 0, message = "an integer, 0 or more") long after,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit) {
        known(id);
        List<JobView.Event> events = jobs.events(id, after, limit).stream().map(JobView.Event::of).toList();
        return fresh(HttpStatus.OK).body(new Page.Growing<>(events, events.isEmpty() ? after : events.getLast().seq()));
    }

    private PruningJob known(String id) {
        return jobs.find(id).orElseThrow(() -> unknown(id));
    }

    static ProblemException unknown(String id) {
        return new ProblemException(ProblemCode.JOB_NOT_FOUND, "no job has the id " + Given.printable(id));
    }

    private static ResponseEntity.BodyBuilder fresh(HttpStatus status) {
        return ResponseEntity.status(status).cacheControl(CacheControl.noStore());
    }

    private static JobState state(String word) {
        return Arrays.stream(JobState.values()).filter(state -> state.json().equals(word)).findFirst()
                .orElseThrow(
                        () -> ProblemException.violated(ProblemCode.INVALID_REQUEST, List.of(new Violation("state", Given.printable(word),
                                "one of " + String.join(", ", Arrays.stream(JobState.values()).map(JobState::json).toList())))));
    }
}
