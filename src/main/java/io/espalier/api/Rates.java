package io.espalier.api;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;

import jakarta.servlet.http.HttpServletResponse;

import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.http.HttpHeaders;
import org.springframework.stereotype.Component;

/**
 * How much each caller has left: a token bucket for requests, a count for open streams. In the memory of this process: several processes allow each as
 * much.
 */
@Component
final class Rates {

    /** Callers beyond which those are forgotten who have all they may have. */
    private static final int MANY = 10_000;

    private final LimitSettings limits;
    private final LongSupplier nanos;
    private final Map<String, Bucket> buckets = new ConcurrentHashMap<>();
    private final Map<String, AtomicInteger> streams = new ConcurrentHashMap<>();

    @Autowired
    Rates(LimitSettings limits) {
        this(limits, System::nanoTime);
    }

    /** @param nanos a clock that only goes forward */
    Rates(LimitSettings limits, LongSupplier nanos) {
        this.limits = limits;
        this.nanos = nanos;
    }

    /** What is left of one caller's requests. */
    private static final class Bucket {
        private double left;
        private long at;
    }

    /**
     * Counts a request and says in the answer's headers what is left (draft-ietf-httpapi-ratelimit-headers).
     *
     * @throws ProblemException when nothing was
     */
    void count(String who, HttpServletResponse response) {
        if (limits.requestsPerSecond() == 0) {
            return;
        }
        double left = take(who);
        double second = limits.requestsPerSecond();
        response.setHeader("RateLimit-Policy",
                "\"requests\";q=" + limits.burst() + ";w=" + (long) Math.ceil(limits.burst() / second));
        response.setHeader("RateLimit", "\"requests\";r=" + (long) Math.max(0, left) + ";t="
                + (long) Math.ceil((limits.burst() - Math.max(0, left)) / second));
        if (left < 0) {
            long wait = Math.max(1, (long) Math.ceil(-left / second));
            response.setHeader(HttpHeaders.RETRY_AFTER, String.valueOf(wait));
            throw new ProblemException(ProblemCode.RATE_LIMITED, "more than " + limits.requestsPerSecond() + " requests a second, and "
                    + limits.burst() + " at once (espalier.limits); try again in " + wait + " s");
        }
    }

    /** @return what is left after this request; less than 0: what is missing for it */
    private double take(String who) {
        long now = nanos.getAsLong();
        if (buckets.size() > MANY) {
            buckets.values().removeIf(bucket -> {
                synchronized (bucket) {
                    return refilled(bucket, now) >= limits.burst();
                }
            });
        }
        Bucket bucket = buckets.computeIfAbsent(who, name -> full(now));
        synchronized (bucket) {
            double filled = refilled(bucket, now);
            bucket.at = now;
            bucket.left = filled >= 1 ? filled - 1 : filled;
            return filled - 1;
        }
    }

    /** How many are remembered. */
    int callers() {
        return buckets.size();
    }

    private Bucket full(long now) {
        Bucket bucket = new Bucket();
        bucket.left = limits.burst();
        bucket.at = now;
        return bucket;
    }

    private double refilled(Bucket bucket, long now) {
        return Math.min(limits.burst(), bucket.left + Math.max(0, now - bucket.at) / 1e9 * limits.requestsPerSecond());
    }

    /**
     * Takes one of a caller's streams; {@link #closed} gives it back.
     *
     * @throws ProblemException when all are open
     */
    void opened(String who, HttpServletResponse response) {
        if (limits.streams() == 0) {
            return;
        }
        AtomicInteger open = streams.compute(who, (name, before) -> {
            AtomicInteger count = before == null ? new AtomicInteger() : before;
            count.incrementAndGet();
            return count;
        });
        if (open.get() > limits.streams()) {
            closed(who);
            response.setHeader(HttpHeaders.RETRY_AFTER, "10");
            throw new ProblemException(ProblemCode.TOO_MANY_STREAMS, limits.streams()
                    + " streams are open (espalier.limits.streams); close one, or ask with ?wait= instead");
        }
    }

    void closed(String who) {
        streams.computeIfPresent(who, (name, open) -> open.decrementAndGet() <= 0 ? null : open);
    }
}
