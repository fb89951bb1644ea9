package io.espalier.job;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import jakarta.persistence.EntityManager;
import jakarta.persistence.LockModeType;
import jakarta.persistence.TypedQuery;

import com.github.kagkarlsson.scheduler.SchedulerClient;
import com.github.kagkarlsson.scheduler.task.TaskDescriptor;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Slicing;
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
    private final SchedulerClient queue;
    private final Clock clock;
    private final JobSettings settings;
    private final Ulids ulids = new Ulids();

    PruningJobs(EntityManager entities, JdbcClient jdbc, SchedulerClient queue, Clock clock, JobSettings settings) {
        this.entities = entities;
        this.jdbc = jdbc;
        this.queue = queue;
        this.clock = clock;
        this.settings = settings;
    }

    /**
     * Takes an order and queues it, both or neither.
     *
     * @param recipe as posted, without violations
     * @param inputs what its names stand for
     */
    public PruningJob submit(PruningRecipe recipe, ResolvedInputs inputs) {
        Instant now = now();
        PruningJob job = new PruningJob(PruningJob.ID_PREFIX + ulids.next(now.toEpochMilli()), recipe, inputs, now);
        List<JobEvent> events = job.submitted();
        entities.persist(job);
        entities.persist(new Piece(job.id(), 0, Piece.Kind.OPEN));
        changed(job, events);
        return job;
    }

    @Transactional(readOnly = true)
    public Optional<PruningJob> find(String id) {
        return Optional.ofNullable(entities.find(PruningJob.class, id));
    }

    /** The pieces of a job, in order. */
    @Transactional(readOnly = true)
    public List<Piece> pieces(String id) {
        return entities.createQuery("select p from Piece p where p.key.jobId = :id order by p.key.number", Piece.class)
                .setParameter("id", id).getResultList();
    }

    /**
     * Jobs, newest first.
     *
     * @param state only those in it; {@code null}: all
     * @param afterId only those older than this job; {@code null}: from the newest
     * @param limit at most so many
     */
    @Transactional(readOnly = true)
    public List<PruningJob> list(JobState state, String afterId, int limit) {
        TypedQuery<PruningJob> query = entities.createQuery("select j from PruningJob j where 1 = 1"
                + (state == null ? "" : " and j.state = :state")
                + (afterId == null ? "" : " and j.id < :after")
                + " order by j.id desc", PruningJob.class);
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
        return changed(job, job.cancel(pieces(id), now()));
    }

    /** Stops a job until it is resumed. Finished slices are kept; the piece at work is begun anew. */
    public PruningJob pause(String id) {
        PruningJob job = known(id);
        return changed(job, job.pause(pieces(id), now()));
    }

    /** Lets a paused job go on, from its last finished slice. */
    public PruningJob resume(String id) {
        PruningJob job = known(id);
        return changed(job, job.resume(pieces(id), now()));
    }

    /** Tries a failed or cancelled job again, from its last finished slice. */
    public PruningJob retry(String id) {
        PruningJob job = known(id);
        return changed(job, job.retry(pieces(id), now()));
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
        if (job.state() == JobState.CANCELLING) {
            changed(job, job.stopped(piece, pieces(job.id()), now()));
            return Optional.empty();
        }
        if (piece.is(Piece.State.RUNNING) && piece.lostWorkers() + 1 >= settings.poisonAfter()) {
            changed(job, job.fail(new JobError(ErrorCode.POISON_SLICE, piece.words(job.slices()) + " ended " + settings.poisonAfter()
                    + " workers one after the other (expected: fewer than " + settings.poisonAfter()
                    + "). The job is not tried again by itself; retry it when the reason is found, the last worker was " + piece.worker(),
                    null), pieces(job.id()), now()));
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
     * Stores how far a piece is.
     *
     * @return whether to go on: {@code false} when the job is cancelling
     * @throws LeaseLostException when the lease is no longer good
     */
    public boolean progress(Lease lease, Progress.Tick tick) {
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
        return JobState.RUNNING.json().equals(state);
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

    /** The job is opened: its slices can be measured, or, without any, it can be finished. */
    public void opened(Lease lease, Slicing slicing) {
        Held held = held(lease);
        List<Piece> others = new ArrayList<>(held.pieces.subList(1, held.pieces.size()));
        List<Piece> before = List.copyOf(others);
        List<Piece> added = new ArrayList<>();
        List<JobEvent> events = held.job.opened(held.piece, slicing, others, added, now());
        if (!added.isEmpty()) {
            before.forEach(entities::remove);
            jdbc.sql("delete from slice_chunk where job_id = :id").param("id", lease.jobId()).update();
            entities.flush();
        }
        added.forEach(entities::persist);
        changed(held.job, events);
        admit(held.job.recipe().project());
    }

    /** A slice is measured; its statistics were stored under this lease before. Said twice, it counts once. */
    public void measured(Lease lease, String sha256, long bytes) {
        if (done(lease)) {
            return;
        }
        Held held = held(lease);
        changed(held.job, held.job.measured(held.piece, sha256, bytes, held.pieces, now()));
    }

    /** What is stored of a slice is damaged: it is measured again, and the job is finished after that. */
    public void damaged(Lease lease, int slicePiece, String why) {
        Held held = held(lease);
        changed(held.job, held.job.damaged(held.piece, held.pieces.get(slicePiece), why, now()));
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
        if (held.job.state() == JobState.CANCELLING) {
            throw new JobStateException(lease.jobId(), JobState.CANCELLING, "be tried again");
        }
        int failures = held.piece.failed();
        if (failures > settings.retries()) {
            changed(held.job, held.job.fail(error, held.pieces, now()));
            return Optional.empty();
        }
        Duration pause = settings.pause(failures);
        changed(held.job, held.job.tryAgain(held.piece, error, pause, held.pieces, now()));
        return Optional.of(now().plus(pause));
    }

    /** A worker of a cancelling job has stopped. */
    public void confirmCancelled(Lease lease) {
        Held held = held(lease);
        changed(held.job, held.job.stopped(held.piece, held.pieces, now()));
    }

    /**
     * Puts a piece back where it waits, because its worker shuts down.
     *
     * @throws JobStateException when the job is cancelling: then it is cancelled and not started again
     */
    public void release(Lease lease) {
        Held held = held(lease);
        if (held.job.state() == JobState.CANCELLING) {
            throw new JobStateException(lease.jobId(), JobState.CANCELLING, "be handed back");
        }
        changed(held.job, held.job.release(held.piece, held.pieces, now()));
    }

    /** Counts a write that was refused because its lease was lost. */
    public void rejected(Lease lease) {
        PruningJob job = locked(lease.jobId()).orElse(null);
        if (job != null) {
            jdbc.sql("update job_piece set rejected_writes = rejected_writes + 1 where job_id = :id and number = :number")
                    .param("id", lease.jobId()).param("number", lease.piece()).update();
            changed(job, job.rejected(lease, now()));
        }
    }

    /**
     * What nobody else does: lets pieces in that wait for their project's turn, makes waiting jobs older, forgets what was kept long enough.
     */
    public void keepHouse() {
        jdbc.sql("select distinct j.project from job_piece p join pruning_job j on j.id = p.job_id where p.state = 'ready'"
                + " and j.state in ('queued', 'running')").query(String.class).list().forEach(this::admit);
        jdbc.sql(
                """
                        update scheduled_tasks t set priority = least(32000, j.priority + floor(extract(epoch from (:now - j.created_at)) / :ageing))
                        from pruning_job j where t.task_name = :task and not t.picked and split_part(t.task_instance, '/', 1) = j.id""")
                .param("now", java.sql.Timestamp.from(now())).param("ageing", settings.ageing().toSeconds())
                .param("task", TASK.getTaskName()).update();
        forget("delete from slice_chunk c using pruning_job j where j.id = c.job_id and j.finished_at < :before", settings.keepSlices());
        if (settings.keepEvents().isPositive()) {
            forget("delete from job_event e using pruning_job j where j.id = e.job_id and j.finished_at < :before", settings.keepEvents());
        }
        if (settings.keepJobs().isPositive()) {
            forget("delete from pruning_job where finished_at < :before", settings.keepJobs());
        }
    }

    private void forget(String sql, Duration after) {
        jdbc.sql(sql).param("before", java.sql.Timestamp.from(now().minus(after))).update();
    }

    /** Lets ready pieces of a project into the queue, in the order of priority and age, as many as its cap leaves room for. */
    private void admit(String project) {
        int free = Integer.MAX_VALUE;
        if (settings.projectCap() > 0) {
            jdbc.sql("select pg_advisory_xact_lock(hashtextextended(:project, 11))").param("project", project).query((row, n) -> 1).list();
            free = settings.projectCap() - jdbc.sql("select count(*) from job_piece p join pruning_job j on j.id = p.job_id"
                    + " where j.project = :project and p.state in ('queued', 'running')").param("project", project).query(Integer.class)
                    .single();
        }
        if (free <= 0) {
            return;
        }
        record Admitted(String jobId, int number, int entry, int priority, java.time.OffsetDateTime createdAt) {}
        // why skip locked: whoever holds a piece admits it or needs it; waiting for him while holding a job would be a deadlock
        List<Admitted> admitted = jdbc.sql("""
                with next as (
                    select p.job_id, p.number, j.priority, j.created_at from job_piece p join pruning_job j on j.id = p.job_id
                    where j.project = :project and p.state = 'ready' and j.state in ('queued', 'running')
                    order by j.priority + floor(extract(epoch from (:now - j.created_at)) / :ageing) desc, j.id, p.number
                    limit :free for update of p skip locked)
                update job_piece p set state = 'queued', entry = p.entry + 1 from next
                where p.job_id = next.job_id and p.number = next.number
                returning p.job_id, p.number, p.entry, next.priority, next.created_at""")
                .param("project", project).param("now", java.sql.Timestamp.from(now())).param("ageing", settings.ageing().toSeconds())
                .param("free", free).query(Admitted.class).list();
        for (Admitted piece : admitted) {
            // why due since the order: the pieces of an older job come before those of a younger one
            queue.scheduleIfNotExists(TASK.instance(piece.jobId + "/" + piece.number + "/" + piece.entry).priority(piece.priority).build(),
                    piece.createdAt.toInstant());
        }
    }

    private record Held(PruningJob job, Piece piece, List<Piece> pieces) {}

    private Held held(Lease lease) {
        PruningJob job = locked(lease.jobId()).orElse(null);
        List<Piece> pieces = job == null ? List.of() : pieces(lease.jobId());
        Piece piece = lease.piece() < pieces.size() ? pieces.get(lease.piece()) : null;
        if (piece == null || piece.attempt() != lease.attempt() || !piece.is(Piece.State.RUNNING)) {
            throw new LeaseLostException(lease, job);
        }
        return new Held(job, piece, pieces);
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
        if (!events.isEmpty()) {
            admit(job.recipe().project());
        }
        return job;
    }

    private Instant now() {
        return clock.instant().truncatedTo(ChronoUnit.MICROS);
    }
}
