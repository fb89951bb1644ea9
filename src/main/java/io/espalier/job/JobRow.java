package io.espalier.job;

import java.time.Instant;
import java.util.List;

import jakarta.persistence.Column;
import jakarta.persistence.Embedded;
import jakarta.persistence.Id;
import jakarta.persistence.MappedSuperclass;
import jakarta.persistence.Version;

import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Slicing;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.type.SqlTypes;

/** What is stored of a job, and how it reads. Changed by the verbs of {@link PruningJob} only. */
@MappedSuperclass
abstract class JobRow {

    @Id
    String id;
    @Column(updatable = false)
    Instant createdAt;
    Instant startedAt;
    Instant finishedAt;
    JobState state;
    @Column(updatable = false)
    @JdbcTypeCode(SqlTypes.JSON)
    private PruningRecipe recipe;
    @Column(insertable = false, updatable = false)
    private String project;
    @Column(updatable = false)
    @JdbcTypeCode(SqlTypes.JSON)
    private ResolvedInputs inputs;
    int attempt;
    @JdbcTypeCode(SqlTypes.JSON)
    Slicing slicing;
    Integer slices;
    int slicesDone;
    @Embedded
    JobProgress progress = JobProgress.NONE;
    @JdbcTypeCode(SqlTypes.JSON)
    List<PhaseTimes> phases = List.of();
    @JdbcTypeCode(SqlTypes.JSON)
    PruningResult result;
    @JdbcTypeCode(SqlTypes.JSON)
    JobError error;
    String artifactId;
    @JdbcTypeCode(SqlTypes.JSON)
    List<String> deletedArtifacts = List.of();
    String scoreSetId;
    long lastEvent;
    @Version
    private long version;

    JobRow() {}

    JobRow(String id, PruningRecipe recipe, ResolvedInputs inputs, Instant now) {
        this.id = id;
        this.recipe = recipe;
        this.inputs = inputs;
        this.createdAt = now;
        this.state = JobState.QUEUED;
        this.scoreSetId = recipe.scoreSet();
    }

    /** {@code job_} and 26 characters that sort by the time of the order. */
    public String id() {
        return id;
    }

    /** To the microsecond, like every time here. */
    public Instant createdAt() {
        return createdAt;
    }

    /** When a worker first took it; {@code null} before. */
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

    /** How often a piece of it was claimed; 0 before the first time. */
    public int attempt() {
        return attempt;
    }

    /** How the calibration set is cut; {@code null} until the job was opened. */
    public Slicing slicing() {
        return slicing;
    }

    /** Slices of the calibration set; {@code null} until the job was opened, 0 when its method sees no tokens. */
    public Integer slices() {
        return slices;
    }

    /** Slices that are measured. */
    public int slicesDone() {
        return slicesDone;
    }

    public JobProgress progress() {
        return progress;
    }

    /** Those that were entered, in order; one that was begun anew has its last times. */
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

    /** Ids of those of its artifacts that were deleted. */
    public List<String> deletedArtifacts() {
        return deletedArtifacts;
    }

    /** What it measured, once it has succeeded; what it found and uses, from then on; {@code null} before. */
    public String scoreSetId() {
        return scoreSetId;
    }

    /** Number of the last event of its history. */
    public long lastEvent() {
        return lastEvent;
    }

    /** Whether it uses scores that were measured before. */
    public boolean scoresReused() {
        return recipe.scoreSet() != null || slicing != null && slicing.scoreSet() != null;
    }

    /** Grows with every change of the row. */
    public long version() {
        return version;
    }
}
