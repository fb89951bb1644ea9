package io.espalier.api;

import java.time.Instant;
import java.util.Map;

import io.espalier.job.JobEvent;

/** One line of a job's history, without the job's id that the address says already. */
record EventView(long seq, Instant at, String type, String message, Map<String, Object> data) {

    static EventView of(JobEvent event) {
        return new EventView(event.seq(), event.at(), event.type(), event.message(), event.data());
    }
}
