package io.espalier.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

import io.espalier.TestDatabase;
import io.espalier.remote.HubServer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A process is killed while one model is fetched and another one sent; the next process goes on. */
class KilledIntakeTest {

    private static final Path MODEL = Path.of("src/test/resources/fixtures/tiny-llama");
    private static final String WEIGHTS = "model.safetensors";

    @TempDir
    private Path temp;

    private final String url = TestDatabase.fresh();

    private Service start() throws Exception {
        return new Service(temp, Databases.arguments(url, "--espalier.worker.enabled=false", "--espalier.egress.allow=127.0.0.1",
                "--espalier.egress.http=true")).ready();
    }

    private static String file(String name, byte[] content) {
        return "{\"name\": \"" + name + "\", \"bytes\": " + content.length + ", \"sha256\": \"" + HubServer.hex("SHA-256", content) + "\"}";
    }

    @Test
    void whatWasFetchedOrSentBeforeAKillIsNotFetchedOrSentAgain() throws Exception {
        byte[] config = Files.readAllBytes(MODEL.resolve("config.json"));
        byte[] weights = Files.readAllBytes(MODEL.resolve(WEIGHTS));
        int half = weights.length / 2;
        try (HubServer hub = new HubServer(MODEL)) {
            hub.fault(WEIGHTS, HubServer.slow(20_000, 100));
            try (Service killed = start()) {
                assertThat(
                        killed.post("/v1/models", "{\"name\": \"fetched\", \"source\": {\"https\": \"" + hub.base() + "\"}}").statusCode())
                        .isEqualTo(202);
                assertThat(killed.post("/v1/models", "{\"name\": \"sent\", \"upload\": {\"files\": [" + file("config.json", config) + ","
                        + file(WEIGHTS, weights) + "]}}").statusCode()).isEqualTo(201);
                byte[] first = java.util.Arrays.copyOf(weights, half);
                assertThat(
                        killed.put("/v1/models/sent/files/" + WEIGHTS, first, "Content-Type", "application/octet-stream", "Content-Range",
                                "bytes 0-" + (half - 1) + "/" + weights.length).statusCode())
                        .isEqualTo(200);
                await().atMost(Duration.ofSeconds(60)).until(() -> largestPart("fetched") > 100_000);
                killed.kill();
            }
            long there = largestPart("fetched");
            hub.mend();
            hub.requests().clear();
            try (Service next = start()) {
                assertThat(next.get("/v1/models/sent/files/" + WEIGHTS).headers().firstValue("Upload-Offset"))
                        .hasValue(String.valueOf(half));
                byte[] rest = java.util.Arrays.copyOfRange(weights, half, weights.length);
                assertThat(next.put("/v1/models/sent/files/" + WEIGHTS, rest, "Content-Type", "application/octet-stream", "Content-Range",
                        "bytes " + half + "-" + (weights.length - 1) + "/" + weights.length).statusCode()).isEqualTo(200);
                assertThat(next.put("/v1/models/sent/files/config.json", config, "Content-Type", "application/octet-stream").statusCode())
                        .isEqualTo(200);
                assertThat(next.post("/v1/models/sent/complete", "").statusCode()).isEqualTo(202);
                for (String name : List.of("sent", "fetched")) {
                    await().atMost(Duration.ofSeconds(90))
                            .until(() -> next.get("/v1/models/" + name).body().contains("\"state\":\"ready\""));
                    assertThat(next.get("/v1/models/" + name).body()).contains(HubServer.hex("SHA-256", weights));
                }
            }
            assertThat(hub.requests()).contains("store GET " + WEIGHTS + " bytes=" + there + "- -");
        }
    }

    /** Of the weights that are being fetched, not of those that are sent: those have half from the start. */
    private long largestPart(String name) throws IOException {
        List<Long> lengths = new ArrayList<>();
        try (Stream<Path> staged = Files.list(temp.resolve("catalog/staging"))) {
            for (Path model : staged.filter(model -> Files.exists(model.resolve("journal.json"))).toList()) {
                Path part = model.resolve("parts").resolve(WEIGHTS);
                lengths.add(Files.exists(part) ? Files.size(part) : 0);
            }
        }
        assertThat(lengths).as(name).hasSizeLessThan(2);
        return lengths.isEmpty() ? 0 : lengths.getFirst();
    }
}
