package io.espalier.catalog;

import java.time.Instant;

import jakarta.persistence.Entity;
import jakarta.persistence.Id;
import jakarta.persistence.Table;

import io.espalier.recipe.ScoreSummary;
import org.hibernate.annotations.Immutable;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.type.SqlTypes;

/** The scores of one run: a safetensors file, kept in the database, and its summary. */
@Entity
@Immutable
@Table(name = "score_set")
public class ScoreSet {

    @Id
    private String id;
    private String jobId;
    private Instant createdAt;
    private String sha256;
    private long bytes;
    @JdbcTypeCode(SqlTypes.JSON)
    private ScoreSummary summary;

    protected ScoreSet() {}

    ScoreSet(String id, String jobId, Instant createdAt, String sha256, long bytes, ScoreSummary summary) {
        this.id = id;
        this.jobId = jobId;
        this.createdAt = createdAt;
        this.sha256 = sha256;
        this.bytes = bytes;
        this.summary = summary;
    }

    /** {@code scr_...}. */
    public String id() {
        return id;
    }

    /** The job that measured it. */
    public String jobId() {
        return jobId;
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

    public ScoreSummary summary() {
        return summary;
    }
}
