package io.espalier.platform;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * The database's time, so that all processes on one database agree what is due and whose heart has stopped, whatever their machines' clocks say: the
 * last reading of {@code clock_timestamp()} plus the monotonic time since. Without the database it goes on alone. It never goes back: found ahead of
 * the database, it runs at half speed until the database has caught up.
 */
final class DatabaseClock extends Clock {

    private static final int SAMPLES = 3;
    /** A slower answer says too little about when it was given; half of it is the error. */
    private static final Duration SLOWEST = Duration.ofSeconds(1);
    private static final long NANOS_PER_SECOND = 1_000_000_000L;

    private final LongSupplier nanoTime;
    private final AtomicLong latest = new AtomicLong(Long.MIN_VALUE);
    private volatile Reading reading;

    /**
     * @param epochNanos the database's time
     * @param at monotonic time of it
     * @param ahead by how much this clock was ahead of it then
     */
    private record Reading(long epochNanos, long at, long ahead) {
        long now(long nanoTime) {
            long since = nanoTime - at;
            return epochNanos + since + Math.max(0, ahead - since / 2);
        }
    }

    /** The one question it has. */
    @FunctionalInterface
    interface Database {
        Instant time() throws SQLException;

        static Database over(Connection connection) {
            return () -> {
                try (Statement statement = connection.createStatement();
                        ResultSet answer = statement.executeQuery("select clock_timestamp()")) {
                    answer.next();
                    return answer.getObject(1, java.time.OffsetDateTime.class).toInstant();
                }
            };
        }
    }

    /**
     * Set for the first time.
     *
     * @param nanoTime {@link System#nanoTime}
     * @throws SQLException when the database does not say what time it is
     */
    DatabaseClock(Database database, LongSupplier nanoTime) throws SQLException {
        this.nanoTime = nanoTime;
        synchronise(database);
    }

    /**
     * Sets the clock after the database's, by the fastest of a few answers.
     *
     * @return by how much this clock was ahead of the database
     * @throws SQLException when the database does not say; the clock goes on as it was
     */
    Duration synchronise(Database database) throws SQLException {
        long fastest = Long.MAX_VALUE;
        long epochNanos = 0;
        long at = 0;
        for (int i = 0; i < SAMPLES; i++) {
            long asked = nanoTime.getAsLong();
            Instant time = database.time();
            long roundTrip = nanoTime.getAsLong() - asked;
            if (roundTrip < fastest) {
                fastest = roundTrip;
                epochNanos = nanos(time);
                at = asked + roundTrip / 2;
            }
        }
        Reading before = reading;
        long ahead = before == null ? 0 : before.now(at) - epochNanos;
        if (before == null || fastest <= SLOWEST.toNanos()) {
            reading = new Reading(epochNanos, at, Math.max(0, ahead));
        }
        return Duration.ofNanos(ahead);
    }

    @Override
    public Instant instant() {
        long now = latest.accumulateAndGet(reading.now(nanoTime.getAsLong()), Math::max);
        return Instant.ofEpochSecond(Math.floorDiv(now, NANOS_PER_SECOND), Math.floorMod(now, NANOS_PER_SECOND));
    }

    private static long nanos(Instant instant) {
        return Math.addExact(Math.multiplyExact(instant.getEpochSecond(), NANOS_PER_SECOND), instant.getNano());
    }

    @Override
    public ZoneId getZone() {
        return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
        // why: nobody here formats times in a zone, and two clocks that are set apart could disagree
        throw new UnsupportedOperationException("the database's time is in UTC; asked for " + zone);
    }
}
