package io.espalier.api;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A client of the running service that holds every exchange to the {@link Contract}. */
final class Api {

    /** What came back. */
    record Answer(int status, HttpHeaders headers, byte[] body) {

        JsonNode json() {
            return JsonMapper.shared().readTree(body);
        }

        String text() {
            return new String(body, StandardCharsets.UTF_8);
        }

        String header(String name) {
            return headers.firstValue(name).orElse(null);
        }

        String code() {
            return json().path("code").asString("none");
        }

        /** Of a problem: expected by field. */
        Map<String, String> violations() {
            Map<String, String> violations = new TreeMap<>();
            json().path("violations").forEach(violation -> violations.put(violation.path("field").stringValue(),
                    violation.path("given").asString("null") + " -> " + violation.path("expected").stringValue()));
            return violations;
        }
    }

    private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private final int port;
    private final String base;
    private final String token;

    Api(int port) {
        this(port, null);
    }

    private Api(int port, String token) {
        this.port = port;
        this.token = token;
        base = "http://127.0.0.1:" + port;
    }

    /** The same service, asked with a bearer token. */
    Api as(String bearer) {
        return new Api(port, bearer);
    }

    int port() {
        return port;
    }

    Answer get(String path, String... headers) {
        return send("GET", path, BodyPublishers.noBody(), headers);
    }

    Answer head(String path, String... headers) {
        return send("HEAD", path, BodyPublishers.noBody(), headers);
    }

    Answer post(String path) {
        return send("POST", path, BodyPublishers.noBody());
    }

    Answer order(String json) {
        return send("POST", "/v1/pruning-jobs", json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json");
    }

    /** Posts JSON without saying how long it is. */
    Answer chunked(String path, String json) {
        return send("POST", path, BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8))),
                "Content-Type",
                "application/json");
    }

    /** An accepted order's id. */
    String ordered(String json) {
        Answer answer = order(json);
        if (answer.status() != 202) {
            throw new AssertionError(answer.text());
        }
        return answer.json().path("id").stringValue();
    }

    Answer send(String method, String path, byte[] body, String... headers) {
        return send(method, path, body == null ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body), headers);
    }

    private Answer send(String method, String path, HttpRequest.BodyPublisher body, String... headers) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + path)).timeout(Duration.ofSeconds(60)).method(method, body);
        if (headers.length > 0) {
            request.headers(headers);
        }
        if (token != null) {
            request.header("Authorization", "Bearer " + token);
        }
        try {
            HttpResponse<byte[]> response = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
            Answer answer = new Answer(response.statusCode(), response.headers(), response.body());
            Contract.IT.hold(method, path, answer.status(), answer.headers(), answer.body());
            return answer;
        } catch (IOException e) {
            throw new UncheckedIOException(method + " " + path + " " + List.of(headers), e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
