package io.espalier.dashboard;

import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.Executors;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;

/** What an ingress does that serves the dashboard under another host and a path of its own, and takes the path off. It hands on what is read, GET alone. */
final class PathProxy implements AutoCloseable {

    private static final String PATH = "/tools/espalier";

    private final HttpServer server;
    private final HttpClient client = HttpClient.newHttpClient();
    private final String behind;

    PathProxy(String behind) throws IOException {
        this.behind = behind;
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext(PATH + "/", this::handOn);
        server.start();
    }

    /** What people type in. */
    String address() {
        return "http://localhost:" + server.getAddress().getPort() + PATH;
    }

    private void handOn(HttpExchange exchange) throws IOException {
        HttpRequest.Builder request = HttpRequest
                .newBuilder(URI.create(behind + exchange.getRequestURI().toString().substring(PATH.length())))
                .header("X-Forwarded-Proto", "http").header("X-Forwarded-Prefix", PATH)
                .header("X-Forwarded-Host", exchange.getRequestHeaders().getFirst("Host"));
        for (String name : List.of("Authorization", "Accept", "If-None-Match")) {
            String value = exchange.getRequestHeaders().getFirst(name);
            if (value != null) {
                request.header(name, value);
            }
        }
        try {
            HttpResponse<byte[]> answer = client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
            for (String name : List.of("Content-Type", "Content-Security-Policy", "ETag", "Cache-Control", "Retry-After")) {
                answer.headers().firstValue(name).ifPresent(value -> exchange.getResponseHeaders().set(name, value));
            }
            exchange.sendResponseHeaders(answer.statusCode(), answer.body().length == 0 ? -1 : answer.body().length);
            try (OutputStream out = exchange.getResponseBody()) {
                out.write(answer.body());
            }
        } catch (InterruptedException e) {
            throw new IOException(e);
        } finally {
            exchange.close();
        }
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
