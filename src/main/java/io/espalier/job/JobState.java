package io.espalier.job;

import java.util.Locale;

import jakarta.persistence.AttributeConverter;
import jakarta.persistence.Converter;

import com.fasterxml.jackson.annotation.JsonValue;

/** Where a job stands. The list may grow: clients look at {@link #terminal()}, not at the last of these words. */
public enum JobState {
    /** Waits for a device. */
    QUEUED,
    /** Workers hold pieces of it, or held some and go on when a device is free. */
    RUNNING,
    /** Stopped until somebody says to go on; what was measured is kept. */
    PAUSED,
    /** Was asked to stop while a worker holds it; nothing but {@link #CANCELLED} comes after. */
    CANCELLING, CANCELLED, SUCCEEDED, FAILED;

    /** Whether nothing comes after, unless somebody orders a cancelled or failed job to be tried again. */
    public boolean terminal() {
        return switch (this) {
            case QUEUED, RUNNING, PAUSED, CANCELLING -> false;
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
            case QUEUED -> next == RUNNING || next == PAUSED || next == CANCELLED || next == FAILED;
            // to QUEUED: every worker handed its piece back; to CANCELLED: no worker held one
            case RUNNING ->
                next == QUEUED || next == PAUSED || next == CANCELLING || next == CANCELLED || next == SUCCEEDED || next == FAILED;
            case PAUSED -> next == QUEUED || next == CANCELLED;
            case CANCELLING -> next == CANCELLED;
            case CANCELLED, FAILED -> next == QUEUED;
            case SUCCEEDED -> false;
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
