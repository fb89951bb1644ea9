package io.espalier.api;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import io.espalier.job.JobEvent;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.stereotype.Component;

/**
 * Tells requests that wait what happens to their jobs. One thread asks the database, four times a second and for all of them at once, as long as somebody
 * waits: a thousand who look at one job cost as much as one. Whoever waits does so on the virtual thread of the request.
 */
@Component
final class JobFeed implements SmartLifecycle {

    private static final Logger log = LoggerFactory.getLogger(JobFeed.class);
    private static final Duration LOOK_EVERY = Duration.ofMillis(250);
    /** Events that are kept at hand; whoever is further behind asks the database. */
    private static final int AT_HAND = 200;

    /**
     * A job as it was last seen.
     *
     * @param job its row
     * @param events the last of its history, without a gap, up to the job's last
     */
    record News(PruningJob job, List<JobEvent> events) {

        /** Whether all events after this number are at hand. */
        boolean reachesBackTo(long seq) {
            return seq >= job.lastEvent() - events.size();
        }
    }

    /** A job that somebody looks at. */
    private static final class Watched {
        private int watchers;
        private News latest;
    }

    private final PruningJobs jobs;
    private final Map<String, Watched> watched = new ConcurrentHashMap<>();
    private volatile boolean running;
    private Thread looker;

    JobFeed(PruningJobs jobs) {
        this.jobs = jobs;
    }

    /** A request's look at one job. */
    final class Watch implements AutoCloseable {

        private final String id;
        private final Watched job;

        private Watch(String id, Watched job) {
            this.id = id;
            this.job = job;
        }

        News latest() {
            synchronized (job) {
                return job.latest;
            }
        }

        /** @return what is newer than what was seen; the same when nothing came in time, or when the process stops */
        News newerThan(News seen, Duration atMost) {
            long until = System.nanoTime() + atMost.toNanos();
            synchronized (job) {
                try {
                    for (long left = atMost.toMillis(); running && job.latest == seen
                            && left > 0; left = (until - System.nanoTime()) / 1_000_000) {
                        job.wait(left);
                    }
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
                return job.latest;
            }
        }

        @Override
        public void close() {
            watched.computeIfPresent(id, (_, left) -> --left.watchers == 0 ? null : left);
        }
    }

    /** Looks at a job from now on; {@code first} is how it was a moment ago. */
    Watch watch(PruningJob first) {
        Watched job = watched.compute(first.id(), (_, before) -> {
            Watched one = before == null ? new Watched() : before;
            one.watchers++;
            if (one.latest == null) {
                one.latest = new News(first, List.of());
            }
            return one;
        });
        synchronized (watched) {
            watched.notifyAll();
        }
        return new Watch(first.id(), job);
    }

    /** Whether requests may go on waiting. */
    boolean open() {
        return running;
    }

    private void look() {
        while (running) {
            try {
                synchronized (watched) {
                    while (running && watched.isEmpty()) {
                        watched.wait();
                    }
                }
                lookAndSay();
                Thread.sleep(LOOK_EVERY);
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    private void lookAndSay() {
        try {
            lookOnce();
        } catch (RuntimeException e) {
            log.warn("waiting requests are not told anything now, the next look tries again: {}", e.toString());
        }
    }

    private void lookOnce() {
        for (PruningJobs.Mark mark : jobs.marks(List.copyOf(watched.keySet()))) {
            Watched job = watched.get(mark.id());
            News before = job == null ? null : latest(job);
            if (before != null && before.job().version() != mark.version()) {
                jobs.find(mark.id()).ifPresent(now -> tell(job, now, before));
            }
        }
    }

    private static News latest(Watched job) {
        synchronized (job) {
            return job.latest;
        }
    }

    private void tell(Watched job, PruningJob now, News before) {
        List<JobEvent> events = new ArrayList<>(before.events());
        long known = before.job().lastEvent();
        if (now.lastEvent() - known > AT_HAND) {
            events.clear();
            known = now.lastEvent() - AT_HAND;
        }
        events.addAll(jobs.events(now.id(), known, (int) Math.max(1, now.lastEvent() - known)));
        News news = new News(now, List.copyOf(events.subList(Math.max(0, events.size() - AT_HAND), events.size())));
        synchronized (job) {
            job.latest = news;
            job.notifyAll();
        }
    }

    @Override
    public void start() {
        running = true;
        looker = Thread.ofVirtual().name("job feed").start(this::look);
    }

    /** Lets everybody go who waits, so that the web server has nobody to wait for. */
    @Override
    public void stop() {
        running = false;
        looker.interrupt();
        watched.values().forEach(job -> {
            synchronized (job) {
                job.notifyAll();
            }
        });
    }

    @Override
    public boolean isRunning() {
        return running;
    }
}
