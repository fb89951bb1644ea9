package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import io.espalier.remote.HubServer;
import org.junit.jupiter.api.Test;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Directories under a root become models with a name: looked into, listed, forgotten. */
@ApiTest
class ModelsTest {

    private static final Path FIXTURES = Path.of("src/test/resources/fixtures");
    private static final Path ROOT = Path.of("target/api-test/root").toAbsolutePath();
    private static final AtomicInteger NUMBERS = new AtomicInteger();

    private final Api api;
    private final int number = NUMBERS.incrementAndGet();
    private final String name = "model-" + number;

    ModelsTest(@LocalServerPort int port) {
        api = new Api(port);
    }

    private Path laid(String fixture) throws IOException {
        Path target = Files.createDirectories(ROOT.resolve("models-" + ProcessHandle.current().pid() + "-" + number));
        Path bundled = Path.of("src/main/resources/demo").resolve(fixture);
        try (Stream<Path> files = Files.list(Files.exists(bundled) ? bundled : FIXTURES.resolve(fixture))) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Files.copy(file, target.resolve(file.getFileName()));
            }
        }
        return target;
    }

    private Api.Answer post(String json) {
        return api.send("POST", "/v1/models", json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json");
    }

    private Api.Answer register(String as, Path directory) {
        return post("{\"name\": \"" + as + "\", \"path\": \"" + directory + "\"}");
    }

    private String refusal(Path directory) {
        Api.Answer answer = register(name, directory);
        assertThat(answer.code()).isEqualTo("invalid_model");
        return answer.violations().get("path");
    }

    @Test
    void aDirectoryIsLookedIntoAtOnceAndItsFilesAreSummedUpLater() throws IOException {
        Path directory = laid("tiny-qwen2moe");
        Api.Answer answer = register(name, directory);
        assertThat(answer.status()).as(answer.text()).isEqualTo(201);
        assertThat(answer.header("Location")).isEqualTo("/v1/models/" + name);
        JsonNode model = answer.json();
        assertThat(model.path("state").stringValue()).isEqualTo("ready");
        assertThat(model.path("kind").stringValue()).isEqualTo("registered");
        assertThat(model.at("/source/path").stringValue()).isEqualTo(directory.toString());
        assertThat(model.path("inspection")).isEqualTo(JsonMapper.shared().readTree("""
                {"architecture": "qwen2_moe", "supported": true, "prunable": true, "reasons": [],
                 "parameters": {"total": 3452032, "active": 1682560, "routed": 2359296}, "layers": 4,
                 "experts": {"layers": 4, "routed": 16, "shared": 1, "per_token": 4, "min_width": 96, "max_width": 96, "shared_width": 192,
                             "atoms": 6144},
                 "hidden_size": 128, "vocab_size": 2048, "max_positions": 1024, "tied_head": false, "dtypes": {"BF16": 251}, "tensors": 251,
                 "tensor_bytes": 6904064, "tokenizer": {"file": "tokenizer.json", "type": "bpe"}}"""));
        await().atMost(Duration.ofSeconds(60)).until(
                () -> !api.get("/v1/models/" + name).json().path("files").get(0).path("sha256").isNull());
        for (JsonNode file : api.get("/v1/models/" + name).json().path("files")) {
            assertThat(file.path("sha256").stringValue())
                    .isEqualTo(HubServer.hex("SHA-256", Files.readAllBytes(directory.resolve(file.path("name").stringValue()))));
        }
        String order = Posted.SHORTEST.replace("tiny-qwen2moe", name);
        String job = api.ordered(order);
        assertThat(api.send("DELETE", "/v1/models/" + name, null).code()).isEqualTo("model_in_use");
        api.post("/v1/pruning-jobs/" + job + "/cancel");
        assertThat(api.send("DELETE", "/v1/models/" + name, null).status()).isEqualTo(204);
        assertThat(directory.resolve("config.json")).exists();
        assertThat(api.order(order).violations().get("model")).startsWith(name + " -> an absolute path, or one of the registered models ");
    }

    @Test
    void aModelThatCannotBePrunedIsRegisteredWithTheReason() throws IOException {
        Path directory = laid("tiny-deepseek-moe-v1");
        Path config = directory.resolve("config.json");
        Files.writeString(config, Files.readString(config).replaceFirst("\"model_type\": \"[a-z0-9_]+\"", "\"model_type\": \"gpt_oss\""));
        JsonNode inspection = register(name, directory).json().path("inspection");
        assertThat(inspection.path("supported").booleanValue()).isFalse();
        assertThat(inspection.at("/reasons/0").stringValue())
                .startsWith("config.json: model_type: \"gpt_oss\" (expected: one of [qwen2_moe");
        assertThat(inspection.at("/parameters/total").longValue()).isPositive();
        assertThat(inspection.at("/parameters/active").isNull()).isTrue();
        assertThat(api.order(Posted.SHORTEST.replace("tiny-qwen2moe", name)).violations().get("model"))
                .startsWith(name + " -> a model that can be pruned: config.json: model_type");
    }

    @Test
    void aDirectoryThatBecameALinkOutOfTheRootsIsNotOpened() throws IOException {
        Path directory = laid("tiny-deepseek-moe-v1");
        assertThat(register(name, directory).status()).isEqualTo(201);
        Files.move(directory, directory.resolveSibling(directory.getFileName() + "-aside"));
        Files.createSymbolicLink(directory, Path.of("/etc"));
        assertThat(api.order(Posted.SHORTEST.replace("tiny-qwen2moe", name)).violations().get("model"))
                .contains("a directory that exists under one of the roots");
    }

    @Test
    void aDirectoryThatHoldsNoCheckpointIsRefusedWithWhatIsWrong() throws IOException {
        Path directory = laid("tiny-llama");
        Path weights = directory.resolve("model.safetensors");
        byte[] whole = Files.readAllBytes(weights);
        Files.write(weights, java.util.Arrays.copyOf(whole, 100));
        assertThat(refusal(directory)).contains("a checkpoint in safetensors; model.safetensors: header length: ");
        Files.delete(weights);
        assertThat(refusal(directory)).endsWith("weights: none (expected: model.safetensors or model.safetensors.index.json)");
        Files.writeString(directory.resolve("model.safetensors.index.json"), "{\"weight_map\": {\"a\": \"../x.safetensors\"}}");
        assertThat(refusal(directory)).contains("shard of tensor 'a': \"../x.safetensors\" (expected: a plain file name");
        Files.delete(directory.resolve("model.safetensors.index.json"));
        Files.createSymbolicLink(weights, Path.of("/etc/hostname"));
        assertThat(refusal(directory)).contains("a directory whose files exist under one of the roots");
        Files.delete(weights);
        Files.write(weights, whole);
        try (RandomAccessFile sparse = new RandomAccessFile(directory.resolve("config.json").toFile(), "rw")) {
            sparse.setLength(100_000_000);
        }
        assertThat(refusal(directory)).endsWith("config.json: bytes: 100000000 (expected: at most 16777216)");
        Files.delete(directory.resolve("config.json"));
        assertThat(refusal(directory)).endsWith("config.json: missing (expected: a file)");
        assertThat(refusal(ROOT.resolve("not-there"))).contains("a directory that exists under one of the roots");
        assertThat(refusal(Path.of("/etc"))).contains("a directory that exists under one of the roots");
        assertThat(api.get("/v1/models/" + name).status()).isEqualTo(404);
    }

    @Test
    void everythingThatIsWrongIsSaidAtOnce() {
        Api.Answer answer = post(
                """
                        {"name": "../naïve", "project": "Not One", "path": "relative", "description": 7, "surplus": 1, "source": {"s3": "s3://x"}}""");
        assertThat(answer.status()).isEqualTo(422);
        assertThat(answer.violations()).containsOnlyKeys("name", "project", "path", "description", "surplus", "source.s3");
        assertThat(post("{\"name\": \"a\", \"path\": \"/etc\", \"source\": {\"s3\": \"s3://bucket/x\"}}").violations()).containsEntry("",
                "2 of path, source and upload -> exactly one of them");
        assertThat(post("{\"name\": \"a\"}").violations()).containsEntry("", "none of path, source and upload -> exactly one of them");
        assertThat(post("[]").code()).isEqualTo("invalid_model");
        assertThat(post("{\"name\": \"a\\u0000b\", \"path\": \"/x\"}").violations()).containsKey("name");
        assertThat(post("{").code()).isEqualTo("malformed_json");
        assertThat(post("{\"path\": \"/etc\"}").violations()).containsKeys("name", "path");
    }

    @Test
    void ofManyThatWantANameAtOnceOneGetsIt() throws Exception {
        Path directory = laid("tiny-llama");
        List<Callable<Integer>> posts = IntStream.range(0, 8).<Callable<Integer>>mapToObj(_ -> () -> register(name, directory).status())
                .toList();
        List<Integer> statuses = new ArrayList<>();
        try (ExecutorService many = Executors.newFixedThreadPool(8)) {
            for (Future<Integer> answer : many.invokeAll(posts)) {
                statuses.add(answer.get());
            }
        }
        assertThat(statuses).containsOnlyOnce(201).filteredOn(status -> status == 409).hasSize(7);
        assertThat(register("tiny-qwen2moe", directory).code()).isEqualTo("model_exists");
        assertThat(api.send("DELETE", "/v1/models/tiny-qwen2moe", null).code()).isEqualTo("model_state");
    }

    @Test
    void aNameIsItsProjectsAndTheBundledModelIsEverybodys() throws IOException {
        Path directory = laid("tiny-llama");
        String path = "\"path\": \"" + directory + "\"}";
        assertThat(post("{\"name\": \"" + name + "\", \"project\": \"red\", " + path).status()).isEqualTo(201);
        assertThat(post("{\"name\": \"" + name + "\", \"project\": \"blue\", " + path).status()).isEqualTo(201);
        assertThat(api.get("/v1/models/" + name).code()).isEqualTo("model_not_found");
        assertThat(api.get("/v1/models/" + name + "?project=red").json().path("project").stringValue()).isEqualTo("red");
        assertThat(api.get("/v1/models/tiny-qwen2moe?project=red").json().path("kind").stringValue()).isEqualTo("demo");
        assertThat(api.get("/v1/models?project=red").json().path("items")).extracting(item -> item.path("name").stringValue())
                .containsExactly(name, "tiny-qwen2moe");
        assertThat(api.order(Posted.SHORTEST.replace("tiny-qwen2moe", name)).violations()).containsKey("model");
        assertThat(post("{\"name\": \"tiny-qwen2moe\", \"project\": \"red\", " + path).code()).isEqualTo("model_exists");
        assertThat(api.send("DELETE", "/v1/models/" + name + "?project=blue", null).status()).isEqualTo(204);
        assertThat(api.get("/v1/models/" + name + "?project=red").status()).isEqualTo(200);
    }

    @Test
    void aListIsGivenInPagesByName() throws IOException {
        Path directory = laid("tiny-llama");
        for (String part : List.of("c", "a", "b")) {
            post("{\"name\": \"" + name + part + "\", \"project\": \"pages\", \"path\": \"" + directory + "\"}");
        }
        List<String> seen = new ArrayList<>();
        String cursor = "";
        do {
            JsonNode page = api.get("/v1/models?project=pages&limit=1" + cursor).json();
            assertThat(page.path("items")).hasSize(1);
            assertThat(page.path("items").get(0).has("files")).isFalse();
            seen.add(page.path("items").get(0).path("name").stringValue());
            cursor = page.path("next_cursor").isNull() ? null : "&cursor=" + page.path("next_cursor").stringValue();
        } while (cursor != null);
        assertThat(seen).containsExactly(name + "a", name + "b", name + "c", "tiny-qwen2moe");
        assertThat(api.get("/v1/models?cursor=bm9uZQ").code()).isEqualTo("invalid_cursor");
        assertThat(api.get("/v1/models?limit=0").code()).isEqualTo("invalid_request");
        assertThat(api.get("/v1/models?project=%00").code()).isEqualTo("invalid_request");
        assertThat(api.get("/v1/models/%00").status()).isIn(400, 404);
        assertThat(api.get("/v1/models/na%C3%AFve").code()).isEqualTo("model_not_found");
    }
}
