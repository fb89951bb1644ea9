package io.espalier.recipe;

/**
 * One phase's stretch of a run: turns "this share of the phase is done" into percent of the whole.
 *
 * @param progress who is told
 * @param phase the step
 * @param from percent at which the phase begins
 * @param to percent at which it ends
 */
public record PhaseProgress(Progress progress, Phase phase, double from, double to) {

    /** Nobody is told. */
    public static final PhaseProgress IGNORED = new PhaseProgress(Progress.IGNORED, Phase.CHECK, 0, 100);

    /**
     * Tells how far the phase is.
     *
     * @return {@link Progress.Answer#GO_ON} or {@link Progress.Answer#SAVE}
     * @throws Progress.StoppedException when the answer is to stop
     */
    public Progress.Answer at(double share, Integer layer, Integer layers, Double tokensPerSecond) {
        Progress.Answer answer = progress.tick(new Progress.Tick(phase, from + (to - from) * share, layer, layers, tokensPerSecond));
        if (answer == Progress.Answer.STOP) {
            throw new Progress.StoppedException(phase);
        }
        return answer;
    }

    /** The part of this stretch between two shares of it. */
    public PhaseProgress part(double begin, double end) {
        return new PhaseProgress(progress, phase, from + (to - from) * begin, from + (to - from) * end);
    }
}
