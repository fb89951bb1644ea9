package io.espalier.job;

import java.time.Instant;
import java.util.Optional;
import java.util.regex.Pattern;

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

    private static final int PREFIX = "art_".length();
    private static final int ATTEMPT_RADIX = 36;
    private static final Pattern PRODUCT = Pattern.compile("[a-z]{3}_[0-9a-z]{" + Ulids.LENGTH + "}[0-9a-z]{1,6}");

    /** Id of the artifact that this attempt will publish, if it gets there. Two attempts can never meet in one directory. */
    public String artifactId() {
        return productId("art_", jobId, attempt);
    }

    /** Id of the score set that this attempt will store, if it gets there. */
    public String scoreSetId() {
        return productId("scr_", jobId, attempt);
    }

    /** The job that an artifact id was made for; empty when it is none of ours. */
    static Optional<String> jobOf(String productId) {
        return PRODUCT.matcher(productId).matches()
                ? Optional.of(PruningJob.ID_PREFIX + productId.substring(PREFIX, PREFIX + Ulids.LENGTH))
                : Optional.empty();
    }

    static int attemptOf(String productId) {
        return Integer.parseInt(productId.substring(PREFIX + Ulids.LENGTH), ATTEMPT_RADIX);
    }

    private static String productId(String prefix, String jobId, int attempt) {
        return prefix + jobId.substring(PruningJob.ID_PREFIX.length()) + Integer.toString(attempt, ATTEMPT_RADIX);
    }
}
