package io.espalier.worker;

import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;

import io.espalier.job.Piece;
import io.espalier.recipe.Phase;
import io.espalier.telemetry.Meter;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;

/** What this process's workers do, in meters, see {@link Meter}. Those whose labels are known are there from the start, so that a rate begins at zero. */
final class WorkerMeters {

    /** How a piece ended on a worker. */
    enum Outcome {
        DONE, FAILED, STOPPED, LOST
    }

    private static final Duration[] PHASES = seconds(0.1, 1, 5, 15, 60, 300, 900, 3600, 14_400);
    private static final Duration[] LAYERS = seconds(0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300);

    private final MeterRegistry registry;
    private final Map<String, AtomicReference<Double>> gauges = new ConcurrentHashMap<>();

    WorkerMeters(MeterRegistry registry) {
        this.registry = registry;
        for (Piece.Kind kind : Piece.Kind.values()) {
            claims(kind);
            for (Outcome outcome : Outcome.values()) {
                pieces(kind, outcome);
            }
        }
        counter(Meter.LEASE_LOSSES);
        counter(Meter.SCORE_REUSES);
        for (Phase phase : Phase.values()) {
            timer(Meter.PHASE, phase, PHASES);
        }
        timer(Meter.LAYER, Phase.CALIBRATE, LAYERS);
        timer(Meter.LAYER, Phase.CHECK, LAYERS);
    }

    void claimed(Piece.Kind kind) {
        claims(kind).increment();
    }

    void ended(Piece.Kind kind, Outcome outcome) {
        pieces(kind, outcome).increment();
        if (outcome == Outcome.LOST) {
            counter(Meter.LEASE_LOSSES).increment();
        }
    }

    void scoresReused() {
        counter(Meter.SCORE_REUSES).increment();
    }

    void read(String device, double bytes) {
        counter(Meter.READ_BYTES, "device", device).increment(bytes);
    }

    /** A figure of a device, as it is now. */
    void now(Meter meter, String device, double value) {
        gauges.computeIfAbsent(meter.id() + " " + device, _ -> {
            AtomicReference<Double> latest = new AtomicReference<>(value);
            Gauge.builder(meter.id(), latest, AtomicReference::get).description(meter.sentence()).tag("device", device).register(registry);
            return latest;
        }).set(value);
    }

    void phase(Phase phase, long nanos) {
        timer(Meter.PHASE, phase, PHASES).record(Duration.ofNanos(nanos));
    }

    void layer(Phase phase, long nanos) {
        timer(Meter.LAYER, phase, LAYERS).record(Duration.ofNanos(nanos));
    }

    private Counter claims(Piece.Kind kind) {
        return counter(Meter.CLAIMS, "kind", kind.json());
    }

    private Counter pieces(Piece.Kind kind, Outcome outcome) {
        return counter(Meter.PIECES, "kind", kind.json(), "outcome", word(outcome));
    }

    private Counter counter(Meter meter, String... tags) {
        return Counter.builder(meter.id()).description(meter.sentence()).tags(tags).register(registry);
    }

    private Timer timer(Meter meter, Phase phase, Duration[] buckets) {
        return Timer.builder(meter.id()).description(meter.sentence()).tag("phase", word(phase)).serviceLevelObjectives(buckets)
                .register(registry);
    }

    static String word(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    private static Duration[] seconds(double... seconds) {
        return java.util.Arrays.stream(seconds).mapToObj(s -> Duration.ofMillis(Math.round(s * 1000))).toArray(Duration[]::new);
    }
}
