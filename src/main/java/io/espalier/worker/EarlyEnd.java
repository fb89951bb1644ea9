package io.espalier.worker;

import java.util.concurrent.Callable;

import io.espalier.job.JobError;
import io.espalier.job.JobStateException;
import io.espalier.job.Lease;
import io.espalier.job.LeaseLostException;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What becomes of a piece that was not carried out to its end: it waits again, is put down, is tried again, or fails with its job. */
final class EarlyEnd {

    private static final Logger log = LoggerFactory.getLogger(EarlyEnd.class);

    private final Leases leases;
    private final PieceReports reports;
    private final Drain drain;
    private final Insistence insistence;

    EarlyEnd(Leases leases, PieceReports reports, Drain drain) {
        this.leases = leases;
        this.reports = reports;
        this.drain = drain;
        this.insistence = new Insistence(drain);
    }

    /**
     * Tells the job why its piece ended early. A cancel that came in the meantime beats every other reason.
     *
     * @throws LeaseLostException when somebody else has the piece
     * @throws RuntimeException when the job could not be told
     */
    Worker.Ending ended(Lease lease, Throwable thrown) {
        if (thrown instanceof LeaseLostException lost) {
            throw lost;
        }
        // why: a run that is interrupted while the process stops fails in many ways, and none of them is the order's fault
        if (drain.begun() && !(thrown instanceof PruningException)) {
            Thread.interrupted();
            return settle(lease, () -> {
                reports.release(lease);
                return Worker.Ending.WAITS;
            });
        }
        if (thrown instanceof Progress.StoppedException || thrown instanceof JobStateException) {
            return settle(lease, () -> stopped(lease));
        }
        if (Failure.ofDatabase(thrown)) {
            throw (RuntimeException) thrown;
        }
        JobError error = Failure.of(thrown);
        log.warn("the piece failed with {}: {}", error.code(), error.message(), thrown instanceof PruningException ? null : thrown);
        return settle(lease, () -> {
            if (Failure.mayPass(error)) {
                return reports.tryAgain(lease, error).map(Worker.Ending::waits).orElse(Worker.Ending.DONE);
            }
            reports.fail(lease, error);
            return Worker.Ending.DONE;
        });
    }

    /** Whether it says no more than that the piece was to stop. */
    boolean isStop(Throwable thrown) {
        return thrown instanceof Progress.StoppedException || thrown instanceof JobStateException
                || drain.begun() && !(thrown instanceof PruningException);
    }

    private Worker.Ending settle(Lease lease, Callable<Worker.Ending> verb) {
        try {
            try {
                return insistence.call(verb);
            } catch (JobStateException otherwise) {
                return insistence.call(() -> stopped(lease));
            }
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException("interrupted before the job could be told how its piece ended; it is handed out again", e);
        }
    }

    private Worker.Ending stopped(Lease lease) {
        return reports.stopped(lease) ? Worker.Ending.DONE : Worker.Ending.WAITS;
    }

    /** Counts a write that was refused. */
    void rejected(Lease lease) {
        try {
            leases.rejected(lease);
        } catch (RuntimeException e) {
            log.warn("a refused write was not counted: {}", e.toString());
        }
    }
}
