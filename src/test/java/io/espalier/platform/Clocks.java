package io.espalier.platform;

import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;

import javax.sql.DataSource;

/** Clocks of machines that do not agree. */
public final class Clocks {

    private Clocks() {}

    /** The database's time as a process has it whose machine's time is ahead of everybody else's by so much. */
    public static Clock onAMachineAheadBy(Duration ahead, DataSource database) throws SQLException {
        try (Connection connection = database.getConnection()) {
            return new DatabaseClock(DatabaseClock.Database.over(connection), () -> System.nanoTime() + ahead.toNanos());
        }
    }
}
