package io.espalier.job;

import java.sql.Timestamp;
import java.time.Duration;
import java.util.List;

import jakarta.persistence.EntityManager;

import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/** What no client and no worker asks for: waiting pieces are let in, old things are forgotten, and rows that contradict each other are put right. */
@Component
@Transactional
public class Housekeeping {

    private final JobLedger ledger;
    private final EntityManager entities;
    private final JdbcClient jdbc;
    private final Admission admission;
    private final JobSettings settings;

    Housekeeping(JobLedger ledger, EntityManager entities, JdbcClient jdbc, Admission admission, JobSettings settings) {
        this.ledger = ledger;
        this.entities = entities;
        this.jdbc = jdbc;
        this.admission = admission;
        this.settings = settings;
    }

    /** Lets pieces in that wait for their project's turn, makes waiting jobs older, forgets what was kept long enough. */
    public void keepHouse() {
        admission.admitAll(ledger.now());
        admission.age(ledger.now());
        forget("delete from idempotency_key where created_at < :before", settings.keepIdempotencyKeys());
        forget("delete from slice_chunk c using pruning_job j where j.id = c.job_id and j.finished_at < :before", settings.keepSlices());
        if (settings.keepEvents().isPositive()) {
            for (String history : List.of("job_event", "job_line", "job_point")) {
                forget("delete from " + history + " e using pruning_job j where j.id = e.job_id and j.finished_at < :before",
                        settings.keepEvents());
            }
        }
        if (settings.keepJobs().isPositive()) {
            forget("delete from pruning_job where finished_at < :before", settings.keepJobs());
        }
    }

    private void forget(String sql, Duration after) {
        jdbc.sql(sql).param("before", Timestamp.from(ledger.now().minus(after))).update();
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
