package io.espalier.worker;

import java.util.Map;

import io.espalier.job.JobRecords;
import io.espalier.job.Lease;
import io.espalier.telemetry.LogLines;
import io.espalier.telemetry.Traces;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;

/**
 * Where what a worker tells of itself goes.
 *
 * @param records of the jobs; {@code null} where nobody keeps any
 * @param lines the process's log; {@code null} where nobody keeps it
 */
record Recording(JobRecords records, LogLines lines, Traces traces, WorkerMeters meters) {

    /** Nobody looks. */
    static Recording ignored() {
        return new Recording(null, null, Traces.OFF, new WorkerMeters(new SimpleMeterRegistry()));
    }

    /** What was told after the last progress, or without any. */
    void lastWords(Lease lease, PieceRecord record) {
        if (records != null) {
            records.lastWords(lease, record.takeFigures(true), record.takeLines());
        }
    }

    PieceRecord begin(Lease lease, String worker, String device) {
        Traces.Stretch trace = traces.on()
                ? traces.begin("piece " + lease.kind().json(), records.traceparent(lease.jobId()).orElse(null),
                        Map.of("job_id", lease.jobId(), "piece", String.valueOf(lease.piece()), "attempt", String.valueOf(lease.attempt()),
                                "worker", worker, "device", device))
                : null;
        meters.claimed(lease.kind());
        return new PieceRecord(lease, worker, device, lines == null ? null : lines.of(lease.jobId(), lease.attempt()), trace, meters);
    }
}
