package io.espalier.job;

import java.time.Instant;
import java.util.List;
import java.util.Optional;

import jakarta.persistence.EntityManager;
import jakarta.persistence.TypedQuery;

import com.github.kagkarlsson.scheduler.task.TaskDescriptor;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ResolvedInputs;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/**
 * All pruning jobs, as whoever orders them sees them: ordered, stopped and started again, looked up and listed. What workers do is said in {@link Leases} and
 * {@link PieceReports}.
 */
@Component
@Transactional
public class PruningJobs {

    /** The queue's entries: an instance id names the job, the piece, and which entry of it this is. */
    public static final TaskDescriptor<Void> TASK = TaskDescriptor.of("job_piece");

    private final JobLedger ledger;
    private final EntityManager entities;
    private final JdbcClient jdbc;
    private final IdempotencyKeys keys;
    private final JobRecords records;
    private final Ulids ulids = new Ulids();

    PruningJobs(JobLedger ledger, EntityManager entities, JdbcClient jdbc, IdempotencyKeys keys, JobRecords records) {
        this.ledger = ledger;
        this.entities = entities;
        this.jdbc = jdbc;
        this.keys = keys;
        this.records = records;
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
        Instant now = ledger.now();
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
        ledger.changed(job, events);
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
        PruningJob job = ledger.known(id);
        return ledger.changed(job, job.cancel(ledger.pieces(id), ledger.now()));
    }

    /** Stops a job until it is resumed. Finished slices are kept; the piece at work is begun anew. */
    public PruningJob pause(String id) {
        PruningJob job = ledger.known(id);
        return ledger.changed(job, job.pause(ledger.pieces(id), ledger.now()));
    }

    /** Lets a paused job go on, from its last finished slice. */
    public PruningJob resume(String id) {
        PruningJob job = ledger.known(id);
        return ledger.changed(job, job.resume(ledger.pieces(id), ledger.now()));
    }

    /** Tries a failed or cancelled job again, from its last finished slice. */
    public PruningJob retry(String id) {
        PruningJob job = ledger.known(id);
        return ledger.changed(job, job.retry(ledger.pieces(id), ledger.now()));
    }

    /** Deletes a job that has ended, with its history and everything it produced but the files of its artifact: those are nobody's then. */
    public void delete(String id) {
        PruningJob job = ledger.known(id);
        if (!job.state().terminal()) {
            throw new JobStateException(id, job.state(), "be deleted, only cancelled");
        }
        jdbc.sql("delete from pruning_job where id = :id").param("id", id).update();
        entities.clear();
    }

    /** Says in a job that one of its artifacts is deleted, in the caller's transaction. */
    public void artifactDeleted(String id, String artifactId) {
        PruningJob job = ledger.known(id);
        ledger.changed(job, job.artifactDeleted(artifactId, ledger.now()));
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
}
