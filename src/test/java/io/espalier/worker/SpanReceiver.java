package io.espalier.worker;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BiConsumer;

import com.sun.net.httpserver.HttpServer;

/** Takes traces as a collector does, OTLP over HTTP, and understands as much of the message as tests ask about. */
final class SpanReceiver implements AutoCloseable {

    /** @param parent hexadecimal, empty for the root */
    record Span(String trace, String id, String parent, String name) {}

    private final HttpServer server;
    final List<Span> spans = new CopyOnWriteArrayList<>();

    SpanReceiver() {
        try {
            server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        server.createContext("/v1/traces", exchange -> {
            // ExportTraceServiceRequest.resource_spans.scope_spans.spans
            fields(exchange.getRequestBody().readAllBytes(), (one, resource) -> in(1, one, () -> fields(resource,
                    (two, scope) -> in(2, two, () -> fields(scope, (three, span) -> in(2, three, () -> spans.add(span(span))))))));
            exchange.sendResponseHeaders(200, -1);
            exchange.close();
        });
        server.start();
    }

    String endpoint() {
        return "http://127.0.0.1:" + server.getAddress().getPort() + "/v1/traces";
    }

    private static void in(int wanted, int field, Runnable then) {
        if (wanted == field) {
            then.run();
        }
    }

    private static Span span(byte[] message) {
        String[] values = {"", "", "", "", "", ""};
        fields(message, (field, value) -> {
            if (field == 1 || field == 2 || field == 4) {
                values[field] = HexFormat.of().formatHex(value);
            } else if (field == 5) {
                values[field] = new String(value, StandardCharsets.UTF_8);
            }
        });
        return new Span(values[1], values[2], values[4], values[5]);
    }

    /** Hands out the fields of a message that have a length (protobuf wire type 2). */
    private static void fields(byte[] message, BiConsumer<Integer, byte[]> each) {
        ByteBuffer rest = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
        while (rest.hasRemaining()) {
            long tag = varint(rest);
            switch ((int) (tag & 7)) {
                case 0 -> varint(rest);
                case 1 -> rest.getLong();
                case 5 -> rest.getInt();
                case 2 -> {
                    byte[] value = new byte[(int) varint(rest)];
                    rest.get(value);
                    each.accept((int) (tag >> 3), value);
                }
                default -> throw new IllegalStateException("wire type " + (tag & 7));
            }
        }
    }

    private static long varint(ByteBuffer from) {
        long value = 0;
        for (int shift = 0;; shift += 7) {
            byte part = from.get();
            value |= (long) (part & 0x7f) << shift;
            if (part >= 0) {
                return value;
            }
        }
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
