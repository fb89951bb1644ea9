package io.espalier.egress;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.net.URI;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;

import io.espalier.egress.EgressException.Reason;
import org.apache.hc.client5.http.classic.methods.HttpUriRequestBase;
import org.apache.hc.core5.http.ClassicHttpResponse;

/** A call under way: what is to be cut off when its time is over, and what it still may read. */
final class Exchange {

    private final AtomicBoolean over = new AtomicBoolean();
    private volatile HttpUriRequestBase current;
    private Future<?> end;

    /** The clock that ends this exchange. */
    void endsBy(Future<?> clock) {
        this.end = clock;
    }

    /** Breaks off what is under way, for the time is up. */
    void timeIsUp() {
        over.set(true);
        HttpUriRequestBase request = current;
        if (request != null) {
            request.abort();
        }
    }

    HttpUriRequestBase send(HttpUriRequestBase request) {
        current = request;
        if (over.get()) {
            request.abort();
        }
        return request;
    }

    /** Lets go of an answer that only said where to go on; the time runs on. */
    void dropped() {
        current.abort();
    }

    void finished() {
        end.cancel(false);
    }

    /** What an error of the wire means to the caller. */
    EgressException told(IOException error, URI uri) {
        if (error instanceof EgressException told) {
            return told;
        }
        if (over.get()) {
            return new EgressException(Reason.TIMED_OUT, uri, "not done within its time");
        }
        if (error instanceof Rules.Refused refused) {
            return new EgressException(Reason.REFUSED, uri, "refused (expected: " + refused.getMessage() + ")");
        }
        return switch (error) {
            case java.net.UnknownHostException _ -> new EgressException(Reason.UNREACHABLE, uri, "its name cannot be resolved");
            case org.apache.hc.client5.http.ConnectTimeoutException _ ->
                new EgressException(Reason.TIMED_OUT, uri, "no connection within its time");
            case InterruptedIOException _ -> new EgressException(Reason.TIMED_OUT, uri, "no answer within its time");
            case java.net.ConnectException _ -> new EgressException(Reason.UNREACHABLE, uri, "no connection");
            case javax.net.ssl.SSLException _ ->
                new EgressException(Reason.UNREACHABLE, uri, "no secure connection; its certificate may not be one that is trusted here");
            default -> new EgressException(Reason.UNREACHABLE, uri, "the connection broke");
        };
    }

    /** The body, which ends the exchange when it is closed. */
    InputStream body(ClassicHttpResponse response, URI uri, long maxBytes) throws IOException {
        InputStream raw = response.getEntity() == null ? InputStream.nullInputStream() : response.getEntity().getContent();
        return new Body(raw, response, uri, maxBytes);
    }

    private final class Body extends FilterInputStream {

        private final ClassicHttpResponse response;
        private final URI uri;
        private final long limit;
        private long left;

        Body(InputStream raw, ClassicHttpResponse response, URI uri, long maxBytes) {
            super(raw);
            this.response = response;
            this.uri = uri;
            this.limit = maxBytes;
            this.left = maxBytes;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            int got;
            try {
                // why one more: an answer of just the length that was asked for is no longer than that
                got = super.read(into, offset, (int) Math.min(length, left == Long.MAX_VALUE ? left : left + 1));
            } catch (IOException e) {
                throw told(e, uri);
            }
            if (over.get()) {
                throw new EgressException(Reason.TIMED_OUT, uri, "not done within its time");
            }
            if (got > left) {
                throw new EgressException(Reason.TOO_LARGE, uri, "its answer is longer than " + limit + " bytes");
            }
            left -= Math.max(0, got);
            return got;
        }

        @Override
        public long skip(long bytes) throws IOException {
            return readNBytes((int) Math.min(bytes, 8192)).length;
        }

        @Override
        public boolean markSupported() {
            return false;
        }

        @Override
        public void close() {
            finished();
            // why not the entity's stream: closing that one reads on to the end, which may never come
            current.abort();
            try {
                response.close();
            } catch (IOException e) {
                // why nothing: the connection is gone, as it should be
            }
        }
    }
}
