package io.espalier.job;

/** A worker wrote to a piece of a job that it no longer holds. Nothing was changed; whoever holds it now goes on undisturbed. */
public final class LeaseLostException extends RuntimeException {

    LeaseLostException(Lease lease, PruningJob now) {
        super("attempt " + lease.attempt() + " of " + lease.jobId() + ", " + lease.kind().json() + " " + lease.piece()
                + ", is over: the job is now "
                + (now == null ? "gone" : now.state().json()) + ". This worker drops its work");
    }
}
