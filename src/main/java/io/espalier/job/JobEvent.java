package io.espalier.job;

import java.time.Instant;
import java.util.Map;

import jakarta.persistence.Embeddable;
import jakarta.persistence.EmbeddedId;
import jakarta.persistence.Entity;
import jakarta.persistence.Table;

import org.hibernate.annotations.Immutable;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.type.SqlTypes;

/** One line of a job's history. Lines are only ever added; their numbers have no gaps. */
@Entity
@Immutable
@Table(name = "job_event")
public class JobEvent {

    /**
     * @param jobId whose
     * @param seq 1, 2, 3, ... within the job
     */
    @Embeddable
    record Key(String jobId, long seq) {}

    @EmbeddedId
    private Key key;
    private Instant at;
    private String type;
    private String message;
    @JdbcTypeCode(SqlTypes.JSON)
    private Map<String, Object> data;

    protected JobEvent() {}

    JobEvent(String jobId, long seq, Instant at, String type, String message, Map<String, Object> data) {
        this.key = new Key(jobId, seq);
        this.at = at;
        this.type = type;
        this.message = message;
        this.data = data;
    }

    public String jobId() {
        return key.jobId();
    }

    /** 1, 2, 3, ... within the job. */
    public long seq() {
        return key.seq();
    }

    /** To the microsecond. */
    public Instant at() {
        return at;
    }

    /** A stable word: a state ({@code running}), {@code phase_started}, {@code phase_finished}, or what the run noted ({@code experts_unrouted}). */
    public String type() {
        return type;
    }

    /** A sentence for a person. */
    public String message() {
        return message;
    }

    /** The figures in the sentence; empty when there are none. */
    public Map<String, Object> data() {
        return data;
    }
}
