package io.espalier.platform;

import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Properties;

/**
 * How this process reaches its database.
 *
 * @param url JDBC
 * @param limits how long what may take
 */
record DatabaseAddress(String url, String user, String password, DatabaseSettings.Connections limits) {

    /** The server ends a statement first and says so; the driver's own limit is for a server that says nothing any more. */
    private static final Duration SILENCE = Duration.ofSeconds(15);
    private static final String PROCESS = host() + "/" + ProcessHandle.current().pid();

    /** For people, without parameters: a password may be among them. */
    String words() {
        return url.replaceFirst("^jdbc:", "").replaceFirst("\\?.*", "");
    }

    /**
     * What the driver is told.
     *
     * @param purpose what the connection is for, seen in {@code pg_stat_activity.application_name}
     * @param silence after how long without an answer the connection counts as dead; zero: never
     */
    Properties driver(String purpose, Duration silence) {
        Properties driver = new Properties();
        driver.setProperty("ApplicationName", "espalier " + purpose + " " + PROCESS);
        driver.setProperty("connectTimeout", String.valueOf(limits.connectTimeout().toSeconds()));
        driver.setProperty("loginTimeout", String.valueOf(limits.connectTimeout().toSeconds()));
        driver.setProperty("socketTimeout", String.valueOf(silence.toSeconds()));
        driver.setProperty("tcpKeepAlive", "true");
        return driver;
    }

    /** What the driver of a pool is told. */
    Properties pooled(String purpose) {
        return driver(purpose, limits.statementTimeout().plus(SILENCE));
    }

    /** What every pooled connection is told first: nobody waits for ever, and nobody makes others wait for ever. */
    String session(Duration lockTimeout) {
        return "set lock_timeout = " + lockTimeout.toMillis() + "; set statement_timeout = " + limits.statementTimeout().toMillis()
                + "; set idle_in_transaction_session_timeout = " + limits.idleInTransactionTimeout().toMillis();
    }

    /** A connection of nobody's pool. */
    Connection open(String purpose, Duration silence) throws SQLException {
        Properties driver = driver(purpose, silence);
        driver.setProperty("user", user);
        driver.setProperty("password", password);
        return DriverManager.getConnection(url, driver);
    }

    /** A driver's message, with what is behind it where that says more. */
    static String reason(SQLException e) {
        Throwable cause = e.getCause();
        return e.getMessage() + (cause instanceof IOException ? " " + cause.getClass().getSimpleName() + ": " + cause.getMessage() : "");
    }

    private static String host() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException e) {
            return "localhost";
        }
    }
}
