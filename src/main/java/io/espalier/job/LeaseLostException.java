package io.espalier.job;

/** A worker wrote to a job that it no longer holds. Nothing was changed; whoever holds the job now goes on undisturbed. */
public final class LeaseLostException extends RuntimeException {

    LeaseLostException(Lease lease, PruningJob now) {
        super("attempt " + lease.attempt() + " of " + lease.jobId() + " is over: the job is now "
                + (now == null ? "gone" : now.state().json() + " at attempt " + now.attempt()) + ". This worker drops its work");
    }
}
