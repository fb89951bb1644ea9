package io.espalier.worker;

import java.time.Duration;
import java.util.Map;
import java.util.function.BooleanSupplier;

import io.espalier.job.Lease;
import io.espalier.job.LeaseLostException;
import io.espalier.job.PruningJobs;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.transaction.TransactionException;

/**
 * Carries ticks from a run to its job, about twice a second, and brings the answer back. A database that does not answer for a while does not stop a
 * run; a job that was cancelled or lost does.
 */
final class WatchedProgress implements Progress {

    private static final Logger log = LoggerFactory.getLogger(WatchedProgress.class);
    private static final Duration STORE_EVERY = Duration.ofMillis(500);

    private final PruningJobs jobs;
    private final Lease lease;
    private final BooleanSupplier shuttingDown;

    private Phase phase;
    private long storedAtNanos;
    private boolean stopped;

    WatchedProgress(PruningJobs jobs, Lease lease, BooleanSupplier shuttingDown) {
        this.jobs = jobs;
        this.lease = lease;
        this.shuttingDown = shuttingDown;
    }

    @Override
    public synchronized boolean tick(Tick tick) {
        if (stopped || shuttingDown.getAsBoolean()) {
            return false;
        }
        long now = System.nanoTime();
        boolean entered = tick.phase() != phase;
        if (!entered && now - storedAtNanos < STORE_EVERY.toNanos()) {
            return true;
        }
        try {
            if (entered) {
                jobs.enter(lease, tick.phase());
                phase = tick.phase();
            }
            stopped = !jobs.progress(lease, tick);
        } catch (LeaseLostException e) {
            log.warn("{}", e.getMessage());
            stopped = true;
        } catch (DataAccessException | TransactionException e) {
            log.warn("progress was not stored, the run goes on: {}", e.getMessage());
        }
        storedAtNanos = now;
        return !stopped;
    }

    @Override
    public synchronized void note(String type, String message, Map<String, Object> data) {
        try {
            jobs.note(lease, type, message, data);
        } catch (LeaseLostException e) {
            log.warn("{}", e.getMessage());
            stopped = true;
        } catch (DataAccessException | TransactionException e) {
            log.warn("a note was not stored, the run goes on: {}: {}", type, message, e);
        }
    }
}
