package io.espalier.job;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import jakarta.persistence.EntityManager;
import jakarta.persistence.LockModeType;
import jakarta.persistence.TypedQuery;

import com.github.kagkarlsson.scheduler.SchedulerClient;
import com.github.kagkarlsson.scheduler.task.TaskDescriptor;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.ResolvedInputs;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/**
 * All pruning jobs, and the queue they wait in. Every change locks the job's row, so that events are numbered without gaps; every change by a worker
 * shows its {@link Lease} and changes nothing when that is no longer good.
 */
@Component
@Transactional
public class PruningJobs {

    /** The queue's entry for a job: its instance id is the job's id. */
    public static final TaskDescriptor<Void> TASK = TaskDescriptor.of("pruning_job");

    private final EntityManager entities;
    private final JdbcClient jdbc;
    private final SchedulerClient queue;
    private final Clock clock;
    private final Ulids ulids = new Ulids();

    PruningJobs(EntityManager entities, JdbcClient jdbc, SchedulerClient queue, Clock clock) {
        this.entities = entities;
        this.jdbc = jdbc;
        this.queue = queue;
        this.clock = clock;
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
        record(events);
        entities.flush();
        queue.scheduleIfNotExists(TASK.instance(job.id()).build(), now);
        return job;
    }

    @Transactional(readOnly = true)
    public Optional<PruningJob> find(String id) {
        return Optional.ofNullable(entities.find(PruningJob.class, id));
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
     * Asks a job to stop: a queued one is cancelled at once, a running one is cancelling until its worker has stopped, a cancelling one stays so.
     *
     * @throws NoSuchJobException when there is none with this id
     * @throws JobStateException when it has ended
     */
    public PruningJob cancel(String id) {
        PruningJob job = locked(id).orElseThrow(() -> new NoSuchJobException(id));
        // why: the queue's entry stays; a worker that picks it finds a cancelled job and drops it
        record(job.cancel(now()));
        return job;
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
     * Takes a job that the queue handed out. Whatever held it before is over.
     *
     * @param worker the process, for people
     * @param device what it will run on
     * @return empty when there is nothing to do: it has ended, or was to be cancelled and its worker died
     */
    public Optional<Lease> claim(String id, String worker, String device) {
        PruningJob job = locked(id).orElse(null);
        if (job == null || job.state().terminal()) {
            return Optional.empty();
        }
        if (job.state() == JobState.CANCELLING) {
            record(job.confirmCancelled(now()));
            return Optional.empty();
        }
        record(job.claim(worker, device, now()));
        return Optional.of(new Lease(id, job.attempt(), job.recipe(), job.inputs(), job.startedAt()));
    }

    /** Whether this attempt of this job still is somebody's work. */
    @Transactional(readOnly = true)
    public boolean holds(String id, int attempt) {
        return find(id).filter(job -> job.attempt() == attempt && holds(job)).isPresent();
    }

    /** Whether the attempt that an artifact id was made for may still record it. */
    @Transactional(readOnly = true)
    public boolean mayPublish(String artifactId) {
        return Lease.jobOf(artifactId)
                .filter(id -> find(id).filter(job -> holds(job) && Lease.attemptOf(artifactId) == job.attempt()).isPresent())
                .isPresent();
    }

    /**
     * Stores how far a run is, in one statement.
     *
     * @return whether to go on: {@code false} when the job is cancelling
     * @throws LeaseLostException when the lease is no longer good
     */
    public boolean progress(Lease lease, Progress.Tick tick) {
        Long eta = JobProgress.eta(tick.percent(), Duration.between(lease.startedAt(), now()));
        return jdbc
                .sql("""
                        update pruning_job set percent = greatest(percent, least(100, :percent)), layer = :layer, layers = coalesce(:layers, layers),
                            tokens_per_second = :tokens, eta_seconds = :eta, version = version + 1
                        where id = :id and attempt = :attempt and state in ('running', 'cancelling') returning state""")
                .param("percent", tick.percent()).param("layer", tick.layer(), java.sql.Types.INTEGER)
                .param("layers", tick.layers(), java.sql.Types.INTEGER).param("tokens", tick.tokensPerSecond(), java.sql.Types.DOUBLE)
                .param("eta", eta, java.sql.Types.BIGINT).param("id", lease.jobId()).param("attempt", lease.attempt())
                .query(String.class).optional()
                .map(JobState.RUNNING.json()::equals)
                .orElseThrow(() -> new LeaseLostException(lease, find(lease.jobId()).orElse(null)));
    }

    /**
     * The run goes into a phase.
     *
     * @throws LeaseLostException when the lease is no longer good; so does every verb below
     */
    public void enter(Lease lease, Phase phase) {
        record(held(lease).enter(phase, now()));
    }

    /**
     * Writes a line into the job's history.
     *
     * @param type a stable word
     * @param message a sentence for a person
     * @param data the figures in it, JSON values only
     */
    public void note(Lease lease, String type, String message, Map<String, Object> data) {
        record(held(lease).note(type, message, data, now()));
    }

    /**
     * Ends the job well. What it refers to was inserted before, in the same transaction.
     *
     * @throws JobStateException when it is cancelling: a cancel beats a success that comes later
     */
    public void succeed(Lease lease, PruningResult result, String artifactId, String scoreSetId) {
        record(held(lease).succeed(result, artifactId, scoreSetId, now()));
    }

    /**
     * Ends the job with a reason.
     *
     * @throws JobStateException when it is cancelling: a cancel beats a failure that comes later
     */
    public void fail(Lease lease, JobError error) {
        record(held(lease).fail(error, now()));
    }

    /** Ends a cancelling job: its worker has stopped. */
    public void confirmCancelled(Lease lease) {
        record(held(lease).confirmCancelled(now()));
    }

    /**
     * Puts a running job back where it waits, because its worker shuts down.
     *
     * @throws JobStateException when it is cancelling: then it is cancelled and not started again
     */
    public void release(Lease lease) {
        record(held(lease).release(now()));
    }

    private Optional<PruningJob> locked(String id) {
        return Optional.ofNullable(entities.find(PruningJob.class, id, LockModeType.PESSIMISTIC_WRITE));
    }

    private PruningJob held(Lease lease) {
        PruningJob job = locked(lease.jobId()).orElse(null);
        if (job == null || job.attempt() != lease.attempt() || !holds(job)) {
            throw new LeaseLostException(lease, job);
        }
        return job;
    }

    private static boolean holds(PruningJob job) {
        return job.state() == JobState.RUNNING || job.state() == JobState.CANCELLING;
    }

    private void record(List<JobEvent> events) {
        events.forEach(entities::persist);
    }

    private Instant now() {
        return clock.instant().truncatedTo(ChronoUnit.MICROS);
    }
}
