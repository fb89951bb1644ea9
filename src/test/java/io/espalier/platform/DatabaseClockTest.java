package io.espalier.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;

import org.junit.jupiter.api.Test;

class DatabaseClockTest {

    private static final Instant NOON = Instant.parse("2026-05-04T12:00:00Z");

    /** The machine's monotonic time: it stands still unless somebody waits. */
    private long nanos = Long.MAX_VALUE - 5;

    private void pass(Duration time) {
        nanos += time.toNanos();
    }

    private DatabaseClock.Database database(Instant time) {
        return database(time, Duration.ZERO);
    }

    /** Answers after so long, and says what time it was half-way. */
    private DatabaseClock.Database database(Instant time, Duration roundTrip) {
        return () -> {
            pass(roundTrip);
            return time;
        };
    }

    private DatabaseClock clock(DatabaseClock.Database database) throws SQLException {
        return new DatabaseClock(database, () -> nanos);
    }

    @Test
    void itIsTheDatabasesTimeAndGoesOnWithTheMachinesMonotonicTime() throws SQLException {
        DatabaseClock clock = clock(database(NOON));
        assertThat(clock.instant()).isEqualTo(NOON);
        pass(Duration.ofMillis(90_061_001));
        assertThat(clock.instant()).isEqualTo(NOON.plusMillis(90_061_001));
    }

    @Test
    void theRoundTripIsHalvedAndTheFastestAnswerCounts() throws SQLException {
        long[] milliseconds = {400, 20, 100};
        int[] asked = {0};
        Instant before = NOON;
        DatabaseClock clock = clock(() -> {
            long trip = milliseconds[asked[0]];
            pass(Duration.ofMillis(trip));
            // the second answer is right in the middle of its trip, the others lie
            return asked[0]++ == 1 ? before : before.plusSeconds(7);
        });
        assertThat(asked[0]).isEqualTo(3);
        // 10 ms after the middle of the second trip, and the third trip's 100 ms
        assertThat(clock.instant()).isEqualTo(NOON.plusMillis(110));
    }

    @Test
    void withoutTheDatabaseItGoesOnAlone() throws SQLException {
        DatabaseClock clock = clock(database(NOON));
        pass(Duration.ofSeconds(15));
        assertThatThrownBy(() -> clock.synchronise(() -> {
            throw new SQLException("away", "08006");
        })).isInstanceOf(SQLException.class);
        assertThat(clock.instant()).isEqualTo(NOON.plusSeconds(15));
    }

    @Test
    void foundBehindItJumpsAhead() throws SQLException {
        DatabaseClock clock = clock(database(NOON));
        pass(Duration.ofSeconds(15));
        assertThat(clock.synchronise(database(NOON.plusSeconds(18)))).isEqualTo(Duration.ofSeconds(-3));
        assertThat(clock.instant()).isEqualTo(NOON.plusSeconds(18));
    }

    @Test
    void foundAheadItRunsAtHalfSpeedUntilTheDatabaseHasCaughtUp() throws SQLException {
        DatabaseClock clock = clock(database(NOON.plusSeconds(10)));
        assertThat(clock.synchronise(database(NOON))).isEqualTo(Duration.ofSeconds(10));
        assertThat(clock.instant()).as("no step back").isEqualTo(NOON.plusSeconds(10));
        pass(Duration.ofSeconds(4));
        assertThat(clock.instant()).isEqualTo(NOON.plusSeconds(12));
        pass(Duration.ofSeconds(16));
        assertThat(clock.instant()).as("met").isEqualTo(NOON.plusSeconds(20));
        pass(Duration.ofSeconds(1));
        assertThat(clock.instant()).as("full speed again").isEqualTo(NOON.plusSeconds(21));
    }

    @Test
    void itNeverGoesBackWhateverTheDatabaseSays() throws SQLException {
        DatabaseClock clock = clock(database(NOON));
        Instant last = clock.instant();
        for (int i = 0; i < 1000; i++) {
            pass(Duration.ofMillis(i % 7));
            clock.synchronise(database(NOON.plusMillis((i * 7919L) % 60_000 - 30_000)));
            Instant now = clock.instant();
            assertThat(now).isAfterOrEqualTo(last);
            last = now;
        }
    }

    @Test
    void anAnswerThatTookTooLongSaysTooLittle() throws SQLException {
        DatabaseClock clock = clock(database(NOON));
        clock.synchronise(database(NOON.plusSeconds(60), Duration.ofSeconds(3)));
        assertThat(clock.instant()).isEqualTo(NOON.plusSeconds(9));
    }
}
