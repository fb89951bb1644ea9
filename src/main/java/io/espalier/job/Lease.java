package io.espalier.job;

import java.time.Instant;
import java.util.Optional;
import java.util.regex.Pattern;

import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Slicing;

/**
 * A worker's hold on a piece of a job: the ticket that every one of its writes shows. It is good while the piece is running in this attempt.
 *
 * @param jobId which job
 * @param piece which piece of it
 * @param kind what is to be done
 * @param attempt the fencing token: no other claim of any piece of this job has the same
 * @param recipe the order
 * @param inputs what it starts from
 * @param slicing how the calibration set is cut; {@code null} until the job was opened
 * @param startedAt when this piece was claimed
 * @param startPercent how far the job was then
 */
public record Lease(String jobId, int piece, Piece.Kind kind, int attempt, PruningRecipe recipe, ResolvedInputs inputs, Slicing slicing,
        Instant startedAt, double startPercent) {

    private static final int PREFIX = "art_".length();
    private static final int ATTEMPT_RADIX = 36;
    private static final int PADDED = 6;
    private static final Pattern PRODUCT = Pattern.compile("[a-z]{3}_[0-9a-z]{" + Ulids.LENGTH + "}[0-9a-z]{1,7}");

    /** Id of the artifact that this attempt will publish, if it gets there. Two attempts can never meet in one directory. */
    public String artifactId() {
        return productId("art_", jobId, attempt);
    }

    /**
     * Id of what a further output is published as, from the id of the first: the attempt in {@value #PADDED} digits, and the place, 1 to 9. No attempt
     * has so many digits, so no first output has such an id.
     */
    public static String furtherArtifactId(String artifactId, int place) {
        String attempt = artifactId.substring(PREFIX + Ulids.LENGTH);
        return artifactId.substring(0, PREFIX + Ulids.LENGTH) + "0".repeat(PADDED - attempt.length()) + attempt + place;
    }

    /** Id of the score set that this attempt will store, if it gets there. */
    public String scoreSetId() {
        return productId("scr_", jobId, attempt);
    }

    /** The place in {@link Slicing#slices()} of the slice to measure. */
    public int slice() {
        return piece - 1;
    }

    /** The job that an artifact id was made for; empty when it is none of ours. */
    static Optional<String> jobOf(String productId) {
        return PRODUCT.matcher(productId).matches()
                ? Optional.of(PruningJob.ID_PREFIX + productId.substring(PREFIX, PREFIX + Ulids.LENGTH))
                : Optional.empty();
    }

    static int attemptOf(String productId) {
        String attempt = productId.substring(PREFIX + Ulids.LENGTH);
        return Integer.parseInt(attempt.length() > PADDED ? attempt.substring(0, PADDED) : attempt, ATTEMPT_RADIX);
    }

    private static String productId(String prefix, String jobId, int attempt) {
        return prefix + jobId.substring(PruningJob.ID_PREFIX.length()) + Integer.toString(attempt, ATTEMPT_RADIX);
    }
}
