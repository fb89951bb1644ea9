package io.espalier.job;

import java.sql.Types;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

import io.espalier.recipe.Progress;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;

/**
 * How far a job and its pieces are, in their rows. Written twice a second for each piece at work, so in SQL, without reading the order or the history;
 * in the caller's transaction, the job's row first, as every verb does.
 */
@Component
class ProgressRows {

    /** Percent of the whole run at which the first slice begins and the last one ends, see {@link Progress.Tick}. */
    private static final double SLICES_FROM = 2;
    private static final double SLICES_TO = 65;

    private final JdbcClient jdbc;

    ProgressRows(JdbcClient jdbc) {
        this.jdbc = jdbc;
    }

    /** Locks the job's row; answers its state, empty when the job is gone. */
    Optional<String> lock(Lease lease) {
        return jdbc.sql("select state from pruning_job where id = :id for update").param("id", lease.jobId()).query(String.class)
                .optional();
    }

    /** Stores how far the piece is; answers whether the lease is good. */
    boolean piece(Lease lease, Progress.Tick tick) {
        return jdbc.sql("""
                update job_piece set percent = least(100, :percent), tokens_per_second = :tokens
                where job_id = :id and number = :number and attempt = :attempt and state = 'running'""")
                .param("percent", tick.percent()).param("tokens", tick.tokensPerSecond(), Types.DOUBLE).param("id", lease.jobId())
                .param("number", lease.piece()).param("attempt", lease.attempt()).update() > 0;
    }

    /** Stores how far the job is by all its pieces; answers that, in percent. */
    double job(Lease lease, Progress.Tick tick, Instant now) {
        double percent = lease.kind() == Piece.Kind.SLICE ? allSlices(lease.jobId()) : tick.percent();
        jdbc.sql(
                """
                        update pruning_job set percent = greatest(percent, least(100, :percent)), layer = :layer, layers = coalesce(:layers, layers),
                            tokens_per_second = (select sum(tokens_per_second) from job_piece where job_id = :id and state = 'running'),
                            eta_seconds = :eta, version = version + 1
                        where id = :id""")
                .param("percent", percent).param("layer", tick.layer(), Types.INTEGER).param("layers", tick.layers(), Types.INTEGER)
                .param("eta", JobProgress.eta(lease.startPercent(), percent, Duration.between(lease.startedAt(), now)), Types.BIGINT)
                .param("id", lease.jobId()).update();
        return percent;
    }

    private double allSlices(String id) {
        return jdbc.sql("select avg(case state when 'done' then :full when 'running' then percent else :none end) from job_piece"
                + " where job_id = :id and kind = 'slice'").param("full", SLICES_TO).param("none", SLICES_FROM).param("id", id)
                .query(Double.class).single();
    }
}
