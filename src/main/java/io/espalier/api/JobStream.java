package io.espalier.api;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.function.BooleanSupplier;

import jakarta.servlet.http.HttpServletResponse;

import io.espalier.job.JobEvent;
import io.espalier.job.JobState;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.recipe.Phase;
import org.springframework.http.MediaType;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;
import tools.jackson.databind.json.JsonMapper;

/**
 * A job's history as server-sent events (WHATWG HTML, section 9.2), written by the thread of the request: the events of the history with their number as id, so that
 * a client that comes back goes on where it was; between them how far the job is, without an id; at the end {@code end}.
 */
final class JobStream {

    /** So often something is written, so that neither a proxy nor the client thinks that nobody is there. */
    private static final Duration SIGN_OF_LIFE = Duration.ofSeconds(10);
    private static final int PAGE = 200;

    /** How far the job is: what changes while a phase goes on. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Progress(JobState state, boolean terminal, double percent, Phase phase, Integer layer, Integer layers, Double tokensPerSecond,
            Long etaSeconds, Integer slices, int slicesDone) {

        static Progress of(PruningJob job) {
            return new Progress(job.state(), job.state().terminal(), job.progress().percent(), job.progress().phase(),
                    job.progress().layer(),
                    job.progress().layers(), job.progress().tokensPerSecond(), job.progress().etaSeconds(), job.slices(), job.slicesDone());
        }
    }

    private final PruningJobs jobs;
    private final JsonMapper json;
    private final OutputStream out;
    private final BooleanSupplier welcome;
    private long after;
    private long lookedAt = System.nanoTime();

    private JobStream(PruningJobs jobs, JsonMapper json, OutputStream out, BooleanSupplier welcome, long after) {
        this.jobs = jobs;
        this.json = json;
        this.out = out;
        this.welcome = welcome;
        this.after = after;
    }

    /**
     * Writes until the job has ended, the client has gone or may not look any more, or the process stops.
     *
     * @param after number of the last event that the client has
     * @param welcome whether the client may still look; asked now and then
     */
    static void write(JobFeed feed, PruningJobs jobs, PruningJob job, long after, JsonMapper json, BooleanSupplier welcome,
            HttpServletResponse response) throws IOException {
        response.setContentType(MediaType.TEXT_EVENT_STREAM_VALUE);
        response.setCharacterEncoding(StandardCharsets.UTF_8);
        response.setHeader("Cache-Control", "no-store");
        // why: nginx would keep the stream back until it is long enough
        response.setHeader("X-Accel-Buffering", "no");
        try (JobFeed.Watch watch = feed.watch(job)) {
            new JobStream(jobs, json, response.getOutputStream(), welcome, after).follow(feed, watch);
        }
    }

    private void follow(JobFeed feed, JobFeed.Watch watch) throws IOException {
        out.write("retry: 2000\n\n".getBytes(StandardCharsets.UTF_8));
        JobFeed.News seen = watch.latest();
        while (isWelcome()) {
            history(seen);
            Progress progress = Progress.of(seen.job());
            if (progress.terminal()) {
                frame("end", null, progress);
                return;
            }
            frame("progress", null, progress);
            JobFeed.News next = watch.newerThan(seen, SIGN_OF_LIFE);
            while (next == seen) {
                if (!feed.open() || !isWelcome()) {
                    return;
                }
                out.write(":\n\n".getBytes(StandardCharsets.UTF_8));
                out.flush();
                next = watch.newerThan(seen, SIGN_OF_LIFE);
            }
            seen = next;
        }
    }

    private boolean isWelcome() {
        if (System.nanoTime() - lookedAt < SIGN_OF_LIFE.toNanos()) {
            return true;
        }
        lookedAt = System.nanoTime();
        return welcome.getAsBoolean();
    }

    /** Everything up to what was seen last: from what is at hand, or, for a client that was away for long, from the database. */
    private void history(JobFeed.News seen) throws IOException {
        while (after < seen.job().lastEvent()) {
            long had = after;
            List<JobEvent> events = seen.reachesBackTo(after) ? seen.events() : jobs.events(seen.job().id(), after, PAGE);
            for (JobEvent event : events) {
                if (event.seq() > after) {
                    frame(event.type(), event.seq(), JobView.Event.of(event));
                    after = event.seq();
                }
            }
            if (after == had) {
                // why: the history was forgotten before its job (espalier.jobs.keep-events)
                return;
            }
        }
    }

    private void frame(String event, Long id, Object data) throws IOException {
        String head = (id == null ? "" : "id: " + id + "\n") + "event: " + event + "\ndata: ";
        out.write((head + json.writeValueAsString(data) + "\n\n").getBytes(StandardCharsets.UTF_8));
        out.flush();
    }
}
