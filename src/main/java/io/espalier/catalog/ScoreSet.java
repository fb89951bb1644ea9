package io.espalier.catalog;

import java.time.Instant;

import jakarta.persistence.Entity;
import jakarta.persistence.Id;
import jakarta.persistence.Table;

import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreSummary;
import org.hibernate.annotations.Immutable;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.type.SqlTypes;

/**
 * Scores of a model by one method: a safetensors file, kept in the database, and its summary. It stays for as long as a job refers to it, whether that
 * measured it or found it.
 */
@Entity
@Immutable
@Table(name = "score_set")
public class ScoreSet {

    @Id
    private String id;
    private String jobId;
    private String project;
    private Instant createdAt;
    private String sha256;
    private long bytes;
    @JdbcTypeCode(SqlTypes.JSON)
    private ScoreSummary summary;
    private String address;
    @JdbcTypeCode(SqlTypes.JSON)
    private ScoreOrigin origin;

    protected ScoreSet() {}

    ScoreSet(String id, String jobId, String project, Instant createdAt, String sha256, long bytes, ScoreSummary summary,
            ScoreOrigin origin) {
        this.id = id;
        this.jobId = jobId;
        this.project = project;
        this.createdAt = createdAt;
        this.sha256 = sha256;
        this.bytes = bytes;
        this.summary = summary;
        this.address = origin == null ? null : origin.address();
        this.origin = origin;
    }

    /** {@code scr_...}. */
    public String id() {
        return id;
    }

    /** The job that measured it; {@code null} when that was deleted. */
    public String jobId() {
        return jobId;
    }

    /** Whose it is: scores of the same address stand once in every project that measured them. */
    public String project() {
        return project;
    }

    /** To the microsecond. */
    public Instant createdAt() {
        return createdAt;
    }

    /** Of the safetensors file, hexadecimal. */
    public String sha256() {
        return sha256;
    }

    /** Length of the safetensors file. */
    public long bytes() {
        return bytes;
    }

    /** By layer and expert, without what one job's plan made of it. */
    public ScoreSummary summary() {
        return summary;
    }

    /** What the scores are a function of; {@code null} for a set of before that was said, which can only be downloaded. */
    public ScoreOrigin origin() {
        return origin;
    }
}
