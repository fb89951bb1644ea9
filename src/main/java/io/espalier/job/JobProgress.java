package io.espalier.job;

import jakarta.persistence.Embeddable;

import io.espalier.recipe.Phase;

/**
 * How far the current attempt is, as last stored (about twice a second).
 *
 * @param percent of the whole run, 0 to 100
 * @param phase at work, or the last one of a job that has ended; {@code null} before the first
 * @param layer decoder layer at work, or {@code null}
 * @param layers decoder layers of the model, or {@code null}
 * @param tokensPerSecond tokens through one layer, times layers, a second; {@code null} where no token moves
 * @param etaSeconds until the run ends, if it keeps its pace; {@code null} before {@value #ETA_FROM_PERCENT} percent and when it does not run
 */
@Embeddable
public record JobProgress(double percent, Phase phase, Integer layer, Integer layers, Double tokensPerSecond, Long etaSeconds) {

    /** Below this share the pace of the start says nothing about the rest. */
    static final double ETA_FROM_PERCENT = 5;

    static final JobProgress NONE = new JobProgress(0, null, null, null, null, null);

    /**
     * Seconds to go at the pace so far, or {@code null} where that would be a guess.
     *
     * @param from percent at which the piece at work began
     * @param elapsed since then
     */
    static Long eta(double from, double percent, java.time.Duration elapsed) {
        if (percent < ETA_FROM_PERCENT || percent - from < 1) {
            return null;
        }
        return Math.max(0, Math.round(elapsed.toMillis() / 1000.0 * (100 - percent) / (percent - from)));
    }

    JobProgress at(Phase next) {
        return new JobProgress(percent, next, null, layers, null, etaSeconds);
    }

    /** The last figures of a job that runs no longer. */
    JobProgress ended(boolean whole) {
        return new JobProgress(whole ? 100 : percent, phase, layer, layers, null, null);
    }
}
