package io.espalier.chaos;

import java.sql.Connection;
import java.sql.SQLException;

import javax.sql.DataSource;

/** A client that opens a transaction, takes locks in it, and then does nothing. */
final class Holder implements AutoCloseable {

    private final Connection connection;

    Holder(DataSource source) {
        try {
            connection = source.getConnection();
            connection.setAutoCommit(false);
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Lets nobody insert into a table; reading goes on. */
    Holder closes(String table) {
        return run("lock table " + table + " in share mode");
    }

    /** Lets nobody even read a table. */
    Holder owns(String table) {
        return run("lock table " + table + " in access exclusive mode");
    }

    /** Lets nobody change a job. */
    Holder holds(String jobId) {
        return run("select 1 from pruning_job where id = '" + jobId + "' for update");
    }

    private Holder run(String sql) {
        try (var statement = connection.createStatement()) {
            statement.execute(sql);
            return this;
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Lets go. */
    @Override
    public void close() {
        try {
            connection.close();
        } catch (SQLException e) {
            // why nothing: a server that is gone holds no lock
        }
    }
}
