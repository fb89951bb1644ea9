package io.espalier.platform;

import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.ApplicationEventPublisher;
import org.springframework.context.SmartLifecycle;

/**
 * A connection of its own over which the database is asked every few seconds whether it is there, what time it is, and whether somebody has migrated it
 * beyond this program. Once that has happened the process is closed for good: an {@link AvailabilityChangeEvent} says that it refuses traffic, and its
 * source is the sentence why.
 */
final class Pulse implements SmartLifecycle, HealthIndicator {

    private static final Logger log = LoggerFactory.getLogger(Pulse.class);
    private static final Duration SILENCE = Duration.ofSeconds(5);
    private static final Duration WORTH_A_WORD = Duration.ofSeconds(1);

    private final DatabaseAddress address;
    private final Schema schema;
    private final DatabaseClock clock;
    private final DatabaseSettings settings;
    private final ApplicationEventPublisher events;
    private volatile Thread thread;
    private volatile String away;
    private volatile String closed;
    private Connection connection;
    private long syncedAt = System.nanoTime();

    Pulse(DatabaseAddress address, Schema schema, DatabaseClock clock, DatabaseSettings settings, ApplicationEventPublisher events) {
        this.address = address;
        this.schema = schema;
        this.clock = clock;
        this.settings = settings;
        this.events = events;
    }

    @Override
    public Health health() {
        String why = closed != null ? closed : away;
        return why == null ? Health.up().build() : Health.down().withDetail("why", why).build();
    }

    private void run() {
        while (thread == Thread.currentThread()) {
            try {
                Thread.sleep(settings.check());
                beat();
                if (away != null) {
                    log.info("the database {} is there again", address.words());
                    away = null;
                }
            } catch (InterruptedException e) {
                break;
            } catch (SQLException e) {
                // why: a process that stops may have stopped its own database before
                if (away == null && isRunning()) {
                    log.warn("the database {} does not answer: {}", address.words(), DatabaseAddress.reason(e));
                }
                away = "the database does not answer: " + DatabaseAddress.reason(e);
                hangUp();
            }
        }
        hangUp();
    }

    private void beat() throws SQLException {
        if (connection == null) {
            connection = address.open("clock", SILENCE);
        }
        if (System.nanoTime() - syncedAt >= settings.clockSync().toNanos()) {
            Duration ahead = clock.synchronise(DatabaseClock.Database.over(connection));
            syncedAt = System.nanoTime();
            if (ahead.abs().compareTo(WORTH_A_WORD) > 0) {
                log.warn("the clock was {} ms {} the database's", ahead.abs().toMillis(), ahead.isNegative() ? "behind" : "ahead of");
            }
        }
        String refusal = schema.refusal(connection);
        if (refusal != null && closed == null) {
            closed = refusal;
            log.error("{}; this process takes no more jobs and answers no more requests: replace it", refusal);
            AvailabilityChangeEvent.publish(events, refusal, ReadinessState.REFUSING_TRAFFIC);
        }
    }

    private void hangUp() {
        try {
            if (connection != null) {
                connection.close();
            }
        } catch (SQLException e) {
            log.debug("closing a connection that is broken", e);
        }
        connection = null;
    }

    @Override
    public void start() {
        thread = Thread.ofPlatform().daemon().name("database-pulse").unstarted(this::run);
        thread.start();
    }

    @Override
    public void stop() {
        Thread running = thread;
        thread = null;
        if (running != null) {
            running.interrupt();
        }
    }

    @Override
    public boolean isRunning() {
        return thread != null;
    }

    /** Before, and after, everything that looks at the clock. */
    @Override
    public int getPhase() {
        return 0;
    }
}
