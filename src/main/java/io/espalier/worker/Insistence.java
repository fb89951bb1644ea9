package io.espalier.worker;

import java.time.Duration;
import java.util.concurrent.Callable;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Writes what must not be lost: when the database does not answer, again and again until it does, or the process must stop. */
final class Insistence {

    private static final Logger log = LoggerFactory.getLogger(Insistence.class);
    private static final Duration LONGEST_REST = Duration.ofSeconds(5);

    private final Drain drain;

    Insistence(Drain drain) {
        this.drain = drain;
    }

    /** A write that answers nothing. */
    interface Write {
        void write() throws Exception;
    }

    void write(Write write) throws Exception {
        call(() -> {
            write.write();
            return null;
        });
    }

    /** @throws RuntimeException what the write threw, when that is not the database's, or the process must stop */
    <T> T call(Callable<T> write) throws Exception {
        Duration rest = Duration.ofMillis(200);
        while (true) {
            try {
                return write.call();
            } catch (RuntimeException e) {
                if (!Failure.ofDatabase(e) || drain.hurry()) {
                    throw e;
                }
                log.warn("the database was not told, tried again in {} ms: {}", rest.toMillis(), e.toString());
                Thread.sleep(rest);
                rest = rest.multipliedBy(2).compareTo(LONGEST_REST) > 0 ? LONGEST_REST : rest.multipliedBy(2);
            }
        }
    }
}
