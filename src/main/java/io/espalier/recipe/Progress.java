package io.espalier.recipe;

import java.util.Map;

/** The one thing that flows against the stream: how far a run is, and the answer whether to go on. */
public interface Progress {

    /**
     * Where a run is.
     *
     * @param phase the step
     * @param percent of the whole run, 0 to 100, never falling
     * @param layer the decoder layer at work, or {@code null}
     * @param layers decoder layers of the model, or {@code null}
     * @param tokensPerSecond tokens through one layer, times layers, a second; {@code null} where no token moves
     */
    record Tick(Phase phase, double percent, Integer layer, Integer layers, Double tokensPerSecond) {}

    /** What the receiver of a tick wants. */
    enum Answer {
        GO_ON,
        /**
         * Go on to the next place from which another process can go on, save there what it takes, and end with {@link StoppedException}. Where the run
         * comes to its end before such a place, it ends as usual.
         */
        SAVE,
        /** End with {@link StoppedException} at once. */
        STOP
    }

    /** Tells where the run is; called at least once a layer and micro-batch. Cheap: the receiver decides what to store. */
    Answer tick(Tick tick);

    /**
     * Says something that belongs into the job's history.
     *
     * @param type a stable word, {@code experts_unrouted}
     * @param message a sentence for a person
     * @param data the figures in it, JSON values only
     */
    void note(String type, String message, Map<String, Object> data);

    /** What a run tells in figures, beside where it is. */
    enum Figure {
        /** Mean negative log-likelihood of a calibration token in what was just measured (nats). */
        LOSS,
        /** Of the model that was just measured. */
        PERPLEXITY,
        /** Bytes of the model that were read since this was told last. */
        READ_BYTES,
        /** Memory in use: the device's, or on the CPU the process's own. */
        MEMORY_BYTES,
        /** What weights and activations may take. */
        MEMORY_BUDGET_BYTES
    }

    /** Tells a figure, now and then. Cheap, as a tick is. */
    default void figure(Figure figure, double value) {}

    /** A run that nobody watches. */
    Progress IGNORED = new Progress() {
        @Override
        public Answer tick(Tick tick) {
            return Answer.GO_ON;
        }

        @Override
        public void note(String type, String message, Map<String, Object> data) {}
    };

    /** The receiver of a tick answered: do not go on. */
    final class StoppedException extends RuntimeException {
        public StoppedException(Phase phase) {
            super("stopped in phase " + phase.name().toLowerCase(java.util.Locale.ROOT) + " because progress answered not to go on");
        }
    }
}
