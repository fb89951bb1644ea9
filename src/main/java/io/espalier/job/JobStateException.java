package io.espalier.job;

/** The job's state does not allow what was asked of it. */
public final class JobStateException extends IllegalStateException {

    private final JobState state;

    JobStateException(String jobId, JobState state, String refused) {
        super(jobId + " is " + state.json() + ": it can not " + refused);
        this.state = state;
    }

    /** The state that stood in the way. */
    public JobState state() {
        return state;
    }
}
