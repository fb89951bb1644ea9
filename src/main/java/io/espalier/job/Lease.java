package io.espalier.job;

import java.time.Instant;

import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ResolvedInputs;

/**
 * A worker's hold on a job: the ticket that every one of its writes shows. It is good while the job is running or cancelling in this attempt.
 *
 * @param jobId which job
 * @param attempt the fencing token
 * @param recipe the order
 * @param inputs what it starts from
 * @param startedAt when this attempt was claimed
 */
public record Lease(String jobId, int attempt, PruningRecipe recipe, ResolvedInputs inputs, Instant startedAt) {

    /** Id of the artifact that this attempt will publish, if it gets there. Two attempts can never meet in one directory. */
    public String artifactId() {
        return productId("art_", jobId, attempt);
    }

    /** Id of the score set that this attempt will store, if it gets there. */
    public String scoreSetId() {
        return productId("scr_", jobId, attempt);
    }

    private static String productId(String prefix, String jobId, int attempt) {
        return prefix + jobId.substring(PruningJob.ID_PREFIX.length()) + Integer.toString(attempt, 36);
    }
}
