package io.espalier.job;

/** A project has as many unfinished jobs as it may have. */
public final class TooManyJobsException extends RuntimeException {

    TooManyJobsException(String project, int most) {
        super("project " + project + " has " + most + " unfinished jobs, the most that it may have (espalier.limits.unfinished-jobs)");
    }
}
