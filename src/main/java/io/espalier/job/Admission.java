package io.espalier.job;

import java.sql.Timestamp;
import java.sql.Types;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.List;

import com.github.kagkarlsson.scheduler.SchedulerClient;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;

/**
 * Lets ready pieces into the queue: those of higher priority first, of equals the older job's, and of one project no more at once than its cap. A
 * waiting job counts as one priority higher after each {@link JobSettings#ageing}.
 */
@Component
class Admission {

    private static final String AGED = "j.priority + floor(extract(epoch from (:now - j.created_at)) / :ageing)";

    private static final String LOST = """
            p.state in ('queued', 'running') and not exists (select 1 from scheduled_tasks t where t.task_name = :task
                and t.task_instance = p.job_id || '/' || p.number || '/' || p.entry)""";

    private final JdbcClient jdbc;
    private final SchedulerClient queue;
    private final JobSettings settings;

    Admission(JdbcClient jdbc, SchedulerClient queue, JobSettings settings) {
        this.jdbc = jdbc;
        this.queue = queue;
        this.settings = settings;
    }

    /** Every project that has something ready. */
    void admitAll(Instant now) {
        jdbc.sql("select distinct j.project from job_piece p join pruning_job j on j.id = p.job_id where p.state = 'ready'"
                + " and j.state in ('queued', 'running')").query(String.class).list().forEach(project -> admit(project, null, now));
    }

    /** What a change of a job lets in: its own pieces, and, where its project has a cap, whatever there is room for now. */
    void admit(PruningJob job, Instant now) {
        // why not the project's in any case: who has no cap never waits for another job's change, and may have 100,000 pieces to look through
        admit(job.recipe().project(), settings.projectCap() > 0 ? null : job.id(), now);
    }

    /**
     * As many pieces of a project as its cap leaves room for.
     *
     * @param jobId only those of this job; {@code null}: of all
     */
    private void admit(String project, String jobId, Instant now) {
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
        record Admitted(String jobId, int number, int entry, int priority, OffsetDateTime createdAt) {}
        // why skip locked: whoever holds a piece admits it or needs it; waiting for him while holding a job would be a deadlock
        List<Admitted> admitted = jdbc
                .sql("""
                        with next as (
                            select p.job_id, p.number, j.priority, j.created_at from job_piece p join pruning_job j on j.id = p.job_id
                            where j.project = :project and %s p.state = 'ready' and j.state in ('queued', 'running')
                            order by %s desc, j.id, p.number
                            limit :free for update of p skip locked)
                        update job_piece p set state = 'queued', entry = p.entry + 1 from next
                        where p.job_id = next.job_id and p.number = next.number
                        returning p.job_id, p.number, p.entry, next.priority, next.created_at"""
                        .formatted(jobId == null ? "" : "p.job_id = :job and", AGED))
                .param("project", project).param("job", jobId, Types.VARCHAR).param("now", Timestamp.from(now))
                .param("ageing", settings.ageing().toSeconds())
                .param("free", free).query(Admitted.class).list();
        for (Admitted piece : admitted) {
            // why due since the order: the pieces of an older job come before those of a younger one
            queue.scheduleIfNotExists(
                    PruningJobs.TASK.instance(piece.jobId + "/" + piece.number + "/" + piece.entry).priority(piece.priority).build(),
                    piece.createdAt.toInstant());
        }
    }

    /** Raises what waits in the queue by what its job has aged. */
    void age(Instant now) {
        jdbc.sql("""
                update scheduled_tasks t set priority = least(32000, %1$s) from pruning_job j
                where t.task_name = :task and not t.picked and split_part(t.task_instance, '/', 1) = j.id
                  and t.priority is distinct from least(32000, %1$s)""".formatted(AGED))
                .param("now", Timestamp.from(now)).param("ageing", settings.ageing().toSeconds())
                .param("task", PruningJobs.TASK.getTaskName()).update();
    }

    /** Numbers of a job's pieces that should have an entry in the queue and have none. */
    List<Integer> withoutEntry(String jobId) {
        return jdbc.sql("select number from job_piece p where job_id = :id and " + LOST).param("id", jobId)
                .param("task", PruningJobs.TASK.getTaskName()).query(Integer.class).list();
    }

    /** Jobs whose rows contradict each other, as they do after somebody edited or deleted some by hand. */
    List<String> contradictory() {
        return jdbc.sql("""
                select j.id from pruning_job j where j.state in ('queued', 'running') and (
                    not exists (select 1 from job_piece p where p.job_id = j.id and p.state in ('ready', 'queued', 'running'))
                    or j.state = 'queued' and exists (select 1 from job_piece p where p.job_id = j.id and p.state = 'running'))
                union
                select j.id from pruning_job j where j.state = 'cancelling'
                    and not exists (select 1 from job_piece p where p.job_id = j.id and p.state = 'running')
                union
                select j.id from job_piece p join pruning_job j on j.id = p.job_id where p.state in ('ready', 'queued', 'running')
                    and (j.state in ('paused', 'cancelled', 'succeeded', 'failed') or %s)""".formatted(LOST))
                .param("task", PruningJobs.TASK.getTaskName()).query(String.class).list();
    }

}
