package io.espalier.job;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import jakarta.persistence.EntityManager;

import io.espalier.job.JobLedger.Held;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.Slicing;
import io.espalier.telemetry.LogLine;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/**
 * What a worker says of the piece it holds: how far it is, and how it ended. Every verb shows the {@link Lease} and changes nothing, but throws
 * {@link LeaseLostException}, when that is no longer good.
 */
@Component
@Transactional
public class PieceReports {

    private final JobLedger ledger;
    private final EntityManager entities;
    private final JdbcClient jdbc;
    private final ProgressRows rows;
    private final JobRecords records;
    private final JobSettings settings;

    PieceReports(JobLedger ledger, EntityManager entities, JdbcClient jdbc, ProgressRows rows, JobRecords records, JobSettings settings) {
        this.ledger = ledger;
        this.entities = entities;
        this.jdbc = jdbc;
        this.rows = rows;
        this.records = records;
        this.settings = settings;
    }

    /** Stores how far a piece is, with nothing beside it. */
    public boolean progress(Lease lease, Progress.Tick tick) {
        return progress(lease, tick, Map.of(), List.of());
    }

    /**
     * Stores how far a piece is, and what its worker has to tell beside it.
     *
     * @param figures for the job's series; empty: none this time
     * @param lines for the job's log
     * @return whether to go on: {@code false} when the job is cancelling
     */
    public boolean progress(Lease lease, Progress.Tick tick, Map<JobMetric, Double> figures, List<LogLine> lines) {
        String state = rows.lock(lease).orElse(null);
        if (state == null || !rows.piece(lease, tick)) {
            throw new LeaseLostException(lease, ledger.unlocked(lease.jobId()));
        }
        Instant now = ledger.now();
        records.told(lease, rows.job(lease, tick, now), figures, lines, now);
        return JobState.RUNNING.json().equals(state) || JobState.QUEUED.json().equals(state);
    }

    /** The run goes into a phase. */
    public void enter(Lease lease, Phase phase) {
        Held held = ledger.held(lease);
        ledger.changed(held.job(), held.job().enter(phase, ledger.now()));
    }

    /**
     * Writes a line into the job's history.
     *
     * @param type a stable word
     * @param message a sentence for a person
     * @param data the figures in it, JSON values only
     */
    public void note(Lease lease, String type, String message, Map<String, Object> data) {
        Held held = ledger.held(lease);
        ledger.changed(held.job(), held.job().note(type, message, data, ledger.now()));
    }

    /**
     * The job is opened: its slices can be measured, or, without any, it can be finished.
     *
     * @throws JobStateException when it is cancelling; so do the two verbs below
     */
    public void opened(Lease lease, Slicing slicing) {
        Held held = ledger.held(lease);
        held.job().requireWanted("be opened");
        Pieces pieces = held.pieces();
        if (!held.job().fits(slicing, pieces)) {
            pieces.afterOpening().forEach(entities::remove);
            forgetChunks(lease);
            entities.flush();
            pieces = pieces.sliced(slicing.slices().size());
            pieces.afterOpening().forEach(entities::persist);
        }
        ledger.changed(held.job(), held.job().opened(slicing, pieces, ledger.now()));
    }

    /** A slice is measured; its statistics were stored under this lease before. Said twice, it counts once. */
    public void measured(Lease lease, String sha256, long bytes) {
        if (done(lease)) {
            return;
        }
        Held held = ledger.held(lease);
        held.job().requireWanted("have a slice measured");
        ledger.changed(held.job(), held.job().measured(held.piece(), sha256, bytes, held.pieces(), ledger.now()));
    }

    /** What is stored of a slice is damaged: it is measured again, and the job is finished after that. */
    public void damaged(Lease lease, int slicePiece, String why) {
        Held held = ledger.held(lease);
        held.job().requireWanted("have a slice measured again");
        ledger.changed(held.job(), held.job().damaged(held.pieces().at(slicePiece), why, held.pieces(), ledger.now()));
    }

    /**
     * Ends the job well. What it refers to was inserted before, in the same transaction.
     *
     * @throws JobStateException when it is cancelling: a cancel beats a success that comes later
     */
    public void succeed(Lease lease, PruningResult result, String artifactId, String scoreSetId) {
        Held held = ledger.held(lease);
        ledger.changed(held.job(), held.job().succeed(held.piece(), result, artifactId, scoreSetId, ledger.now()));
        forgetChunks(lease);
    }

    private void forgetChunks(Lease lease) {
        jdbc.sql("delete from slice_chunk where job_id = :id").param("id", lease.jobId()).update();
    }

    /** Whether this very attempt has done its piece: the answer to a write may be lost when the write is not. */
    @Transactional(readOnly = true)
    public boolean done(Lease lease) {
        Piece piece = ledger.piece(lease.jobId(), lease.piece());
        return piece != null && piece.is(Piece.State.DONE) && piece.attempt() == lease.attempt();
    }

    /**
     * Ends the job with a reason.
     *
     * @throws JobStateException when it is cancelling: a cancel beats a failure that comes later
     */
    public void fail(Lease lease, JobError error) {
        Held held = ledger.held(lease);
        ledger.changed(held.job(), held.job().fail(error, held.pieces(), ledger.now()));
    }

    /**
     * Lets a piece be tried again that failed for a reason that may pass, or ends the job when it was tried often enough.
     *
     * @return when its entry in the queue is due again; empty when the job has failed
     * @throws JobStateException when it is cancelling
     */
    public Optional<Instant> tryAgain(Lease lease, JobError error) {
        Held held = ledger.held(lease);
        held.job().requireWanted("be tried again");
        int failures = held.piece().failed();
        if (failures > settings.retries()) {
            ledger.changed(held.job(), held.job().fail(error, held.pieces(), ledger.now()));
            return Optional.empty();
        }
        Duration pause = settings.pause(failures);
        ledger.changed(held.job(), held.job().tryAgain(held.piece(), error, pause, held.pieces(), ledger.now()));
        return Optional.of(ledger.now().plus(pause));
    }

    /**
     * A worker has put its piece down, because it was told to stop.
     *
     * @return whether that is the end of it; otherwise nobody wants an end, and the piece waits again
     */
    public boolean stopped(Lease lease) {
        Held held = ledger.held(lease);
        ledger.changed(held.job(), held.job().stopped(held.piece(), held.pieces(), ledger.now()));
        return !held.piece().is(Piece.State.QUEUED);
    }

    /**
     * Puts a piece back where it waits, because its worker shuts down.
     *
     * @throws JobStateException when the job is cancelling: then it is cancelled and not started again
     */
    public void release(Lease lease) {
        Held held = ledger.held(lease);
        held.job().requireWanted("be handed back");
        ledger.changed(held.job(), held.job().release(held.piece(), held.pieces(), "its worker shuts down", ledger.now()));
    }
}
