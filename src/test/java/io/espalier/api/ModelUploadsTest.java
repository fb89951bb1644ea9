package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

import io.espalier.remote.HubServer;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.jdbc.core.JdbcTemplate;
import tools.jackson.databind.JsonNode;

/** Models that clients send in parts. */
@ApiTest
class ModelUploadsTest {

    private static final Path MODEL = Path.of("src/test/resources/fixtures/tiny-llama");
    private static final List<String> FILES = List.of("config.json", "model.safetensors", "tokenizer.json");
    private static final AtomicInteger NUMBERS = new AtomicInteger();
    private static final int PART = 1 << 20;

    private final Api api;
    private final JdbcTemplate jdbc;
    private final Path catalog;
    private final String name = "upload-" + NUMBERS.incrementAndGet();

    ModelUploadsTest(@LocalServerPort int port, JdbcTemplate jdbc, @Value("${espalier.data-dir}") Path data) {
        this.api = new Api(port);
        this.jdbc = jdbc;
        this.catalog = data.resolve("catalog");
    }

    private Api.Answer post(String json) {
        return api.send("POST", "/v1/models", json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json");
    }

    private static String entry(String file, long bytes, String sha256) {
        return "{\"name\": \"" + file + "\", \"bytes\": " + bytes + ", \"sha256\": \"" + sha256 + "\"}";
    }

    private Api.Answer announce(String... entries) {
        return post("{\"name\": \"" + name + "\", \"upload\": {\"files\": [" + String.join(",", entries) + "]}}");
    }

    private void announceModel() throws IOException {
        StringBuilder entries = new StringBuilder();
        for (String file : FILES) {
            byte[] content = Files.readAllBytes(MODEL.resolve(file));
            entries.append(entries.isEmpty() ? "" : ",").append(entry(file, content.length, HubServer.hex("SHA-256", content)));
        }
        Api.Answer answer = announce(entries.toString());
        assertThat(answer.status()).as(answer.text()).isEqualTo(201);
        assertThat(answer.json().path("state").stringValue()).isEqualTo("uploading");
    }

    private Api.Answer put(String file, byte[] body, String range) {
        String[] headers = range == null
                ? new String[]{"Content-Type", "application/octet-stream"}
                : new String[]{"Content-Type", "application/octet-stream", "Content-Range", range};
        return api.send("PUT", "/v1/models/" + name + "/files/" + file, body, headers);
    }

    private void sendWhole(String file, byte[] content) {
        for (int at = 0; at < content.length; at += PART) {
            byte[] part = Arrays.copyOfRange(content, at, Math.min(content.length, at + PART));
            Api.Answer answer = put(file, part, "bytes " + at + "-" + (at + part.length - 1) + "/" + content.length);
            assertThat(answer.status()).as(answer.text()).isEqualTo(200);
            assertThat(answer.header("Upload-Offset")).isEqualTo(String.valueOf(at + part.length));
        }
    }

    private JsonNode completed() {
        Api.Answer answer = api.post("/v1/models/" + name + "/complete");
        assertThat(answer.status()).as(answer.text()).isEqualTo(202);
        await().atMost(Duration.ofSeconds(60)).until(
                () -> !api.get("/v1/models/" + name).json().path("state").stringValue().equals("verifying"));
        return api.get("/v1/models/" + name).json();
    }

    private String id() {
        return jdbc.queryForObject("select id::text from model where name = ?", String.class, name);
    }

    @Test
    void aModelIsSentInPartsCompletedAndForgottenWithItsFiles() throws IOException {
        announceModel();
        assertThat(api.order(Posted.SHORTEST.replace("tiny-qwen2moe", name)).violations()).containsEntry("model",
                name + ", which is uploading -> a model that is ready: send its files, then complete it");
        for (String file : FILES) {
            sendWhole(file, Files.readAllBytes(MODEL.resolve(file)));
        }
        JsonNode model = completed();
        assertThat(model.path("state").stringValue()).as(model.toString()).isEqualTo("ready");
        assertThat(model.path("source").toString()).isEqualTo("{\"upload\":true}");
        assertThat(model.at("/inspection/architecture").stringValue()).isEqualTo("llama");
        assertThat(model.path("bytes_done")).isEqualTo(model.path("bytes_total"));
        String id = id();
        for (String file : FILES) {
            assertThat(catalog.resolve("models").resolve(id).resolve(file)).hasSameBinaryContentAs(MODEL.resolve(file));
        }
        assertThat(put("config.json", new byte[]{1}, "bytes 0-0/677").code()).isEqualTo("model_state");
        assertThat(api.post("/v1/models/" + name + "/complete").code()).isEqualTo("model_state");
        assertThat(api.send("DELETE", "/v1/models/" + name, null).status()).isEqualTo(204);
        assertThat(catalog.resolve("models").resolve(id)).doesNotExist();
        assertThat(catalog.resolve("staging").resolve(id)).doesNotExist();
    }

    @Test
    void aPartThatDoesNotBeginWhereTheFileEndsIsRefusedWithThePlace() throws IOException {
        announceModel();
        byte[] content = Files.readAllBytes(MODEL.resolve("tokenizer.json"));
        int length = content.length;
        assertThat(put("tokenizer.json", Arrays.copyOf(content, 1000), "bytes 0-999/" + length).status()).isEqualTo(200);
        for (String range : List.of("bytes 0-999/" + length, "bytes 2000-2999/" + length)) {
            Api.Answer answer = put("tokenizer.json", Arrays.copyOf(content, 1000), range);
            assertThat(answer.code()).isEqualTo("upload_offset");
            assertThat(answer.json().path("detail").stringValue()).contains("(expected: one that begins at byte 1000");
        }
        assertThat(api.head("/v1/models/" + name + "/files/tokenizer.json").header("Upload-Offset")).isEqualTo("1000");
        assertThat(api.get("/v1/models/" + name + "/files/tokenizer.json").json().path("received").intValue()).isEqualTo(1000);
        for (String range : List.of("bytes 1000-1999/" + (length + 1), "bytes 1000-999/" + length, "bytes 0-" + length + "/" + length,
                "bytes */" + length, "words 0-9/" + length, "bytes 99999999999999999999-9/" + length)) {
            assertThat(put("tokenizer.json", Arrays.copyOf(content, 1000), range).code()).as(range).isEqualTo("invalid_request");
        }
        assertThat(put("tokenizer.json", new byte[10], "bytes 1000-1999/" + length).code()).as("another length")
                .isEqualTo("invalid_request");
        assertThat(put("other.json", new byte[10], null).code()).isEqualTo("file_not_found");
        assertThat(put("..%2Fconfig.json", new byte[10], null).status()).isIn(400, 404);
        assertThat(api.send("PUT", "/v1/models/" + name + "/files/config.json", new byte[10], "Content-Type", "text/plain").code())
                .isEqualTo("unsupported_media_type");
        Api.Answer large = put("model.safetensors", new byte[PART + 1], "bytes 0-" + PART + "/2267456");
        assertThat(large.code()).isEqualTo("body_too_large");
    }

    @Test
    void ofAPartThatBreaksOffStaysWhatCame() throws Exception {
        announceModel();
        byte[] content = Files.readAllBytes(MODEL.resolve("tokenizer.json"));
        try (Socket socket = new Socket("127.0.0.1", api.port())) {
            socket.getOutputStream().write(("PUT /v1/models/" + name + "/files/tokenizer.json HTTP/1.1\r\nHost: x\r\n"
                    + "Content-Type: application/octet-stream\r\nContent-Range: bytes 0-49999/" + content.length
                    + "\r\nContent-Length: 50000\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
            socket.getOutputStream().write(content, 0, 20_000);
            socket.getOutputStream().flush();
            await().atMost(Duration.ofSeconds(30)).until(
                    () -> api.get("/v1/models/" + name + "/files/tokenizer.json").json().path("received").intValue() == 20_000);
            assertThat(put("tokenizer.json", new byte[10], "bytes 20000-20009/" + content.length).json().path("detail").stringValue())
                    .contains("while another one is being received");
        }
        byte[] rest = Arrays.copyOfRange(content, 20_000, content.length);
        await().atMost(Duration.ofSeconds(30)).until(
                () -> put("tokenizer.json", rest, "bytes 20000-" + (content.length - 1) + "/" + content.length).status() == 200);
    }

    /** A body may go on behind what it said it was: until it has ended nobody may take the file for whole, lest it is cut short when it is published. */
    @Test
    void aFileIsNotWholeBeforeTheBodyHasEnded() throws Exception {
        announceModel();
        for (String file : List.of("config.json", "model.safetensors")) {
            sendWhole(file, Files.readAllBytes(MODEL.resolve(file)));
        }
        byte[] content = Files.readAllBytes(MODEL.resolve("tokenizer.json"));
        try (Socket socket = new Socket("127.0.0.1", api.port())) {
            OutputStream out = socket.getOutputStream();
            out.write(("PUT /v1/models/" + name + "/files/tokenizer.json HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
                    + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + Integer.toHexString(content.length) + "\r\n")
                    .getBytes(StandardCharsets.US_ASCII));
            out.write(content);
            out.write("\r\n".getBytes(StandardCharsets.US_ASCII));
            out.flush();
            await().atMost(Duration.ofSeconds(30)).until(() -> api.get("/v1/models/" + name + "/files/tokenizer.json").json()
                    .path("received").intValue() >= content.length - 1);
            assertThat(api.post("/v1/models/" + name + "/complete").violations()).containsKey("files.tokenizer.json");
            out.write("1\r\nx\r\n0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            out.flush();
            assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8)).startsWith("HTTP/1.1 400")
                    .contains("the body goes on after its " + content.length + " bytes");
        }
        assertThat(api.head("/v1/models/" + name + "/files/tokenizer.json").header("Upload-Offset")).isEqualTo("0");
        sendWhole("tokenizer.json", content);
        assertThat(completed().path("state").stringValue()).isEqualTo("ready");
    }

    @Test
    void whatIsNotWholeIsNotCompletedAndWhatIsWrongIsSentAgain() throws IOException {
        announceModel();
        sendWhole("config.json", Files.readAllBytes(MODEL.resolve("config.json")));
        byte[] weights = Files.readAllBytes(MODEL.resolve("model.safetensors"));
        put("model.safetensors", Arrays.copyOf(weights, 5), "bytes 0-4/" + weights.length);
        Api.Answer incomplete = api.post("/v1/models/" + name + "/complete");
        assertThat(incomplete.code()).isEqualTo("invalid_model");
        assertThat(incomplete.violations()).containsOnlyKeys("files.model.safetensors", "files.tokenizer.json")
                .containsEntry("files.model.safetensors", "5 bytes -> " + weights.length + " bytes; go on at byte 5");
        byte[] bent = weights.clone();
        bent[bent.length - 1] ^= 1;
        for (int at = 5; at < bent.length; at += PART) {
            byte[] part = Arrays.copyOfRange(bent, at, Math.min(bent.length, at + PART));
            put("model.safetensors", part, "bytes " + at + "-" + (at + part.length - 1) + "/" + bent.length);
        }
        sendWhole("tokenizer.json", Files.readAllBytes(MODEL.resolve("tokenizer.json")));
        JsonNode model = completed();
        assertThat(model.path("state").stringValue()).isEqualTo("uploading");
        assertThat(model.path("reason").stringValue()).startsWith("not what was announced, and dropped: model.safetensors (expected: ");
        assertThat(api.head("/v1/models/" + name + "/files/model.safetensors").header("Upload-Offset")).isEqualTo("0");
        assertThat(api.head("/v1/models/" + name + "/files/config.json").header("Upload-Offset")).isEqualTo("677");
        sendWhole("model.safetensors", weights);
        assertThat(completed().path("state").stringValue()).isEqualTo("ready");
    }

    @Test
    void filesThatAreNoCheckpointFail() {
        byte[] config = "{\"model_type\": 7}".getBytes(StandardCharsets.UTF_8);
        announce(entry("config.json", config.length, HubServer.hex("SHA-256", config)), entry("model.safetensors", 0,
                HubServer.hex("SHA-256", new byte[0])));
        sendWhole("config.json", config);
        JsonNode model = completed();
        assertThat(model.path("state").stringValue()).isEqualTo("failed");
        assertThat(model.path("reason").stringValue()).startsWith("it is no checkpoint: model.safetensors: file length: 0 ");
    }

    @Test
    void namesThatLeadElsewhereAndFiguresWithoutSenseAreRefusedTogether() {
        String sum = "0".repeat(64);
        Api.Answer answer = announce(entry("../config.json", 1, sum), entry("/etc/passwd", 1, sum), entry("a".repeat(200), 1, sum),
                entry(".hidden", 1, sum), entry("two words", 1, sum), entry("naïve", 1, sum), entry("config.json", -1, "abc"),
                entry("ok.json", 1, sum), entry("ok.json", 1, sum), entry("a\\u0000b", 1, sum));
        assertThat(answer.code()).isEqualTo("invalid_model");
        assertThat(answer.violations().keySet()).contains("upload.files[0].name", "upload.files[1].name", "upload.files[2].name",
                "upload.files[3].name", "upload.files[4].name", "upload.files[5].name", "upload.files[6].bytes", "upload.files[6].sha256",
                "upload.files[8].name", "upload.files[9].name");
        assertThat(announce(entry("model.safetensors", 1, sum)).violations().get("upload.files"))
                .contains("config.json and model.safetensors");
        assertThat(announce().violations()).containsKey("upload.files");
    }

    @Test
    void whatNoDiskHoldsIsRefusedAndLeavesNothing() {
        String sum = "0".repeat(64);
        Api.Answer full = announce(entry("config.json", 1, sum), entry("model.safetensors", 7_000_000_000_000_000L, sum));
        assertThat(full.status()).isEqualTo(507);
        assertThat(full.code()).isEqualTo("disk_full");
        assertThat(api.get("/v1/models/" + name).status()).isEqualTo(404);
        Api.Answer large = announce(entry("config.json", 9_000_000_000_000_000L, sum),
                entry("model.safetensors", 9_000_000_000_000_000L, sum));
        assertThat(large.violations().get("upload.files")).contains("espalier.models.max-bytes");
    }
}
