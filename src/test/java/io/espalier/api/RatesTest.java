package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;

import org.junit.jupiter.api.Test;
import org.springframework.mock.web.MockHttpServletResponse;

class RatesTest {

    private final AtomicLong nanos = new AtomicLong(17);
    private final Rates rates = new Rates(new LimitSettings(2, 3, 2, 0), nanos::get);

    private MockHttpServletResponse count(String who) {
        MockHttpServletResponse response = new MockHttpServletResponse();
        rates.count(who, response);
        return response;
    }

    @Test
    void aBucketIsFullAtFirstIsEmptiedAndFillsAgain() {
        assertThat(count("a").getHeader("RateLimit")).isEqualTo("\"requests\";r=2;t=1");
        assertThat(count("a").getHeader("RateLimit-Policy")).isEqualTo("\"requests\";q=3;w=2");
        assertThat(count("a").getHeader("RateLimit")).isEqualTo("\"requests\";r=0;t=2");
        MockHttpServletResponse refused = new MockHttpServletResponse();
        assertThatThrownBy(() -> rates.count("a", refused)).isInstanceOfSatisfying(ProblemException.class,
                e -> assertThat(e.code()).isEqualTo(ProblemCode.RATE_LIMITED));
        assertThat(refused.getHeader("Retry-After")).isEqualTo("1");
        assertThat(refused.getHeader("RateLimit")).isEqualTo("\"requests\";r=0;t=2");

        assertThat(count("b").getHeader("RateLimit")).as("another caller").isEqualTo("\"requests\";r=2;t=1");
        nanos.addAndGet(500_000_000);
        assertThat(count("a").getHeader("RateLimit")).as("half a second later there is one").isEqualTo("\"requests\";r=0;t=2");
        assertThatThrownBy(() -> count("a")).isInstanceOf(ProblemException.class);
        nanos.addAndGet(3_600_000_000_000L);
        assertThat(count("a").getHeader("RateLimit")).as("never more than there may be").isEqualTo("\"requests\";r=2;t=1");
    }

    @Test
    void ofRequestsAtTheSameTimeExactlySoManyGetThrough() throws InterruptedException {
        Rates wide = new Rates(new LimitSettings(1, 100, 0, 0), nanos::get);
        AtomicInteger through = new AtomicInteger();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            IntStream.range(0, 500).forEach(i -> threads.execute(() -> {
                try {
                    wide.count("a", new MockHttpServletResponse());
                    through.incrementAndGet();
                } catch (ProblemException e) {
                    assertThat(e.code()).isEqualTo(ProblemCode.RATE_LIMITED);
                }
            }));
        }
        assertThat(through).hasValue(100);
    }

    @Test
    void whoeverRestedLongEnoughIsForgotten() {
        IntStream.range(0, 20_000).forEach(i -> {
            count("caller " + i);
            nanos.addAndGet(1_000_000_000);
        });
        assertThat(rates.callers()).isLessThan(10_100);
    }

    @Test
    void streamsAreCountedAndGivenBack() {
        rates.opened("a", new MockHttpServletResponse());
        rates.opened("a", new MockHttpServletResponse());
        MockHttpServletResponse refused = new MockHttpServletResponse();
        assertThatThrownBy(() -> rates.opened("a", refused)).isInstanceOfSatisfying(ProblemException.class,
                e -> assertThat(e.code()).isEqualTo(ProblemCode.TOO_MANY_STREAMS));
        assertThat(refused.getHeader("Retry-After")).isEqualTo("10");
        rates.opened("b", new MockHttpServletResponse());
        rates.closed("a");
        rates.opened("a", new MockHttpServletResponse());
    }

    @Test
    void nothingIsCountedWhereThereIsNoLimit() {
        Rates open = new Rates(new LimitSettings(0, 1, 0, 0), nanos::get);
        MockHttpServletResponse response = new MockHttpServletResponse();
        IntStream.range(0, 10).forEach(i -> {
            open.count("a", response);
            open.opened("a", response);
        });
        assertThat(response.getHeaderNames()).isEmpty();
    }
}
