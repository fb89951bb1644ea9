package io.espalier.platform;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Set;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A start's way past a database that is not there yet: it waits and says so, or stops and says why. */
final class DatabaseGate {

    private static final Logger log = LoggerFactory.getLogger(DatabaseGate.class);
    private static final Duration SAY_EVERY = Duration.ofSeconds(5);
    private static final Duration ASK_EVERY = Duration.ofMillis(500);
    /** SQLSTATEs that waiting does not cure: password, role or host refused, no such database, no permission to connect. */
    private static final Set<String> FINAL = Set.of("28P01", "28000", "3D000", "42501");

    private DatabaseGate() {}

    /** What a start waits for. */
    @FunctionalInterface
    interface Condition {
        /**
         * @return what is still missing, or {@code null}
         * @throws SQLException when the database could not be asked
         */
        String missing() throws SQLException;
    }

    /**
     * Returns when the database takes connections and writes.
     *
     * @throws StartRefused when it will not take ours, or has not in time
     */
    static void await(DatabaseAddress address, Duration wait) {
        await(address, wait, () -> {
            try (Connection connection = address.open("start", address.limits().connectTimeout());
                    Statement statement = connection.createStatement();
                    ResultSet answer = statement.executeQuery("select pg_is_in_recovery()")) {
                return answer.next() && answer.getBoolean(1) ? "it is a standby, which takes no writes" : null;
            }
        }, "Start the database, or correct spring.datasource.url (environment SPRING_DATASOURCE_URL); a database that needs longer to come up "
                + "gets it by espalier.database.startup-wait.");
    }

    /** The same for any condition. */
    static void await(DatabaseAddress address, Duration wait, Condition condition, String whatToDo) {
        long begin = System.nanoTime();
        long saidAt = begin - SAY_EVERY.toNanos();
        while (true) {
            String missing = missing(address, condition);
            if (missing == null) {
                return;
            }
            long left = wait.toNanos() - (System.nanoTime() - begin);
            if (left <= 0) {
                throw new StartRefused("The database " + address.words() + " is not ready after " + wait.toSeconds()
                        + " s (espalier.database.startup-wait): " + missing, whatToDo);
            }
            if (System.nanoTime() - saidAt >= SAY_EVERY.toNanos()) {
                saidAt = System.nanoTime();
                log.warn("waiting for the database {}, {} s more: {}", address.words(), Duration.ofNanos(left).toSeconds(), missing);
            }
            rest();
        }
    }

    private static String missing(DatabaseAddress address, Condition condition) {
        try {
            return condition.missing();
        } catch (SQLException e) {
            if (e.getSQLState() != null && FINAL.contains(e.getSQLState())) {
                throw new StartRefused("The database " + address.words() + " refuses " + address.user() + ": "
                        + DatabaseAddress.reason(e),
                        "Correct spring.datasource.url, spring.datasource.username or spring.datasource.password "
                                + "(environment SPRING_DATASOURCE_URL and so on), or create the database and the user.");
            }
            return DatabaseAddress.reason(e);
        }
    }

    private static void rest() {
        try {
            Thread.sleep(ASK_EVERY);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for the database", e);
        }
    }
}
