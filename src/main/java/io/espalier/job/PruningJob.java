package io.espalier.job;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import jakarta.persistence.Embedded;
import jakarta.persistence.Entity;
import jakarta.persistence.Id;
import jakarta.persistence.Table;
import jakarta.persistence.Version;

import io.espalier.recipe.Phase;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.ResolvedInputs;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.type.SqlTypes;

/**
 * An order being carried out. Its verbs check, change, and answer the events that record the change; they refuse by naming the current state. They
 * are called by {@link PruningJobs} only, on a row that it has locked.
 */
@Entity
@Table(name = "pruning_job")
public class PruningJob {

    static final String ID_PREFIX = "job_";

    @Id
    private String id;
    private Instant createdAt;
    private Instant startedAt;
    private Instant finishedAt;
    private JobState state;
    @JdbcTypeCode(SqlTypes.JSON)
    private PruningRecipe recipe;
    @JdbcTypeCode(SqlTypes.JSON)
    private ResolvedInputs inputs;
    private int attempt;
    private String worker;
    private String device;
    @Embedded
    private JobProgress progress = JobProgress.NONE;
    @JdbcTypeCode(SqlTypes.JSON)
    private List<PhaseTimes> phases = List.of();
    @JdbcTypeCode(SqlTypes.JSON)
    private PruningResult result;
    @JdbcTypeCode(SqlTypes.JSON)
    private JobError error;
    private String artifactId;
    private String scoreSetId;
    private long lastEvent;
    @Version
    private long version;

    protected PruningJob() {}

    PruningJob(String id, PruningRecipe recipe, ResolvedInputs inputs, Instant now) {
        this.id = id;
        this.recipe = recipe;
        this.inputs = inputs;
        this.createdAt = now;
        this.state = JobState.QUEUED;
    }

    List<JobEvent> submitted() {
        return List.of(event(createdAt, state.json(), "Waiting for a device", Map.of()));
    }

    /** A worker takes the job: for the first time, after another handed it back, or from one that died. */
    List<JobEvent> claim(String byWorker, String onDevice, Instant now) {
        boolean rescued = state == JobState.RUNNING;
        become(JobState.RUNNING, "be claimed");
        attempt++;
        worker = byWorker;
        device = onDevice;
        startedAt = now;
        progress = JobProgress.NONE;
        phases = List.of();
        String from = rescued ? ", because the worker of the attempt before was lost" : "";
        return List.of(event(now, state.json(), "Attempt " + attempt + " runs on " + onDevice + from,
                Map.of("attempt", attempt, "worker", byWorker, "device", onDevice)));
    }

    /** The run goes into a phase; the one before is finished. */
    List<JobEvent> enter(Phase phase, Instant now) {
        List<JobEvent> events = finishPhase(now);
        List<PhaseTimes> times = new ArrayList<>(phases);
        times.add(new PhaseTimes(phase, now, null));
        phases = List.copyOf(times);
        progress = progress.at(phase);
        String word = PhaseColumn.word(phase);
        events.add(event(now, "phase_started", "Phase " + word + " started", Map.of("phase", word)));
        return events;
    }

    List<JobEvent> note(String type, String message, Map<String, Object> data, Instant now) {
        return List.of(event(now, type, message, data));
    }

    List<JobEvent> succeed(PruningResult outcome, String artifact, String scoreSet, Instant now) {
        become(JobState.SUCCEEDED, "succeed");
        List<JobEvent> events = finishPhase(now);
        result = outcome;
        artifactId = artifact;
        scoreSetId = scoreSet;
        end(true, now);
        events.add(event(now, state.json(), "Published as " + artifact, Map.of("artifact_id", artifact, "score_set_id", scoreSet)));
        return events;
    }

    List<JobEvent> fail(JobError why, Instant now) {
        become(JobState.FAILED, "fail");
        error = why;
        end(false, now);
        return List.of(event(now, state.json(), why.message(), Map.of("code", why.code())));
    }

    /** Asks the job to stop. A queued one has stopped at once; a running one stops when its worker hears of it; asking again changes nothing. */
    List<JobEvent> cancel(Instant now) {
        switch (state) {
            case QUEUED -> {
                become(JobState.CANCELLED, "be cancelled");
                end(false, now);
                return List.of(event(now, state.json(), "Cancelled before it started", Map.of()));
            }
            case CANCELLING -> {
                return List.of();
            }
            case RUNNING, CANCELLED, SUCCEEDED, FAILED -> {
                become(JobState.CANCELLING, "be cancelled");
                return List.of(event(now, state.json(), "Asked to stop", Map.of()));
            }
        }
        throw new AssertionError(state);
    }

    /** The worker has stopped, or is known to be dead. */
    List<JobEvent> confirmCancelled(Instant now) {
        become(JobState.CANCELLED, "be confirmed as cancelled");
        end(false, now);
        return List.of(event(now, state.json(), "Stopped, nothing was published", Map.of()));
    }

    /** The worker shuts down and hands the job back. */
    List<JobEvent> release(Instant now) {
        become(JobState.QUEUED, "be handed back");
        worker = null;
        device = null;
        startedAt = null;
        progress = JobProgress.NONE;
        phases = List.of();
        return List.of(event(now, state.json(), "Handed back by attempt " + attempt + ", because its worker shuts down; it starts again",
                Map.of("attempt", attempt)));
    }

    private void become(JobState next, String verb) {
        if (!state.mayBecome(next)) {
            throw new JobStateException(id, state, verb);
        }
        state = next;
    }

    private void end(boolean whole, Instant now) {
        finishedAt = now;
        progress = progress.ended(whole);
    }

    private List<JobEvent> finishPhase(Instant now) {
        List<JobEvent> events = new ArrayList<>();
        if (!phases.isEmpty()) {
            List<PhaseTimes> times = new ArrayList<>(phases);
            PhaseTimes last = times.removeLast().finished(now);
            times.add(last);
            phases = List.copyOf(times);
            String word = PhaseColumn.word(last.phase());
            long millis = java.time.Duration.between(last.startedAt(), now).toMillis();
            events.add(event(now, "phase_finished", "Phase " + word + " took " + millis + " ms", Map.of("phase", word, "millis", millis)));
        }
        return events;
    }

    private JobEvent event(Instant at, String type, String message, Map<String, Object> data) {
        return new JobEvent(id, ++lastEvent, at, type, message, data);
    }

    /** {@code job_} and 26 characters that sort by the time of the order. */
    public String id() {
        return id;
    }

    /** To the microsecond, like every time here. */
    public Instant createdAt() {
        return createdAt;
    }

    /** When the current attempt was claimed; {@code null} while the job waits. */
    public Instant startedAt() {
        return startedAt;
    }

    /** {@code null} until the state is terminal. */
    public Instant finishedAt() {
        return finishedAt;
    }

    public JobState state() {
        return state;
    }

    /** The order as posted. */
    public PruningRecipe recipe() {
        return recipe;
    }

    public ResolvedInputs inputs() {
        return inputs;
    }

    /** How often the job was claimed; 0 before the first time. */
    public int attempt() {
        return attempt;
    }

    /** The process that holds or held it, or {@code null}. */
    public String worker() {
        return worker;
    }

    /** {@code cpu}, {@code gpu:0}, or {@code null}. */
    public String device() {
        return device;
    }

    public JobProgress progress() {
        return progress;
    }

    /** Those the current attempt has entered, in order. */
    public List<PhaseTimes> phases() {
        return phases;
    }

    /** {@code null} unless the job succeeded. */
    public PruningResult result() {
        return result;
    }

    /** {@code null} unless the job failed. */
    public JobError error() {
        return error;
    }

    /** {@code null} unless the job succeeded. */
    public String artifactId() {
        return artifactId;
    }

    /** {@code null} unless the job succeeded. */
    public String scoreSetId() {
        return scoreSetId;
    }

    /** Grows with every change of the row. */
    public long version() {
        return version;
    }
}
