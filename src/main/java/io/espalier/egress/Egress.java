package io.espalier.egress;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

import io.espalier.egress.EgressException.Reason;
import org.apache.hc.client5.http.classic.methods.HttpUriRequestBase;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.core5.http.ClassicHttpResponse;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.Header;
import org.apache.hc.core5.http.io.entity.ByteArrayEntity;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.stereotype.Component;

/**
 * The way out to addresses that clients named. Such an address may be meant for something within the operator's own network; it is asked only when every
 * address behind its name is public, or the operator allowed it. What was checked is what is connected to: the name is resolved once for both, at each
 * request and each redirect. Behind a proxy, which resolves names itself, it is the proxy that has to keep private addresses out.
 */
@Component
public class Egress implements AutoCloseable {

    private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);
    /** What says what is wanted, and not who asks. */
    private static final Set<String> FOR_EVERYBODY = Set.of("accept", "accept-encoding", "range", "if-range", "user-agent");

    private final Rules rules;
    private final Duration total;
    private final CloseableHttpClient client;
    private final ScheduledThreadPoolExecutor clocks = new ScheduledThreadPoolExecutor(1,
            Thread.ofPlatform().daemon().name("egress-clock").factory());

    @Autowired
    public Egress(EgressSettings settings) {
        this(settings, Names.OF_THE_SYSTEM);
    }

    Egress(EgressSettings settings, Names names) {
        this.rules = new Rules(settings, names);
        this.total = settings.totalTimeout();
        this.client = Wire.client(settings, rules);
        this.clocks.setRemoveOnCancelPolicy(true);
    }

    /**
     * An address that may be asked, or why not.
     *
     * @param uri {@code null} when it may not
     * @param expected everything that the address is not, in words that follow "expected:"
     */
    public record Checked(URI uri, List<String> expected) {
        public boolean allowed() {
            return expected.isEmpty();
        }
    }

    /** Whether this address may be asked, as things stand: its name is resolved for it. */
    public Checked check(String url) {
        List<String> wrong = rules.wrong(url);
        return new Checked(wrong.isEmpty() ? URI.create(url) : null, wrong);
    }

    /**
     * Asks, and gives the head of the answer, whatever its status is.
     *
     * @throws EgressException when it may not be asked, or gave no answer
     */
    public Reply send(Call call) throws EgressException {
        Exchange exchange = new Exchange();
        Duration time = call.total() == null ? total : call.total();
        exchange.endsBy(clocks.schedule(exchange::timeIsUp, time.toNanos(), TimeUnit.NANOSECONDS));
        boolean answered = false;
        try {
            Reply reply = followed(call, exchange);
            answered = true;
            return reply;
        } finally {
            if (!answered) {
                exchange.finished();
            }
        }
    }

    private Reply followed(Call call, Exchange exchange) throws EgressException {
        URI uri = call.uri();
        for (int hop = 0;; hop++) {
            Reply reply = once(call, uri, exchange);
            boolean further = REDIRECTS.contains(reply.status()) && call.body() == null && call.redirects() > 0;
            if (!further) {
                return reply;
            }
            URI next = next(reply, uri);
            exchange.dropped();
            if (hop == call.redirects()) {
                throw new EgressException(Reason.REDIRECTS, uri, "redirected more than " + call.redirects() + " times");
            }
            uri = next;
        }
    }

    private static URI next(Reply reply, URI from) throws EgressException {
        try {
            return from.resolve(reply.header("Location").orElseThrow(IllegalArgumentException::new));
        } catch (IllegalArgumentException e) {
            throw new EgressException(Reason.REDIRECTS, from, "redirected to no address that can be read");
        }
    }

    private Reply once(Call call, URI uri, Exchange exchange) throws EgressException {
        List<String> wrong = rules.wrongBeforeConnecting(uri);
        if (!wrong.isEmpty()) {
            throw new EgressException(Reason.REFUSED, uri, "refused (expected: " + String.join("; ", wrong) + ")");
        }
        HttpUriRequestBase request = new HttpUriRequestBase(call.method(), uri);
        boolean home = EgressException.origin(uri).equalsIgnoreCase(EgressException.origin(call.uri()));
        call.headers().forEach((name, value) -> {
            if (home || FOR_EVERYBODY.contains(name.toLowerCase(Locale.ROOT))) {
                request.setHeader(name, value);
            }
        });
        if (call.body() != null) {
            String type = call.headers().getOrDefault("Content-Type", "application/octet-stream");
            request.setEntity(new ByteArrayEntity(call.body(), ContentType.parse(type)));
        }
        try {
            ClassicHttpResponse response = client.executeOpen(null, exchange.send(request), null);
            Map<String, String> headers = new HashMap<>();
            for (Header header : response.getHeaders()) {
                headers.put(header.getName().toLowerCase(Locale.ROOT), header.getValue());
            }
            return new Reply(response.getCode(), Map.copyOf(headers), uri, exchange.body(response, uri, call.maxBytes()));
        } catch (IOException e) {
            throw exchange.told(e, uri);
        }
    }

    @Override
    public void close() throws IOException {
        clocks.shutdownNow();
        client.close();
    }
}
