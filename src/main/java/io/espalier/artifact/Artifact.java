package io.espalier.artifact;

import java.time.Instant;
import java.util.List;

import jakarta.persistence.CollectionTable;
import jakarta.persistence.ElementCollection;
import jakarta.persistence.Entity;
import jakarta.persistence.FetchType;
import jakarta.persistence.Id;
import jakarta.persistence.JoinColumn;
import jakarta.persistence.OrderBy;
import jakarta.persistence.Table;

import org.hibernate.annotations.Formula;
import org.hibernate.annotations.Immutable;

/** A pruned model, finished: a directory of files that never change. */
@Entity
@Immutable
@Table(name = "artifact")
public class Artifact {

    @Id
    private String id;
    private String jobId;
    @Formula("(select j.project from pruning_job j where j.id = job_id)")
    private String project;
    private Instant createdAt;
    private String digest;
    private long bytes;
    @ElementCollection(fetch = FetchType.EAGER)
    @CollectionTable(name = "artifact_file", joinColumns = @JoinColumn(name = "artifact_id"))
    @OrderBy("name")
    private List<ArtifactFile> files;

    protected Artifact() {}

    Artifact(String id, String jobId, Instant createdAt, String digest, List<ArtifactFile> files) {
        this.id = id;
        this.jobId = jobId;
        this.createdAt = createdAt;
        this.digest = digest;
        this.files = List.copyOf(files);
        this.bytes = files.stream().mapToLong(ArtifactFile::bytes).sum();
    }

    /** {@code art_...}. */
    public String id() {
        return id;
    }

    /** The job that made it. */
    public String jobId() {
        return jobId;
    }

    /** To the microsecond. */
    public Instant createdAt() {
        return createdAt;
    }

    /** SHA-256 of the list of all files and their digests, hexadecimal: two artifacts with the same digest hold the same bytes. */
    public String digest() {
        return digest;
    }

    /** Of all files. */
    public long bytes() {
        return bytes;
    }

    /** By name. */
    public List<ArtifactFile> files() {
        return files;
    }
}
