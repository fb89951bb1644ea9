package io.espalier.job;

import java.time.Instant;
import java.util.Locale;

import jakarta.persistence.AttributeConverter;
import jakarta.persistence.Converter;
import jakarta.persistence.Embeddable;
import jakarta.persistence.EmbeddedId;
import jakarta.persistence.Entity;
import jakarta.persistence.Table;

import com.fasterxml.jackson.annotation.JsonValue;

/**
 * What one worker does of a job in one go: open it, measure one slice of its calibration set, or finish it. Changed by {@link PruningJob} only, whose row
 * is locked by then.
 */
@Entity
@Table(name = "job_piece")
public class Piece {

    /** What is done. */
    public enum Kind {
        /** Opens model and texts, decides how the calibration set is cut. Comes first. */
        OPEN,
        /** Measures one slice. */
        SLICE,
        /** Merges the slices, scores, plans, cuts, checks, publishes. Comes last. */
        FINISH;

        /** As it travels and is stored: {@code slice}. */
        @JsonValue
        public String json() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Where it stands. */
    public enum State {
        /** Others come first. */
        BLOCKED,
        /** Could be done; waits to be let into the queue. */
        READY,
        /** In the queue. */
        QUEUED, RUNNING, DONE;

        /** As it travels and is stored: {@code queued}. */
        @JsonValue
        public String json() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * @param jobId whose
     * @param number 0 opens, 1 to n are the slices, n + 1 finishes
     */
    @Embeddable
    record Key(String jobId, int number) {}

    @EmbeddedId
    private Key key;
    private Kind kind;
    private State state;
    private int entry;
    private int attempt;
    private int tries;
    private int lostWorkers;
    private int failures;
    private long rejectedWrites;
    private String worker;
    private String device;
    private Instant startedAt;
    private Instant finishedAt;
    private double percent;
    private Double tokensPerSecond;
    private String sha256;
    private Long bytes;

    protected Piece() {}

    Piece(String jobId, int number, Kind kind) {
        this.key = new Key(jobId, number);
        this.kind = kind;
        this.state = kind == Kind.OPEN ? State.READY : State.BLOCKED;
    }

    void ready() {
        state = State.READY;
        sha256 = null;
        bytes = null;
        finishedAt = null;
        percent = 0;
        tokensPerSecond = null;
    }

    /** Somebody ordered to go on: what went wrong before no longer counts. */
    void forgiven() {
        lostWorkers = 0;
        failures = 0;
    }

    void blocked() {
        ready();
        state = State.BLOCKED;
    }

    /** Holds nothing any more and waits in the queue with the entry it has. */
    void back() {
        ready();
        state = State.QUEUED;
    }

    void claimed(int token, String byWorker, String onDevice, Instant now) {
        ready();
        state = State.RUNNING;
        attempt = token;
        tries++;
        worker = byWorker;
        device = onDevice;
        startedAt = now;
    }

    void workerLost() {
        lostWorkers++;
    }

    int failed() {
        return ++failures;
    }

    void done(String sum, Long size, Instant now) {
        state = State.DONE;
        sha256 = sum;
        bytes = size;
        finishedAt = now;
        percent = 100;
        tokensPerSecond = null;
        failures = 0;
    }

    boolean is(State asked) {
        return state == asked;
    }

    /** Given to somebody: in the queue or at work. */
    int entry() {
        return entry;
    }

    /** As a person would name it: {@code slice 3 of 8}. */
    String words(Integer slices) {
        return switch (kind) {
            case OPEN -> "opening";
            case SLICE -> "slice " + key.number() + " of " + slices;
            case FINISH -> "finishing";
        };
    }

    public String jobId() {
        return key.jobId();
    }

    /** 0 opens, 1 to n are the slices, n + 1 finishes. */
    public int number() {
        return key.number();
    }

    public Kind kind() {
        return kind;
    }

    public State state() {
        return state;
    }

    /** The fencing token of the last claim; 0 before the first. */
    public int attempt() {
        return attempt;
    }

    /** How often it was claimed. */
    public int tries() {
        return tries;
    }

    /** How many workers were lost over it since the job was last ordered to run. */
    public int lostWorkers() {
        return lostWorkers;
    }

    /** How many writes of workers that no longer held it were refused. */
    public long rejectedWrites() {
        return rejectedWrites;
    }

    /** The process that holds or held it last, or {@code null}. */
    public String worker() {
        return worker;
    }

    /** {@code cpu}, {@code gpu:0}, or {@code null}. */
    public String device() {
        return device;
    }

    /** When it was claimed last, or {@code null}. */
    public Instant startedAt() {
        return startedAt;
    }

    /** {@code null} until it is done. */
    public Instant finishedAt() {
        return finishedAt;
    }

    /** Of the whole run, 0 to 100, as its worker told last. */
    public double percent() {
        return percent;
    }

    /** {@code null} where no token moves. */
    public Double tokensPerSecond() {
        return tokensPerSecond;
    }

    /** SHA-256 of a finished slice's statistics, or {@code null}. */
    public String sha256() {
        return sha256;
    }

    /** Bytes of a finished slice's statistics, or {@code null}. */
    public Long bytes() {
        return bytes;
    }

    @Converter(autoApply = true)
    static class KindColumn implements AttributeConverter<Kind, String> {
        @Override
        public String convertToDatabaseColumn(Kind kind) {
            return kind == null ? null : kind.json();
        }

        @Override
        public Kind convertToEntityAttribute(String text) {
            return text == null ? null : Kind.valueOf(text.toUpperCase(Locale.ROOT));
        }
    }

    @Converter(autoApply = true)
    static class StateColumn implements AttributeConverter<State, String> {
        @Override
        public String convertToDatabaseColumn(State state) {
            return state == null ? null : state.json();
        }

        @Override
        public State convertToEntityAttribute(String text) {
            return text == null ? null : State.valueOf(text.toUpperCase(Locale.ROOT));
        }
    }
}
