package io.espalier.job;

import java.time.OffsetDateTime;
import java.util.List;
import java.util.Optional;

import io.espalier.recipe.ErrorCode;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/** Who works at which piece: a {@link Lease} for each claim, and whether it, or what was made under it, is still of use. */
@Component
@Transactional
public class Leases {

    private final JobLedger ledger;
    private final JdbcClient jdbc;
    private final JobSettings settings;

    Leases(JobLedger ledger, JdbcClient jdbc, JobSettings settings) {
        this.ledger = ledger;
        this.jdbc = jdbc;
        this.settings = settings;
    }

    /**
     * Takes a piece that the queue handed out. Whatever held it before is over.
     *
     * @param entry the queue's instance id
     * @param worker the process, for people
     * @param device what it will run on
     * @return empty when there is nothing to do: the entry is of yesterday, the job has ended or was stopped, or it failed now because the piece
     *     cost too many workers
     */
    public Optional<Lease> claim(String entry, String worker, String device) {
        String[] parts = entry.split("/");
        PruningJob job = ledger.locked(parts[0]).orElse(null);
        Piece piece = job == null ? null : ledger.piece(parts[0], Integer.parseInt(parts[1]));
        if (piece == null || piece.entry() != Integer.parseInt(parts[2])
                || !(piece.is(Piece.State.QUEUED) || piece.is(Piece.State.RUNNING))) {
            return Optional.empty();
        }
        if (job.state() != JobState.QUEUED && job.state() != JobState.RUNNING) {
            ledger.changed(job, job.stopped(piece, ledger.pieces(job.id()), ledger.now()));
            return Optional.empty();
        }
        if (piece.is(Piece.State.RUNNING) && piece.lostWorkers() + 1 >= settings.poisonAfter()) {
            ledger.changed(job, job.fail(poison(job, piece), ledger.pieces(job.id()), ledger.now()));
            return Optional.empty();
        }
        double percent = job.progress().percent();
        ledger.changed(job, job.claim(piece, worker, device, ledger.now()));
        return Optional.of(new Lease(job.id(), piece.number(), piece.kind(), piece.attempt(), job.recipe(), job.inputs(), job.slicing(),
                piece.startedAt(), percent));
    }

    private JobError poison(PruningJob job, Piece piece) {
        return new JobError(ErrorCode.POISON_SLICE, piece.words(job.slices()) + " ended " + settings.poisonAfter()
                + " workers one after the other (expected: fewer than " + settings.poisonAfter()
                + "). The job is not tried again by itself; retry it when the reason is found, the last worker was " + piece.worker(),
                null);
    }

    /** Counts a write that was refused because another worker has the piece by now; a worker that was told to stop is none of those. */
    public void rejected(Lease lease) {
        PruningJob job = ledger.locked(lease.jobId()).orElse(null);
        int counted = job == null
                ? 0
                : jdbc.sql("update job_piece set rejected_writes = rejected_writes + 1"
                        + " where job_id = :id and number = :number and attempt <> :attempt")
                        .param("id", lease.jobId()).param("number", lease.piece()).param("attempt", lease.attempt()).update();
        if (counted > 0) {
            ledger.changed(job, job.rejected(lease, ledger.now()));
        }
    }

    /** The slices of a lease's job, in order. */
    @Transactional(readOnly = true)
    public List<Piece> slices(Lease lease) {
        return ledger.pieces(lease.jobId()).slices();
    }

    /** Whether this attempt of any piece of this job still is somebody's work. */
    @Transactional(readOnly = true)
    public boolean holds(String id, int attempt) {
        return ledger.pieces(id).heldBy(attempt);
    }

    /** Whether what was saved on the way of a piece may still be of use: its job has not ended, and it is not done. */
    @Transactional(readOnly = true)
    public boolean mayResume(String id, int number) {
        Piece piece = ledger.piece(id, number);
        PruningJob job = ledger.unlocked(id);
        return piece != null && !piece.is(Piece.State.DONE) && job != null && !job.state().terminal();
    }

    /** Whether the attempt that an artifact id was made for may still record it. */
    @Transactional(readOnly = true)
    public boolean mayPublish(String artifactId) {
        return publishing(artifactId).isPresent();
    }

    /** The job that an attempt publishes, or may still publish, under this artifact's id. */
    @Transactional(readOnly = true)
    public Optional<PruningJob> publishing(String artifactId) {
        return Lease.jobOf(artifactId).filter(id -> holds(id, Lease.attemptOf(artifactId))).map(ledger::unlocked);
    }

    /**
     * Whether nobody can record an artifact of this id any more: its attempt is over. False for one of a job that is older than this database: that is
     * another database's, which may have been lost.
     */
    @Transactional(readOnly = true)
    public boolean gaveUp(String artifactId) {
        return !mayPublish(artifactId) && Lease.jobOf(artifactId).map(id -> Ulids.millis(id.substring(PruningJob.ID_PREFIX.length())))
                .filter(made -> made >= since()).isPresent();
    }

    /** When this database was installed, in milliseconds of 1970. */
    private long since() {
        return jdbc.sql("select since from installation").query(OffsetDateTime.class).single().toInstant().toEpochMilli();
    }
}
