package io.espalier.platform;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;

import io.espalier.EspalierApplication;

/** The built classes as a process of its own, on a free port. */
final class Service implements AutoCloseable {

    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    private final Process process;
    private final Path log;
    private final int port;

    /** @param directory for its data and its log */
    Service(Path directory, String... settings) throws IOException {
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        log = directory.resolve("service.log");
        List<String> command = new ArrayList<>(List.of(ProcessHandle.current().info().command().orElseThrow(), "-Xmx512m",
                "--enable-native-access=ALL-UNNAMED", "-cp", System.getProperty("java.class.path"), EspalierApplication.class.getName(),
                "--espalier.data-dir=" + directory, "--server.port=" + port));
        command.addAll(Arrays.asList(settings));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
        process = builder.start();
    }

    /** Waits until it answers, and fails with its log when it ends instead. */
    Service ready() throws IOException, InterruptedException {
        for (int i = 0; i < 240; i++) {
            try {
                if (get("/readyz").statusCode() == 200) {
                    return this;
                }
            } catch (IOException e) {
                // not listening yet
            }
            if (process.waitFor(500, TimeUnit.MILLISECONDS)) {
                break;
            }
        }
        throw new AssertionError("the service did not come up:\n" + log());
    }

    HttpResponse<String> get(String path) throws IOException, InterruptedException {
        return CLIENT.send(request(path).build(), HttpResponse.BodyHandlers.ofString());
    }

    HttpResponse<String> post(String path, String json) throws IOException, InterruptedException {
        return CLIENT.send(request(path).header("Content-Type", "application/json").POST(HttpRequest.BodyPublishers.ofString(json)).build(),
                HttpResponse.BodyHandlers.ofString());
    }

    HttpResponse<String> put(String path, byte[] body, String... headers) throws IOException, InterruptedException {
        return CLIENT.send(request(path).headers(headers).PUT(HttpRequest.BodyPublishers.ofByteArray(body)).build(),
                HttpResponse.BodyHandlers.ofString());
    }

    /** Ends it as if the power had gone. */
    void kill() {
        process.destroyForcibly().onExit().join();
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path)).timeout(Duration.ofSeconds(60));
    }

    /** Files of native code that it has mapped. */
    List<String> nativeLibraries() throws IOException {
        try (var maps = Files.lines(Path.of("/proc/" + process.pid() + "/maps"))) {
            return maps.map(line -> line.replaceFirst("^(\\S+\\s+){5}", "")).filter(file -> file.contains(".so")).distinct().toList();
        }
    }

    /** @return the exit status of a process that ends by itself */
    int ended() throws InterruptedException {
        if (!process.waitFor(120, TimeUnit.SECONDS)) {
            throw new AssertionError("it still runs");
        }
        return process.exitValue();
    }

    String log() throws IOException {
        return Files.readString(log);
    }

    @Override
    public void close() {
        process.destroy();
        try {
            process.onExit().orTimeout(60, TimeUnit.SECONDS).join();
        } catch (CompletionException e) {
            process.destroyForcibly().onExit().join();
        }
    }
}
