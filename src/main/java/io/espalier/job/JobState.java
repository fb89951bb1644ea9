package io.espalier.job;

import java.util.Locale;

import jakarta.persistence.AttributeConverter;
import jakarta.persistence.Converter;

import com.fasterxml.jackson.annotation.JsonValue;

/** Where a job stands. The list may grow: clients look at {@link #terminal()}, not at the last of these words. */
public enum JobState {
    /** Waits for a device. */
    QUEUED,
    /** A worker holds it. */
    RUNNING,
    /** Was asked to stop while a worker holds it; nothing but {@link #CANCELLED} comes after. */
    CANCELLING, CANCELLED, SUCCEEDED, FAILED;

    /** Whether nothing comes after. */
    public boolean terminal() {
        return switch (this) {
            case QUEUED, RUNNING, CANCELLING -> false;
            case CANCELLED, SUCCEEDED, FAILED -> true;
        };
    }

    /** As it travels and is stored: {@code queued}. */
    @JsonValue
    public String json() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** The whole life of a job. The trigger {@code pruning_job_transition} holds the database to the same table. */
    boolean mayBecome(JobState next) {
        return switch (this) {
            case QUEUED -> next == RUNNING || next == CANCELLED;
            // to RUNNING: rescued from a dead worker; to QUEUED: handed back by one that shuts down
            case RUNNING -> next == RUNNING || next == QUEUED || next == CANCELLING || next == SUCCEEDED || next == FAILED;
            case CANCELLING -> next == CANCELLED;
            case CANCELLED, SUCCEEDED, FAILED -> false;
        };
    }

    @Converter(autoApply = true)
    static class Column implements AttributeConverter<JobState, String> {
        @Override
        public String convertToDatabaseColumn(JobState state) {
            return state == null ? null : state.json();
        }

        @Override
        public JobState convertToEntityAttribute(String text) {
            return text == null ? null : valueOf(text.toUpperCase(Locale.ROOT));
        }
    }
}
