package io.espalier.webhook;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import io.espalier.job.JobState;

/** What one can be told: that a job has come into a state. */
public enum EventType {
    JOB_QUEUED, JOB_RUNNING, JOB_PAUSED, JOB_CANCELLING, JOB_CANCELLED, JOB_SUCCEEDED, JOB_FAILED,
    /** Somebody wants to see whether messages arrive. Nobody asks for it beforehand. */
    WEBHOOK_TEST;

    /** What is told where nothing is asked for: the ends. */
    public static List<EventType> ends() {
        return Arrays.stream(JobState.values()).filter(JobState::terminal).map(EventType::of).sorted().toList();
    }

    static EventType of(JobState state) {
        return valueOf("JOB_" + state.name());
    }

    /** @throws IllegalArgumentException when there is no such word */
    @JsonCreator
    public static EventType of(String word) {
        return valueOf(word.toUpperCase(Locale.ROOT).replace('.', '_'));
    }

    /** As it travels and is stored: {@code job.succeeded}. */
    @JsonValue
    public String json() {
        return name().toLowerCase(Locale.ROOT).replaceFirst("_", ".");
    }
}
