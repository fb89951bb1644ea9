package io.espalier.job;

import java.util.Locale;

import com.fasterxml.jackson.annotation.JsonValue;

/** What a series of a job is about. */
public enum JobMetric {
    /** Of the whole job. */
    PERCENT("percent", false),
    /** Of all workers at the job together. */
    TOKENS_PER_SECOND("tokens/s", true),
    /** Decoder layer at work, of the worker that told last. */
    LAYER("layer", false),
    /** How long the worker that told last is in its phase. */
    PHASE_SECONDS("s", false),
    /** Mean negative log-likelihood of a calibration token, once for each slice. */
    LOSS("nats", true),
    /** Once for each model that was measured: given, pruned, pruned at random. */
    PERPLEXITY("1", false),
    /** In use: the device's, or on the CPU the worker process's own. */
    MEMORY_BYTES("bytes", true),
    /** Read of the model by all workers so far. */
    READ_BYTES("bytes", false);

    private final String unit;
    private final boolean averaged;

    JobMetric(String unit, boolean averaged) {
        this.unit = unit;
        this.averaged = averaged;
    }

    /** As it travels and is stored: {@code tokens_per_second}. */
    @JsonValue
    public String json() {
        return name().toLowerCase(Locale.ROOT);
    }

    public String unit() {
        return unit;
    }

    /** Whether a point is the mean of the figures that it stands for; otherwise it is the last of them. */
    public boolean averaged() {
        return averaged;
    }
}
