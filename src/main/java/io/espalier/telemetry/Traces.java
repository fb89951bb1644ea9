package io.espalier.telemetry;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

import io.micrometer.tracing.Span;
import io.micrometer.tracing.Tracer;
import io.micrometer.tracing.propagation.Propagator;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.stereotype.Component;

/** Spans that go on in another process: what is stored of one is its W3C trace context. Where nobody traces, nothing is made. */
@Component
public final class Traces {

    private static final String HEADER = "traceparent";
    /** Makes nothing. */
    public static final Traces OFF = new Traces(Tracer.NOOP, Propagator.NOOP);

    private final Tracer tracer;
    private final Propagator propagator;

    @Autowired
    Traces(ObjectProvider<Tracer> tracer, ObjectProvider<Propagator> propagator,
            @Value("${management.tracing.export.enabled}") boolean enabled) {
        this(enabled ? tracer.getIfAvailable(() -> Tracer.NOOP) : Tracer.NOOP,
                enabled ? propagator.getIfAvailable(() -> Propagator.NOOP) : Propagator.NOOP);
    }

    private Traces(Tracer tracer, Propagator propagator) {
        this.tracer = tracer;
        this.propagator = propagator;
    }

    public boolean on() {
        return tracer != Tracer.NOOP;
    }

    /** Trace context of what the calling thread is about; {@code null} where there is none. */
    public String current() {
        Span span = tracer.currentSpan();
        if (span == null || span.isNoop()) {
            return null;
        }
        Map<String, String> carrier = new HashMap<>();
        propagator.inject(span.context(), carrier, Map::put);
        return carrier.get(HEADER);
    }

    /**
     * Begins a span that belongs to what was stored.
     *
     * @param traceparent {@code null}: a trace of its own
     */
    public Stretch begin(String name, String traceparent, Map<String, String> tags) {
        Map<String, String> carrier = traceparent == null ? Map.of() : Map.of(HEADER, traceparent);
        Span.Builder builder = propagator.extract(carrier, Map::get).name(name).kind(Span.Kind.CONSUMER);
        tags.forEach(builder::tag);
        return new Stretch(builder.start());
    }

    /** A span that has begun. */
    public final class Stretch implements AutoCloseable {

        private final Span span;

        private Stretch(Span span) {
            this.span = span;
        }

        /** Makes it what the calling thread is about, also in the thread's log lines, until that is closed. */
        public Tracer.SpanInScope enter() {
            return tracer.withSpan(span);
        }

        public Stretch child(String name, Map<String, String> tags) {
            Span.Builder builder = tracer.spanBuilder().setParent(span.context()).name(name);
            tags.forEach(builder::tag);
            return new Stretch(builder.start());
        }

        /** A child that has ended already; times in nanoseconds before now. */
        public void past(String name, Map<String, String> tags, long beganBefore, long endedBefore) {
            long now = ChronoUnit.NANOS.between(Instant.EPOCH, Instant.now());
            Span.Builder builder = tracer.spanBuilder().setParent(span.context()).name(name).startTimestamp(now - beganBefore,
                    TimeUnit.NANOSECONDS);
            tags.forEach(builder::tag);
            builder.start().end(now - endedBefore, TimeUnit.NANOSECONDS);
        }

        public void tag(String key, String value) {
            span.tag(key, value);
        }

        @Override
        public void close() {
            span.end();
        }
    }
}
