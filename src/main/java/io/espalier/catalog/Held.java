package io.espalier.catalog;

import java.util.UUID;

/** A model that somebody works at: how far it is, and whether it still is his. */
final class Held {

    private final UUID id;
    private final UUID lease;
    private volatile long done;
    private volatile Long total;
    private volatile String over;

    Held(UUID id, UUID lease) {
        this.id = id;
        this.lease = lease;
    }

    UUID id() {
        return id;
    }

    UUID lease() {
        return lease;
    }

    long done() {
        return done;
    }

    Long total() {
        return total;
    }

    void done(long bytes) {
        done = bytes;
    }

    void total(Long bytes) {
        total = bytes;
    }

    /** Ends the work at its next step. */
    void over(String why) {
        over = why;
    }

    /** @throws StoppedException when it is over */
    void goOn() {
        if (over != null || Thread.currentThread().isInterrupted()) {
            throw new StoppedException(over == null ? "the process stops" : over);
        }
    }

    void rest(java.time.Duration pause) {
        goOn();
        try {
            Thread.sleep(pause);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        goOn();
    }
}
