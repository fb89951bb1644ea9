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

import org.hibernate.annotations.BatchSize;
import org.hibernate.annotations.Formula;
import org.hibernate.annotations.Immutable;

/** A pruned model, finished: files that never change, until they are deleted together. */
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
    private String store;
    private String location;
    private Instant deletedAt;
    private Instant goneAt;
    @ElementCollection(fetch = FetchType.EAGER)
    @CollectionTable(name = "artifact_file", joinColumns = @JoinColumn(name = "artifact_id"))
    @OrderBy("name")
    @BatchSize(size = 200)
    private List<ArtifactFile> files;

    protected Artifact() {}

    Artifact(String id, String jobId, Instant createdAt, String digest, String location, List<ArtifactFile> files) {
        this.id = id;
        this.jobId = jobId;
        this.createdAt = createdAt;
        this.digest = digest;
        this.store = location == null ? "files" : "s3";
        this.location = location;
        this.files = List.copyOf(files);
        this.bytes = files.stream().mapToLong(ArtifactFile::bytes).sum();
    }

    /** The same, as if it had never been stored. */
    Artifact copy() {
        return new Artifact(id, jobId, createdAt, digest, location, files);
    }

    /** {@code art_...}. */
    public String id() {
        return id;
    }

    /** The job that made it. */
    public String jobId() {
        return jobId;
    }

    /** The job's; {@code null} before it is recorded. */
    public String project() {
        return project;
    }

    /** To the microsecond. */
    public Instant createdAt() {
        return createdAt;
    }

    /** SHA-256 of the list of all files and their digests, hexadecimal: two artifacts with the same digest hold the same model. */
    public String digest() {
        return digest;
    }

    /** Of all files. */
    public long bytes() {
        return bytes;
    }

    /** {@code files} or {@code s3}. */
    public String store() {
        return store;
    }

    /** {@code s3://bucket/prefix/}; {@code null} in the file system. */
    String location() {
        return location;
    }

    /** {@code null} while it is there. */
    public Instant deletedAt() {
        return deletedAt;
    }

    /** By name. */
    public List<ArtifactFile> files() {
        return files;
    }
}
