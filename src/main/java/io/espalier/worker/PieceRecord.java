package io.espalier.worker;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;

import io.espalier.job.JobMetric;
import io.espalier.job.Lease;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.telemetry.LogLine;
import io.espalier.telemetry.LogLines;
import io.espalier.telemetry.Meter;
import io.espalier.telemetry.Traces;
import io.micrometer.tracing.Tracer;
import org.slf4j.MDC;

/**
 * What one piece tells of itself while a worker has it: how long its phases and layers take, its figures, its log lines. Meters and spans are made at once;
 * figures and lines wait here for the next write that its progress makes anyway.
 */
final class PieceRecord implements AutoCloseable {

    private static final long FIGURES_EVERY_NANOS = 1_000_000_000L;

    private final Lease lease;
    private final String device;
    private final LogLines.Piece lines;
    private final Traces.Stretch trace;
    private final Tracer.SpanInScope scope;
    private final WorkerMeters meters;

    private final Map<JobMetric, Double> figures = new EnumMap<>(JobMetric.class);
    private Progress.Tick latest;
    private long figuresAt;
    private long phaseBegan;
    private long layerBegan;
    private long tickedAt;
    private Traces.Stretch phaseTrace;

    /**
     * Begins on the thread that carries the piece out, whose log lines say from now on which piece they are about.
     *
     * @param lines {@code null}: nobody keeps them
     * @param trace {@code null}: nobody traces
     */
    PieceRecord(Lease lease, String worker, String device, LogLines.Piece lines, Traces.Stretch trace, WorkerMeters meters) {
        this.lease = lease;
        this.device = device;
        this.lines = lines;
        this.trace = trace;
        this.meters = meters;
        MDC.put(LogLines.PIECE, String.valueOf(lease.piece()));
        MDC.put(LogLines.ATTEMPT, String.valueOf(lease.attempt()));
        MDC.put(LogLines.WORKER, worker);
        this.scope = trace == null ? null : trace.enter();
    }

    synchronized void tick(Progress.Tick tick) {
        long now = System.nanoTime();
        if (latest == null || latest.phase() != tick.phase()) {
            endPhase(now);
            phaseBegan = layerBegan = tickedAt = now;
            phaseTrace = trace == null ? null : trace.child("phase " + WorkerMeters.word(tick.phase()), Map.of());
        } else if (!java.util.Objects.equals(latest.layer(), tick.layer())) {
            endLayer();
        }
        tickedAt = now;
        latest = tick;
        meters.now(Meter.TOKENS, device, tick.tokensPerSecond() == null ? 0 : tick.tokensPerSecond());
    }

    private void endPhase(long now) {
        if (latest != null) {
            endLayer();
            meters.phase(latest.phase(), now - phaseBegan);
            if (phaseTrace != null) {
                phaseTrace.close();
            }
        }
    }

    /** A tick comes at the end of what it tells of: the layer was at work from the last tick of the one before to its own last. */
    private void endLayer() {
        if (latest.layer() != null && tickedAt > layerBegan) {
            meters.layer(latest.phase(), tickedAt - layerBegan);
            if (phaseTrace != null) {
                long now = System.nanoTime();
                phaseTrace.past("layer " + latest.layer(), Map.of("layer", String.valueOf(latest.layer())), now - layerBegan,
                        now - tickedAt);
            }
        }
        layerBegan = tickedAt;
    }

    synchronized void figure(Progress.Figure figure, double value) {
        switch (figure) {
            case LOSS -> figures.put(JobMetric.LOSS, value);
            case PERPLEXITY -> figures.put(JobMetric.PERPLEXITY, value);
            case READ_BYTES -> {
                figures.merge(JobMetric.READ_BYTES, value, Double::sum);
                meters.read(device, value);
            }
            case MEMORY_BYTES -> {
                figures.put(JobMetric.MEMORY_BYTES, value);
                meters.now(Meter.MEMORY, device, value);
            }
            case MEMORY_BUDGET_BYTES -> meters.now(Meter.MEMORY_BUDGET, device, value);
        }
    }

    /**
     * Figures for the job's series; they are the caller's.
     *
     * @param last whether none are asked for after this; before that, they are given once a second at most
     */
    synchronized Map<JobMetric, Double> takeFigures(boolean last) {
        long now = System.nanoTime();
        if (latest == null || !last && figuresAt != 0 && now - figuresAt < FIGURES_EVERY_NANOS) {
            return Map.of();
        }
        figuresAt = now;
        Map<JobMetric, Double> taken = new EnumMap<>(figures);
        figures.clear();
        taken.put(JobMetric.PHASE_SECONDS, (now - phaseBegan) * 1e-9);
        if (latest.layer() != null) {
            taken.put(JobMetric.LAYER, latest.layer().doubleValue());
        }
        if (latest.tokensPerSecond() != null) {
            taken.put(JobMetric.TOKENS_PER_SECOND, latest.tokensPerSecond());
        }
        return taken;
    }

    List<LogLine> takeLines() {
        return lines == null ? List.of() : lines.take();
    }

    /** Takes back what could not be told. */
    synchronized void takeBack(Map<JobMetric, Double> untold, List<LogLine> untoldLines) {
        for (JobMetric kept : List.of(JobMetric.LOSS, JobMetric.PERPLEXITY)) {
            if (untold.containsKey(kept)) {
                figures.putIfAbsent(kept, untold.get(kept));
            }
        }
        if (untold.containsKey(JobMetric.READ_BYTES)) {
            figures.merge(JobMetric.READ_BYTES, untold.get(JobMetric.READ_BYTES), Double::sum);
        }
        if (!untoldLines.isEmpty()) {
            lines.takeBack(untoldLines);
        }
    }

    /** The run is over; what comes after it belongs to no phase. */
    synchronized void runEnded() {
        endPhase(System.nanoTime());
        phaseTrace = null;
        meters.now(Meter.TOKENS, device, 0);
        latest = latest == null ? null : new Progress.Tick(latest.phase(), latest.percent(), null, latest.layers(), null);
        phaseBegan = layerBegan = tickedAt = System.nanoTime();
    }

    void ended(WorkerMeters.Outcome outcome) {
        meters.ended(lease.kind(), outcome);
        if (trace != null) {
            trace.tag("outcome", WorkerMeters.word(outcome));
        }
    }

    @Override
    public void close() {
        if (scope != null) {
            scope.close();
            trace.close();
        }
        if (lines != null) {
            lines.close();
        }
        List.of(LogLines.PIECE, LogLines.ATTEMPT, LogLines.WORKER).forEach(MDC::remove);
    }
}
