package io.espalier.job;

import java.sql.Timestamp;
import java.time.Duration;
import java.util.List;

import jakarta.persistence.EntityManager;

import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.annotation.Propagation;
import org.springframework.transaction.annotation.Transactional;
import org.springframework.transaction.support.TransactionOperations;
import org.springframework.transaction.support.TransactionTemplate;

/** What no client and no worker asks for: waiting pieces are let in, old things are forgotten, and rows that contradict each other are put right. */
@Component
@Transactional
public class Housekeeping {

    /** So many jobs are forgotten in one round, and the rest in the next: a first round may find years of them. */
    private static final int JOBS_AT_ONCE = 100;

    private final JobLedger ledger;
    private final EntityManager entities;
    private final JdbcClient jdbc;
    private final Admission admission;
    private final JobSettings settings;
    private final TransactionOperations transaction;

    Housekeeping(JobLedger ledger, EntityManager entities, JdbcClient jdbc, Admission admission, JobSettings settings,
            PlatformTransactionManager transactions) {
        this.ledger = ledger;
        this.entities = entities;
        this.jdbc = jdbc;
        this.admission = admission;
        this.settings = settings;
        this.transaction = new TransactionTemplate(transactions);
    }

    /**
     * Lets pieces in that wait for their project's turn, makes waiting jobs older, forgets what was kept long enough. Each in a transaction of its own: what
     * takes long or fails takes nothing else with it, and no row is waited for while another is held.
     */
    @Transactional(propagation = Propagation.NOT_SUPPORTED)
    public void keepHouse() {
        transaction.executeWithoutResult(_ -> admission.admitAll(ledger.now()));
        transaction.executeWithoutResult(_ -> admission.age(ledger.now()));
        forget("delete from idempotency_key where created_at < :before", settings.keepIdempotencyKeys());
        forgetOfJobs("slice_chunk", settings.keepSlices());
        if (settings.keepEvents().isPositive()) {
            List.of("job_event", "job_line", "job_point").forEach(history -> forgetOfJobs(history, settings.keepEvents()));
        }
        if (settings.keepJobs().isPositive()) {
            // why skip locked: somebody who holds an old job tries it again, or reads the last of it
            forget("delete from pruning_job where id in (select id from pruning_job where finished_at < :before limit " + JOBS_AT_ONCE
                    + " for update skip locked)", settings.keepJobs());
        }
    }

    private void forgetOfJobs(String table, Duration after) {
        forget("delete from " + table + " t using (select id from pruning_job j where j.finished_at < :before and exists (select 1 from "
                + table + " where job_id = j.id) limit " + JOBS_AT_ONCE + ") old where t.job_id = old.id", after);
    }

    private void forget(String sql, Duration after) {
        transaction.executeWithoutResult(
                _ -> jdbc.sql(sql).param("before", Timestamp.from(ledger.now().minus(after))).update());
    }

    /** Jobs that look as if no verb had left them so; {@link #mend} looks again, with the job's row locked. */
    @Transactional(readOnly = true)
    public List<String> contradictory() {
        return admission.contradictory();
    }

    /** Puts a job right whose rows contradict each other. Does nothing to one whose rows do not. */
    public void mend(String id) {
        PruningJob job = ledger.locked(id).orElse(null);
        if (job == null) {
            return;
        }
        if (ledger.pieces(id).none()) {
            // why without a word: with nothing that waits the job is opened anew, and that is said
            Piece opening = new Piece(id, 0, Piece.Kind.OPEN);
            opening.blocked();
            entities.persist(opening);
            entities.flush();
        }
        Pieces pieces = ledger.pieces(id);
        List<String> found = Mending.mend(job, pieces, admission.withoutEntry(id).stream().map(pieces::at).toList());
        if (!found.isEmpty()) {
            ledger.changed(job, job.mended(found, pieces, ledger.now()));
        }
    }
}
