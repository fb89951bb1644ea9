package io.espalier.telemetry;

import java.util.List;

/** Every meter of this service's own. The README's table is made from this list, and a test holds the registry to it. */
public enum Meter {
    // @formatter:off: one to a line
    QUEUE_PIECES("espalier.queue.pieces", Type.GAUGE, "Pieces of jobs that wait for a device.", "priority", "project"),
    QUEUE_OLDEST("espalier.queue.oldest.seconds", Type.GAUGE,
            "How long the longest-waiting job of which nothing is at work has waited.", "priority", "project"),
    JOBS("espalier.jobs", Type.GAUGE, "Jobs by state.", "state"),
    ARTIFACT_BYTES("espalier.artifact.bytes", Type.GAUGE, "What all artifacts weigh."),
    CLAIMS("espalier.claims", Type.COUNTER, "Pieces that this worker has claimed.", "kind"),
    PIECES("espalier.pieces", Type.COUNTER,
            "Pieces that have ended on this worker: done, failed, stopped (handed back, or its job was stopped) or lost (to another worker).",
            "kind", "outcome"),
    LEASE_LOSSES("espalier.lease.losses", Type.COUNTER, "Leases that this worker has lost while it was at work."),
    SCORE_REUSES("espalier.score.reuses", Type.COUNTER, "Jobs that this worker opened whose scores were there already."),
    TOKENS("espalier.tokens.per.second", Type.GAUGE, "Tokens a second of what is at work; 0 when no token moves.", "device"),
    READ_BYTES("espalier.read.bytes", Type.COUNTER, "Bytes of models that this worker has read and converted.", "device"),
    MEMORY("espalier.device.memory.bytes", Type.GAUGE,
            "Memory in use: the device's on a GPU; on the CPU, the process's own, Java's heap included. As told last.", "device"),
    MEMORY_BUDGET("espalier.device.memory.budget.bytes", Type.GAUGE, "What weights and activations may take, as planned last.", "device"),
    PHASE("espalier.phase", Type.TIMER, "How long a piece was in a phase.", "phase"),
    LAYER("espalier.layer", Type.TIMER, "How long a piece was at one decoder layer, one way.", "phase"),
    WEBHOOK_DELIVERIES("espalier.webhook.deliveries", Type.COUNTER,
            "Times that this process has sent a message to a webhook, by how the message stands after it: delivered, pending (to be sent again) or failed (given up).",
            "outcome");
    // @formatter:on

    /** What it is. */
    public enum Type {
        GAUGE(""), COUNTER("_total"), TIMER("_seconds");

        private final String suffix;

        Type(String suffix) {
            this.suffix = suffix;
        }
    }

    private final String id;
    private final Type type;
    private final String sentence;
    private final List<String> labels;

    Meter(String id, Type type, String sentence, String... labels) {
        this.id = id;
        this.type = type;
        this.sentence = sentence;
        this.labels = List.of(labels);
    }

    /** As Micrometer knows it. */
    public String id() {
        return id;
    }

    public Type type() {
        return type;
    }

    public String sentence() {
        return sentence;
    }

    public List<String> labels() {
        return labels;
    }

    /** As Prometheus scrapes it; a timer is a histogram of that name. */
    public String scraped() {
        return id.replace('.', '_') + type.suffix;
    }
}
