package io.espalier.catalog;

import java.time.Instant;

import jakarta.persistence.Entity;
import jakarta.persistence.Id;
import jakarta.persistence.Table;

/** A text with a name that jobs can use. */
@Entity
@Table(name = "corpus")
public class Corpus {

    @Id
    private String name;
    private String path;
    private Kind kind;
    private String description;
    private Instant createdAt;

    protected Corpus() {}

    Corpus(String name, String path, Kind kind, String description, Instant createdAt) {
        this.name = name;
        this.path = path;
        this.kind = kind;
        this.description = description;
        this.createdAt = createdAt;
    }

    public String name() {
        return name;
    }

    /** Absolute path of the file. */
    public String path() {
        return path;
    }

    public Kind kind() {
        return kind;
    }

    /** A sentence for a person. */
    public String description() {
        return description;
    }

    /** When it was registered, to the microsecond. */
    public Instant createdAt() {
        return createdAt;
    }
}
