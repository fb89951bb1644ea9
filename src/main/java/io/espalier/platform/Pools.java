package io.espalier.platform;

import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;

import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.metrics.micrometer.MicrometerMetricsTrackerFactory;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.jdbc.datasource.AbstractDataSource;

/**
 * Two pools that look like one: HTTP requests take their connections from the first, everything else from the second. However many requests come,
 * a worker gets through with its heartbeats.
 */
final class Pools extends AbstractDataSource implements AutoCloseable {

    /** Polling, heartbeats, the look for dead workers, and one that has come to its end. */
    private static final int QUEUE = 4;
    private static final Duration BRIEF = Duration.ofMillis(200);
    private static final ThreadLocal<Boolean> REQUEST = ThreadLocal.withInitial(() -> false);

    private final HikariDataSource requests;
    private final HikariDataSource others;

    /**
     * @param api whether this process serves the API; without it only a health check may come by
     * @param others what the rest of the process is, for people
     */
    Pools(DatabaseAddress address, boolean api, String others) {
        this.requests = pool(address, "api", api ? address.limits().api() : 1);
        this.others = pool(address, others, address.limits().worker());
    }

    /**
     * Connections of the queue's own machinery, opened when it is used. It tells of one live worker after the other, so somebody who holds the row of one must
     * not keep it from the next until that one counts as dead.
     */
    static HikariDataSource queue(DatabaseAddress address) {
        Duration brief = address.limits().lockTimeout().compareTo(BRIEF) < 0 ? address.limits().lockTimeout() : BRIEF;
        return pool(address, "queue", QUEUE, 0, brief);
    }

    private static HikariDataSource pool(DatabaseAddress address, String purpose, int size) {
        return pool(address, purpose, size, 1, address.limits().lockTimeout());
    }

    private static HikariDataSource pool(DatabaseAddress address, String purpose, int size, int idle, Duration lockTimeout) {
        HikariConfig config = new HikariConfig();
        config.setPoolName(purpose + " connections");
        config.setJdbcUrl(address.url());
        config.setUsername(address.user());
        config.setPassword(address.password());
        config.setDataSourceProperties(address.pooled(purpose));
        config.setConnectionInitSql(address.session(lockTimeout));
        config.setMaximumPoolSize(size);
        config.setMinimumIdle(idle);
        config.setConnectionTimeout(address.limits().acquireTimeout().toMillis());
        config.setValidationTimeout(Math.min(address.limits().acquireTimeout().toMillis(), 2_000));
        // why: the start has waited for the database already; what is lost again by now comes back in its own time
        config.setInitializationFailTimeout(-1);
        return new HikariDataSource(config);
    }

    @Override
    public Connection getConnection() throws SQLException {
        return (REQUEST.get() ? requests : others).getConnection();
    }

    @Override
    public Connection getConnection(String user, String password) throws SQLException {
        throw new SQLException("every connection here belongs to one user (given: " + user + ")");
    }

    /** Tells these meters how its connections are used. */
    void measure(MeterRegistry meters) {
        List.of(requests, others).forEach(pool -> measure(pool, meters));
    }

    static void measure(HikariDataSource pool, MeterRegistry meters) {
        if (pool.getMetricsTrackerFactory() == null) {
            pool.setMetricsTrackerFactory(new MicrometerMetricsTrackerFactory(meters));
        }
    }

    @Override
    public void close() {
        requests.close();
        others.close();
    }

    /** Marks the threads of requests. */
    static final class OfRequests implements Filter {
        @Override
        public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain) throws IOException, ServletException {
            REQUEST.set(true);
            try {
                chain.doFilter(request, response);
            } finally {
                REQUEST.remove();
            }
        }
    }
}
