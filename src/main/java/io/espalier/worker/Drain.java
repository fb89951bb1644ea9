package io.espalier.worker;

import java.time.Duration;

import io.espalier.recipe.Progress;

/** What the process wants of the pieces at work: to go on, to save how far they are when it is to stop, to stop when it cannot wait any longer. */
final class Drain {

    private final Duration patience;
    private volatile boolean begun;
    private volatile long hurryAtNanos;

    /** @param patience how long a piece may go on when the process is to stop */
    Drain(Duration patience) {
        this.patience = patience;
    }

    void begin() {
        hurryAtNanos = System.nanoTime() + patience.toNanos();
        begun = true;
    }

    boolean begun() {
        return begun;
    }

    boolean hurry() {
        return begun && System.nanoTime() - hurryAtNanos >= 0;
    }

    Progress.Answer wish() {
        return hurry() ? Progress.Answer.STOP : begun ? Progress.Answer.SAVE : Progress.Answer.GO_ON;
    }
}
