package io.espalier.job;

import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;

/** Which order a client's key stands for. A key is taken in the transaction that makes the job, so that both are there or neither. */
@Component
class IdempotencyKeys {

    /** How long a post waits for another with the same key. */
    private static final Duration PATIENCE = Duration.ofSeconds(2);
    private static final String LOCK_NOT_AVAILABLE = "55P03";

    private final JdbcClient jdbc;
    private final JobSettings settings;

    IdempotencyKeys(JdbcClient jdbc, JobSettings settings) {
        this.jdbc = jdbc;
        this.settings = settings;
    }

    /**
     * Takes a key for a new job, unless it is taken. Of two posts at once the second waits here until the first is through.
     *
     * @return the job that the key stands for already; empty: it stands for the new one now
     * @throws IdempotencyKey.ReusedException when that job was ordered with another body
     * @throws IdempotencyKey.InFlightException when the first is not through in time
     */
    Optional<String> take(String project, IdempotencyKey key, String jobId, Instant now) {
        int taken;
        String before = jdbc.sql("select current_setting('lock_timeout')").query(String.class).single();
        try {
            lockTimeout(PATIENCE.toMillis() + "ms");
            taken = jdbc.sql("""
                    insert into idempotency_key as k (project, key, fingerprint, job_id, created_at)
                    values (:project, :key, :fingerprint, :job, :now)
                    on conflict (project, key) do update
                        set fingerprint = excluded.fingerprint, job_id = excluded.job_id, created_at = excluded.created_at
                        where k.created_at < :expired""")
                    .param("project", project).param("key", key.key()).param("fingerprint", key.fingerprint()).param("job", jobId)
                    .param("now", Timestamp.from(now)).param("expired", Timestamp.from(now.minus(settings.keepIdempotencyKeys()))).update();
            lockTimeout(before);
        } catch (DataAccessException e) {
            if (e.getRootCause() instanceof SQLException sql && LOCK_NOT_AVAILABLE.equals(sql.getSQLState())) {
                throw new IdempotencyKey.InFlightException(key.key(), e);
            }
            throw e;
        }
        if (taken == 1) {
            return Optional.empty();
        }
        record Taken(String jobId, String fingerprint) {}
        Taken first = jdbc.sql("select job_id, fingerprint from idempotency_key where project = :project and key = :key")
                .param("project", project).param("key", key.key()).query(Taken.class).single();
        if (!first.fingerprint.equals(key.fingerprint())) {
            throw new IdempotencyKey.ReusedException(key.key(), first.jobId);
        }
        return Optional.of(first.jobId);
    }

    private void lockTimeout(String value) {
        jdbc.sql("select set_config('lock_timeout', :value, true)").param("value", value).query(String.class).single();
    }
}
