package io.espalier.webhook;

import io.espalier.job.PruningJob;

/** A job in the words in which everybody is told of it; whoever speaks these words provides it. */
@FunctionalInterface
public interface JobDocument {

    /** JSON, as a request for this job is answered. */
    String of(PruningJob job);
}
