package io.espalier.job;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import jakarta.persistence.EntityManager;
import jakarta.persistence.LockModeType;
import jakarta.persistence.TypedQuery;

import com.github.kagkarlsson.scheduler.task.TaskDescriptor;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Slicing;
import io.espalier.telemetry.LogLine;
import org.springframework.context.ApplicationEventPublisher;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/**
 * All pruning jobs, their pieces, and the queue that these wait in. Every change locks the job's row, so that events are numbered without gaps; every
 * change by a worker shows its {@link Lease} and changes nothing when that is no longer good.
 */
@Component
@Transactional
public class PruningJobs {

    /** The queue's entries: an instance id names the job, the piece, and which entry of it this is. */
    public static final TaskDescriptor<Void> TASK = TaskDescriptor.of("job_piece");

    private final EntityManager entities;
    private final JdbcClient jdbc;
    private final Admission admission;
    private final IdempotencyKeys keys;
    private final JobRecords records;
    private final Clock clock;
    private final JobSettings settings;
    private final ApplicationEventPublisher listeners;
    private final Ulids ulids = new Ulids();

    PruningJobs(EntityManager entities, JdbcClient jdbc, Admission admission, IdempotencyKeys keys, JobRecords records, Clock clock,
            JobSettings settings, ApplicationEventPublisher listeners) {
        this.entities = entities;
        this.jdbc = jdbc;
        this.admission = admission;
        this.keys = keys;
        this.records = records;
        this.clock = clock;
        this.settings = settings;
        this.listeners = listeners;
    }

    /**
     * @param job as it stands
     * @param replayed whether it was ordered before, with the same key
     */
    public record Submitted(PruningJob job, boolean replayed) {}

    /**
     * Takes an order and queues it, both or neither.
     *
     * @param recipe as posted, without violations
     * @param inputs what its names stand for
     */
    public PruningJob submit(PruningRecipe recipe, ResolvedInputs inputs) {
        return submit(recipe, inputs, null).job();
    }

    /**
     * Takes an order once, however often it is posted with the same key.
     *
     * @param key {@code null} when the client gave none
     * @throws IdempotencyKey.ReusedException when the key stands for another order
     * @throws IdempotencyKey.InFlightException when a post with the key is being carried out and does not end in time
     */
    public Submitted submit(PruningRecipe recipe, ResolvedInputs inputs, IdempotencyKey key) {
        return submit(recipe, inputs, key, 0);
    }

    /**
     * The same, where a project may have only so many jobs. Of posts at the same time a few more may get through.
     *
     * @param most unfinished jobs of the project, this one included; 0: as many as there are
     * @throws TooManyJobsException when there are as many already; a job that was ordered before, with the same key, is answered all the same
     */
    public Submitted submit(PruningRecipe recipe, ResolvedInputs inputs, IdempotencyKey key, int most) {
        Instant now = now();
        String id = PruningJob.ID_PREFIX + ulids.next(now.toEpochMilli());
        Optional<String> before = key == null ? Optional.empty() : keys.take(recipe.project(), key, id, now);
        if (before.isPresent()) {
            return new Submitted(find(before.get()).orElseThrow(), true);
        }
        if (most > 0 && unfinished(recipe.project(), most) >= most) {
            throw new TooManyJobsException(recipe.project(), most);
        }
        PruningJob job = new PruningJob(id, recipe, inputs, now);
        List<JobEvent> events = job.submitted();
        entities.persist(job);
        entities.persist(new Piece(id, 0, Piece.Kind.OPEN));
        changed(job, events);
        records.begin(id);
        return new Submitted(job, false);
    }

    private int unfinished(String project, int most) {
        return jdbc.sql("select count(*) from (select 1 from pruning_job where project = :project"
                + " and state in ('queued', 'running', 'paused', 'cancelling') limit :most)").param("project", project)
                .param("most", most).query(Integer.class).single();
    }

    @Transactional(readOnly = true)
    public Optional<PruningJob> find(String id) {
        return Optional.ofNullable(entities.find(PruningJob.class, id));
    }

    /**
     * A job of a project; one of another is not even read.
     *
     * @param project {@code null}: of any
     */
    @Transactional(readOnly = true)
    public Optional<PruningJob> find(String id, String project) {
        return project == null
                ? find(id)
                : entities.createQuery("select j from PruningJob j where j.id = :id and j.project = :project", PruningJob.class)
                        .setParameter("id", id).setParameter("project", project).getResultStream().findFirst();
    }

    /**
     * What says whether a job has changed.
     *
     * @param version grows with every change of the job's row
     */
    public record Mark(String id, long version) {}

    /** The marks of those of these jobs that there are. */
    @Transactional(readOnly = true)
    public List<Mark> marks(List<String> ids) {
        return ids.isEmpty()
                ? List.of()
                : jdbc.sql("select id, version from pruning_job where id = any(:ids)").param("ids", ids.toArray(String[]::new))
                        .query(Mark.class)
                        .list();
    }

    /** Whether a job of a project that has not ended was ordered on the model in a directory. */
    @Transactional(readOnly = true)
    public boolean needs(String project, String modelPath) {
        return jdbc.sql("""
                select exists (select 1 from pruning_job
                  where project = :project and state in ('queued', 'running', 'paused', 'cancelling')
                    and inputs ->> 'model_directory' = :path)""")
                .param("project", project).param("path", modelPath).query(Boolean.class).single();
    }

    /** The pieces of a job, in order. */
    @Transactional(readOnly = true)
    public List<Piece> pieces(String id) {
        return pieces(id, -1, Integer.MAX_VALUE);
    }

    /**
     * Pieces of a job, in order.
     *
     * @param afterNumber only those with a higher number; -1: from the first
     * @param limit at most so many
     */
    @Transactional(readOnly = true)
    public List<Piece> pieces(String id, int afterNumber, int limit) {
        return entities
                .createQuery("select p from Piece p where p.key.jobId = :id and p.key.number > :after order by p.key.number", Piece.class)
                .setParameter("id", id).setParameter("after", afterNumber).setMaxResults(limit).getResultList();
    }

    /** Jobs of all projects. */
    @Transactional(readOnly = true)
    public List<PruningJob> list(JobState state, String afterId, int limit) {
        return list(null, state, afterId, limit);
    }

    /**
     * Jobs, newest first.
     *
     * @param project only those of it; {@code null}: of all
     * @param state only those in it; {@code null}: all
     * @param afterId only those older than this job; {@code null}: from the newest
     * @param limit at most so many
     */
    @Transactional(readOnly = true)
    public List<PruningJob> list(String project, JobState state, String afterId, int limit) {
        TypedQuery<PruningJob> query = entities.createQuery("select j from PruningJob j where 1 = 1"
                + (project == null ? "" : " and j.project = :project")
                + (state == null ? "" : " and j.state = :state")
                + (afterId == null ? "" : " and j.id < :after")
                + " order by j.id desc", PruningJob.class);
        if (project != null) {
            query.setParameter("project", project);
        }
        if (state != null) {
            query.setParameter("state", state);
        }
        if (afterId != null) {
            query.setParameter("after", afterId);
        }
        return query.setMaxResults(limit).getResultList();
    }

    /**
     * Asks a job to stop: one that nobody works at is cancelled at once, a running one is cancelling until its workers have stopped.
     *
     * @throws NoSuchJobException when there is none with this id; so does every verb here
     * @throws JobStateException when it has ended otherwise; every verb here refuses so what the state does not allow
     */
    public PruningJob cancel(String id) {
        PruningJob job = known(id);
        return changed(job, job.cancel(piecesOf(id), now()));
    }

    /** Stops a job until it is resumed. Finished slices are kept; the piece at work is begun anew. */
    public PruningJob pause(String id) {
        PruningJob job = known(id);
        return changed(job, job.pause(piecesOf(id), now()));
    }

    /** Lets a paused job go on, from its last finished slice. */
    public PruningJob resume(String id) {
        PruningJob job = known(id);
        return changed(job, job.resume(piecesOf(id), now()));
    }

    /** Tries a failed or cancelled job again, from its last finished slice. */
    public PruningJob retry(String id) {
        PruningJob job = known(id);
        return changed(job, job.retry(piecesOf(id), now()));
    }

    /** Deletes a job that has ended, with its history and everything it produced but the files of its artifact: those are nobody's then. */
    public void delete(String id) {
        PruningJob job = known(id);
        if (!job.state().terminal()) {
            throw new JobStateException(id, job.state(), "be deleted, only cancelled");
        }
        jdbc.sql("delete from pruning_job where id = :id").param("id", id).update();
        entities.clear();
    }

    /** Says in a job that one of its artifacts is deleted, in the caller's transaction. */
    public void artifactDeleted(String id, String artifactId) {
        PruningJob job = known(id);
        changed(job, job.artifactDeleted(artifactId, now()));
    }

    /** The job that an attempt publishes, or may still publish, under this artifact's id. */
    @Transactional(readOnly = true)
    public Optional<PruningJob> publishing(String artifactId) {
        return mayPublish(artifactId) ? Lease.jobOf(artifactId).flatMap(this::find) : Optional.empty();
    }

    /**
     * A job's history, in order.
     *
     * @param afterSeq only events with a higher number; 0: from the first
     * @param limit at most so many
     */
    @Transactional(readOnly = true)
    public List<JobEvent> events(String id, long afterSeq, int limit) {
        return entities
                .createQuery("select e from JobEvent e where e.key.jobId = :id and e.key.seq > :after order by e.key.seq", JobEvent.class)
                .setParameter("id", id).setParameter("after", afterSeq).setMaxResults(limit).getResultList();
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
        PruningJob job = locked(parts[0]).orElse(null);
        Piece piece = job == null ? null : entities.find(Piece.class, new Piece.Key(parts[0], Integer.parseInt(parts[1])));
        if (piece == null || piece.entry() != Integer.parseInt(parts[2])
                || !(piece.is(Piece.State.QUEUED) || piece.is(Piece.State.RUNNING))) {
            return Optional.empty();
        }
        if (job.state() != JobState.QUEUED && job.state() != JobState.RUNNING) {
            changed(job, job.stopped(piece, piecesOf(job.id()), now()));
            return Optional.empty();
        }
        if (piece.is(Piece.State.RUNNING) && piece.lostWorkers() + 1 >= settings.poisonAfter()) {
            changed(job, job.fail(new JobError(ErrorCode.POISON_SLICE, piece.words(job.slices()) + " ended " + settings.poisonAfter()
                    + " workers one after the other (expected: fewer than " + settings.poisonAfter()
                    + "). The job is not tried again by itself; retry it when the reason is found, the last worker was " + piece.worker(),
                    null), piecesOf(job.id()), now()));
            return Optional.empty();
        }
        double percent = job.progress().percent();
        changed(job, job.claim(piece, worker, device, now()));
        return Optional.of(new Lease(job.id(), piece.number(), piece.kind(), piece.attempt(), job.recipe(), job.inputs(), job.slicing(),
                piece.startedAt(), percent));
    }

    /** Whether this attempt of any piece of this job still is somebody's work. */
    @Transactional(readOnly = true)
    public boolean holds(String id, int attempt) {
        return pieces(id).stream().anyMatch(piece -> piece.is(Piece.State.RUNNING) && piece.attempt() == attempt);
    }

    /** Whether what was saved on the way of a piece may still be of use: its job has not ended, and it is not done. */
    @Transactional(readOnly = true)
    public boolean mayResume(String id, int number) {
        Piece piece = entities.find(Piece.class, new Piece.Key(id, number));
        return piece != null && !piece.is(Piece.State.DONE) && find(id).filter(job -> !job.state().terminal()).isPresent();
    }

    /** Whether the attempt that an artifact id was made for may still record it. */
    @Transactional(readOnly = true)
    public boolean mayPublish(String artifactId) {
        return Lease.jobOf(artifactId).filter(id -> holds(id, Lease.attemptOf(artifactId))).isPresent();
    }

    /**
     * Whether nobody can record an artifact of this id any more: its attempt is over. False for one of a job that is older than this database: that is
     * another database's, which may have been lost.
     */
    @Transactional(readOnly = true)
    public boolean gaveUp(String artifactId) {
        return !mayPublish(artifactId) && Lease.jobOf(artifactId).map(id -> Ulids.millis(id.substring(PruningJob.ID_PREFIX.length())))
                .filter(made -> made >= since().toEpochMilli()).isPresent();
    }

    private Instant since() {
        return jdbc.sql("select since from installation").query(OffsetDateTime.class).single().toInstant();
    }

    /**
     * Stores how far a piece is.
     *
     * @return whether to go on: {@code false} when the job is cancelling
     * @throws LeaseLostException when the lease is no longer good
     */
    public boolean progress(Lease lease, Progress.Tick tick) {
        return progress(lease, tick, Map.of(), List.of());
    }

    /**
     * Stores how far a piece is, and what its worker has to tell beside it.
     *
     * @param figures for the job's series; empty: none this time
     * @param lines for the job's log
     * @return whether to go on: {@code false} when the job is cancelling
     * @throws LeaseLostException when the lease is no longer good
     */
    public boolean progress(Lease lease, Progress.Tick tick, Map<JobMetric, Double> figures, List<LogLine> lines) {
        String state = jdbc.sql("select state from pruning_job where id = :id for update").param("id", lease.jobId()).query(String.class)
                .optional().orElse(null);
        int held = state == null
                ? 0
                : jdbc.sql("""
                        update job_piece set percent = least(100, :percent), tokens_per_second = :tokens
                        where job_id = :id and number = :number and attempt = :attempt and state = 'running'""")
                        .param("percent", tick.percent()).param("tokens", tick.tokensPerSecond(), java.sql.Types.DOUBLE)
                        .param("id", lease.jobId())
                        .param("number", lease.piece()).param("attempt", lease.attempt()).update();
        if (held == 0) {
            throw new LeaseLostException(lease, find(lease.jobId()).orElse(null));
        }
        double percent = lease.kind() == Piece.Kind.SLICE
                ? jdbc.sql("select avg(case state when 'done' then :full when 'running' then percent else :none end) from job_piece"
                        + " where job_id = :id and kind = 'slice'").param("full", SLICES_TO).param("none", SLICES_FROM)
                        .param("id", lease.jobId()).query(Double.class).single()
                : tick.percent();
        jdbc.sql(
                """
                        update pruning_job set percent = greatest(percent, least(100, :percent)), layer = :layer, layers = coalesce(:layers, layers),
                            tokens_per_second = (select sum(tokens_per_second) from job_piece where job_id = :id and state = 'running'),
                            eta_seconds = :eta, version = version + 1
                        where id = :id""")
                .param("percent", percent).param("layer", tick.layer(), java.sql.Types.INTEGER)
                .param("layers", tick.layers(), java.sql.Types.INTEGER)
                .param("eta", JobProgress.eta(lease.startPercent(), percent, Duration.between(lease.startedAt(), now())),
                        java.sql.Types.BIGINT)
                .param("id", lease.jobId()).update();
        records.told(lease, percent, figures, lines, now());
        return JobState.RUNNING.json().equals(state) || JobState.QUEUED.json().equals(state);
    }

    /** Percent of the whole run at which the first slice begins and the last one ends, see {@link Progress.Tick}. */
    private static final double SLICES_FROM = 2;
    private static final double SLICES_TO = 65;

    /**
     * The run goes into a phase.
     *
     * @throws LeaseLostException when the lease is no longer good; so does every verb below
     */
    public void enter(Lease lease, Phase phase) {
        Held held = held(lease);
        changed(held.job, held.job.enter(phase, now()));
    }

    /**
     * Writes a line into the job's history.
     *
     * @param type a stable word
     * @param message a sentence for a person
     * @param data the figures in it, JSON values only
     */
    public void note(Lease lease, String type, String message, Map<String, Object> data) {
        Held held = held(lease);
        changed(held.job, held.job.note(type, message, data, now()));
    }

    /**
     * The job is opened: its slices can be measured, or, without any, it can be finished.
     *
     * @throws JobStateException when it is cancelling; so do the two verbs below
     */
    public void opened(Lease lease, Slicing slicing) {
        Held held = held(lease);
        held.job.requireWanted("be opened");
        Pieces pieces = held.pieces;
        if (!held.job.fits(slicing, pieces)) {
            pieces.afterOpening().forEach(entities::remove);
            jdbc.sql("delete from slice_chunk where job_id = :id").param("id", lease.jobId()).update();
            entities.flush();
            pieces = pieces.sliced(slicing.slices().size());
            pieces.afterOpening().forEach(entities::persist);
        }
        changed(held.job, held.job.opened(slicing, pieces, now()));
    }

    /** A slice is measured; its statistics were stored under this lease before. Said twice, it counts once. */
    public void measured(Lease lease, String sha256, long bytes) {
        if (done(lease)) {
            return;
        }
        Held held = held(lease);
        held.job.requireWanted("have a slice measured");
        changed(held.job, held.job.measured(held.piece, sha256, bytes, held.pieces, now()));
    }

    /** What is stored of a slice is damaged: it is measured again, and the job is finished after that. */
    public void damaged(Lease lease, int slicePiece, String why) {
        Held held = held(lease);
        held.job.requireWanted("have a slice measured again");
        changed(held.job, held.job.damaged(held.pieces.at(slicePiece), why, held.pieces, now()));
    }

    /**
     * Ends the job well. What it refers to was inserted before, in the same transaction.
     *
     * @throws JobStateException when it is cancelling: a cancel beats a success that comes later
     */
    public void succeed(Lease lease, PruningResult result, String artifactId, String scoreSetId) {
        Held held = held(lease);
        changed(held.job, held.job.succeed(held.piece, result, artifactId, scoreSetId, now()));
        jdbc.sql("delete from slice_chunk where job_id = :id").param("id", lease.jobId()).update();
    }

    /** Whether this very attempt has done its piece: the answer to a write may be lost when the write is not. */
    @Transactional(readOnly = true)
    public boolean done(Lease lease) {
        Piece piece = entities.find(Piece.class, new Piece.Key(lease.jobId(), lease.piece()));
        return piece != null && piece.is(Piece.State.DONE) && piece.attempt() == lease.attempt();
    }

    /**
     * Ends the job with a reason.
     *
     * @throws JobStateException when it is cancelling: a cancel beats a failure that comes later
     */
    public void fail(Lease lease, JobError error) {
        Held held = held(lease);
        changed(held.job, held.job.fail(error, held.pieces, now()));
    }

    /**
     * Lets a piece be tried again that failed for a reason that may pass, or ends the job when it was tried often enough.
     *
     * @return when its entry in the queue is due again; empty when the job has failed
     * @throws JobStateException when it is cancelling
     */
    public Optional<Instant> tryAgain(Lease lease, JobError error) {
        Held held = held(lease);
        held.job.requireWanted("be tried again");
        int failures = held.piece.failed();
        if (failures > settings.retries()) {
            changed(held.job, held.job.fail(error, held.pieces, now()));
            return Optional.empty();
        }
        Duration pause = settings.pause(failures);
        changed(held.job, held.job.tryAgain(held.piece, error, pause, held.pieces, now()));
        return Optional.of(now().plus(pause));
    }

    /**
     * A worker has put its piece down, because it was told to stop.
     *
     * @return whether that is the end of it; otherwise nobody wants an end, and the piece waits again
     */
    public boolean stopped(Lease lease) {
        Held held = held(lease);
        changed(held.job, held.job.stopped(held.piece, held.pieces, now()));
        return !held.piece.is(Piece.State.QUEUED);
    }

    /**
     * Puts a piece back where it waits, because its worker shuts down.
     *
     * @throws JobStateException when the job is cancelling: then it is cancelled and not started again
     */
    public void release(Lease lease) {
        Held held = held(lease);
        held.job.requireWanted("be handed back");
        changed(held.job, held.job.release(held.piece, held.pieces, "its worker shuts down", now()));
    }

    /** Counts a write that was refused because another worker has the piece by now; a worker that was told to stop is none of those. */
    public void rejected(Lease lease) {
        PruningJob job = locked(lease.jobId()).orElse(null);
        int counted = job == null
                ? 0
                : jdbc.sql("update job_piece set rejected_writes = rejected_writes + 1"
                        + " where job_id = :id and number = :number and attempt <> :attempt")
                        .param("id", lease.jobId()).param("number", lease.piece()).param("attempt", lease.attempt()).update();
        if (counted > 0) {
            changed(job, job.rejected(lease, now()));
        }
    }

    /** What nobody else does: lets pieces in that wait for their project's turn, makes waiting jobs older, forgets what was kept long enough. */
    public void keepHouse() {
        admission.admitAll(now());
        admission.age(now());
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

    /** Jobs that look as if no verb had left them so; {@link #mend} looks again, with the job's row locked. */
    @Transactional(readOnly = true)
    public List<String> contradictory() {
        return admission.contradictory();
    }

    /** Puts a job right whose rows contradict each other. Does nothing to one whose rows do not. */
    public void mend(String id) {
        PruningJob job = locked(id).orElse(null);
        if (job != null) {
            if (pieces(id).isEmpty()) {
                // why without a word: with nothing that waits the job is opened anew, and that is said
                Piece opening = new Piece(id, 0, Piece.Kind.OPEN);
                opening.blocked();
                entities.persist(opening);
                entities.flush();
            }
            Pieces pieces = piecesOf(id);
            List<String> found = Mending.mend(job, pieces, admission.withoutEntry(id).stream().map(pieces::at).toList());
            if (!found.isEmpty()) {
                changed(job, job.mended(found, pieces, now()));
            }
        }
    }

    private void forget(String sql, Duration after) {
        jdbc.sql(sql).param("before", java.sql.Timestamp.from(now().minus(after))).update();
    }

    private record Held(PruningJob job, Piece piece, Pieces pieces) {}

    private Held held(Lease lease) {
        PruningJob job = locked(lease.jobId()).orElse(null);
        Pieces pieces = job == null ? new Pieces(List.of()) : piecesOf(lease.jobId());
        Piece piece = pieces.at(lease.piece());
        if (piece == null || piece.attempt() != lease.attempt() || !piece.is(Piece.State.RUNNING)) {
            throw new LeaseLostException(lease, job);
        }
        job.held(pieces);
        return new Held(job, piece, pieces);
    }

    private Pieces piecesOf(String id) {
        return new Pieces(pieces(id));
    }

    private PruningJob known(String id) {
        return locked(id).orElseThrow(() -> new NoSuchJobException(id));
    }

    private Optional<PruningJob> locked(String id) {
        return Optional.ofNullable(entities.find(PruningJob.class, id, LockModeType.PESSIMISTIC_WRITE));
    }

    /** Records what happened, and lets in what became ready by it. */
    private PruningJob changed(PruningJob job, List<JobEvent> events) {
        events.forEach(entities::persist);
        entities.flush();
        admission.admit(job.recipe().project(), now());
        events.stream().filter(event -> event.type().equals(job.state().json())).reduce((_, last) -> last)
                .ifPresent(event -> listeners.publishEvent(new JobChanged(job, event)));
        return job;
    }

    private Instant now() {
        return clock.instant().truncatedTo(ChronoUnit.MICROS);
    }
}
