package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

import io.espalier.TestDatabase;
import io.espalier.objectstore.S3Server;
import io.espalier.remote.HubServer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.test.context.ContextConfiguration;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;
import org.springframework.test.context.TestConstructor;
import tools.jackson.databind.JsonNode;

/** Models that lie elsewhere: at a hub, in a bucket; and what elsewhere may do to them. */
@SpringBootTest(webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT, properties = {"espalier.worker.enabled=false",
        "espalier.egress.allow=127.0.0.1", "espalier.egress.http=true", "espalier.models.retries=2", "espalier.models.retry-backoff=5ms",
        "espalier.models.max-bytes=20MB", "espalier.models.keep-free=0B", "espalier.models.token-hosts=127.0.0.1",
        "espalier.secrets.directory=${user.dir}/target/api-test/secrets", "espalier.s3.path-style=true", "espalier.s3.retry-for=0s"})
@ContextConfiguration(initializers = TestDatabase.class)
@TestConstructor(autowireMode = TestConstructor.AutowireMode.ALL)
class ModelSourcesTest {

    private static final Path FIXTURES = Path.of("src/test/resources/fixtures");
    private static final Path SHARDED = FIXTURES.resolve("tiny-deepseek-moe-v1");
    private static final String SECRET = "hf_the-secret-itself";
    private static final String WEIGHTS = "model-00002-of-00005.safetensors";
    private static final AtomicInteger NUMBERS = new AtomicInteger();
    private static String bucket;

    private final Api api;
    private final JdbcTemplate jdbc;
    private final Path catalog;
    private final String name = "elsewhere-" + NUMBERS.incrementAndGet();
    private HubServer hub;

    ModelSourcesTest(@LocalServerPort int port, JdbcTemplate jdbc, @Value("${espalier.data-dir}") Path data) throws IOException {
        this.api = new Api(port);
        this.jdbc = jdbc;
        this.catalog = data.resolve("catalog");
        Path secrets = Files.createDirectories(Path.of("target/api-test/secrets"));
        Files.writeString(secrets.resolve("hub-token"), SECRET + "\n");
    }

    @DynamicPropertySource
    static void storage(DynamicPropertyRegistry registry) {
        bucket = S3Server.bucket();
        registry.add("espalier.models.buckets", () -> bucket + ",no-such-bucket");
        registry.add("espalier.s3.endpoint", () -> "http://127.0.0.1:" + S3Server.port());
        registry.add("espalier.s3.access-key", () -> S3Server.ACCESS_KEY);
        registry.add("espalier.s3.secret-key", () -> S3Server.SECRET_KEY);
    }

    @AfterEach
    void closeHub() {
        if (hub != null) {
            hub.close();
        }
    }

    private HubServer hub(Path directory) {
        hub = new HubServer(directory);
        return hub;
    }

    private Api.Answer post(String source) {
        return api.send("POST", "/v1/models", ("{\"name\": \"" + name + "\", \"source\": " + source + "}").getBytes(StandardCharsets.UTF_8),
                "Content-Type", "application/json");
    }

    private void fetch(String source) {
        Api.Answer answer = post(source);
        assertThat(answer.status()).as(answer.text()).isEqualTo(202);
        assertThat(answer.header("Location")).isEqualTo("/v1/models/" + name);
    }

    private String https() {
        return "{\"https\": \"" + hub.base() + "\"}";
    }

    private JsonNode settled() {
        await().atMost(Duration.ofSeconds(90)).until(() -> !state().equals("fetching"));
        return api.get("/v1/models/" + name).json();
    }

    private String state() {
        return api.get("/v1/models/" + name).json().path("state").stringValue();
    }

    private String id() {
        return jdbc.queryForObject("select id::text from model where name = ?", String.class, name);
    }

    private String failure() {
        JsonNode model = settled();
        assertThat(model.path("state").stringValue()).as(model.toString()).isEqualTo("failed");
        return model.path("reason").stringValue();
    }

    private JsonNode ready() {
        JsonNode model = settled();
        assertThat(model.path("state").stringValue()).as(model.toString()).isEqualTo("ready");
        return model;
    }

    private static Path copyOf(Path source, Path target) throws IOException {
        Files.createDirectories(target);
        try (Stream<Path> files = Files.list(source)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Files.copy(file, target.resolve(file.getFileName()));
            }
        }
        return target;
    }

    @Test
    void aRepositoryIsFetchedWholeAndOfOneCommitAndTheTokenGoesToItsOriginAlone() throws IOException {
        hub(SHARDED).guarded(SECRET);
        fetch("{\"https\": \"" + hub.base() + "/\", \"revision\": \"refs/pr-1\", \"token_ref\": \"hub-token\"}");
        JsonNode model = ready();

        assertThat(model.path("revision").stringValue()).isEqualTo(HubServer.COMMIT);
        assertThat(model.path("source").toString()).isEqualTo("{\"https\":\"" + hub.base()
                + "\",\"revision\":\"refs/pr-1\",\"token_ref\":\"hub-token\"}");
        assertThat(model.at("/inspection/architecture").stringValue()).isEqualTo("deepseek");
        assertThat(model.at("/inspection/prunable").booleanValue()).isTrue();
        assertThat(model.path("bytes_done")).isEqualTo(model.path("bytes_total"));
        assertThat(model.path("files")).extracting(file -> file.path("name").stringValue()).containsExactly("config.json",
                "generation_config.json", "model-00001-of-00005.safetensors", WEIGHTS, "model-00003-of-00005.safetensors",
                "model-00004-of-00005.safetensors", "model-00005-of-00005.safetensors", "model.safetensors.index.json",
                "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json");
        for (JsonNode file : model.path("files")) {
            byte[] content = Files.readAllBytes(SHARDED.resolve(file.path("name").stringValue()));
            assertThat(file.path("bytes").longValue()).isEqualTo(content.length);
            assertThat(file.path("sha256").stringValue()).isEqualTo(HubServer.hex("SHA-256", content));
        }
        assertThat(hub.requests()).first().isEqualTo("hub HEAD refs/config.json - Bearer " + SECRET);
        assertThat(hub.requests()).contains("hub GET " + HubServer.COMMIT + "/" + WEIGHTS + " - Bearer " + SECRET, "store GET " + WEIGHTS
                + " - -").noneMatch(request -> request.startsWith("store") && request.contains(SECRET));
        assertThat(jdbc.queryForList("select to_jsonb(model) #>> '{}' from model", String.class)).isNotEmpty()
                .noneMatch(row -> row.contains(SECRET));
        await().atMost(Duration.ofSeconds(30)).until(() -> Files.notExists(catalog.resolve("staging").resolve(id())));
        assertThat(catalog.resolve("models").resolve(id())).isDirectory();
        assertThat(api.order(Posted.SHORTEST.replace("tiny-qwen2moe", name)).status()).isEqualTo(202);
        assertThat(api.send("DELETE", "/v1/models/" + name, null).code()).isEqualTo("model_in_use");
    }

    @Test
    void aConnectionThatBreaksIsTakenUpWhereItBroke() {
        hub(SHARDED).fault(WEIGHTS, HubServer.cutAfter(300_000));
        fetch(https());
        JsonNode model = ready();

        assertThat(hub.requests()).contains("store GET " + WEIGHTS + " - -", "store GET " + WEIGHTS + " bytes=300000- -",
                "store GET " + WEIGHTS + " bytes=600000- -", "store GET " + WEIGHTS + " bytes=900000- -");
        assertThat(model.path("files").get(3).path("sha256").stringValue()).hasSize(64);
    }

    @Test
    void aServerFromWhichNothingComesFailsTheModelAndTheSamePostGoesOn() {
        hub(SHARDED).fault(WEIGHTS, HubServer.status(503));
        fetch(https());
        assertThat(failure()).endsWith(WEIGHTS + ": answered 503 (expected: 200)");
        assertThat(api.order(Posted.SHORTEST.replace("tiny-qwen2moe", name)).violations()).containsEntry("model", name
                + ", which is failed -> a model that is ready: http://127.0.0.1:" + hub.base().replaceAll(".*:(\\d+)/.*", "$1") + ": "
                + WEIGHTS + ": answered 503 (expected: 200)");
        assertThat(post("{\"https\": \"" + hub.base() + "-other\"}").code()).isEqualTo("model_exists");

        hub.mend();
        hub.requests().clear();
        fetch(https());
        ready();
        assertThat(hub.requests()).anyMatch(request -> request.startsWith("store GET " + WEIGHTS)).noneMatch(
                request -> request.contains("GET") && request.contains("model-00001"));
        assertThat(post(https()).code()).isEqualTo("model_exists");
    }

    @Test
    void aServerThatIsBusyIsAskedAgain() {
        AtomicInteger asked = new AtomicInteger();
        hub(FIXTURES.resolve("tiny-llama")).headFault("config.json",
                (exchange, content) -> asked.incrementAndGet() < 3 && HubServer.status(429).happens(exchange, content));
        fetch(https());
        assertThat(ready().at("/inspection/reasons/0").stringValue())
                .isEqualTo("no layer has routed experts (expected: a Mixture-of-Experts model)");
        assertThat(api.order(Posted.SHORTEST.replace("tiny-qwen2moe", name)).violations()).containsEntry("model",
                name + " -> a model that can be pruned: no layer has routed experts (expected: a Mixture-of-Experts model)");
    }

    @Test
    void bytesThatDoNotSumUpToWhatWasPromisedAreNotTaken() {
        hub(SHARDED).fault(WEIGHTS, (exchange, content) -> {
            byte[] bent = content.clone();
            bent[bent.length / 2] ^= 1;
            exchange.sendResponseHeaders(200, bent.length);
            exchange.getResponseBody().write(bent);
            return true;
        });
        fetch(https());
        assertThat(failure()).startsWith(WEIGHTS + " does not sum up to what its server promised, ").endsWith(", fetched twice");
        assertThat(hub.requests().stream().filter(request -> request.startsWith("store GET " + WEIGHTS))).hasSize(2);
    }

    /** The index is a stranger's: what it names becomes a part of an address and the name of a file here. */
    @Test
    void aShardWithANameThatIsNoFilesNameIsNotAskedFor(@TempDir Path temp) throws IOException {
        Files.copy(SHARDED.resolve("config.json"), temp.resolve("config.json"));
        for (String shard : List.of("my shard.safetensors", "%2e%2e%2fx.safetensors", "x?y.safetensors", "ｍodel.safetensors",
                "-rf.safetensors")) {
            Files.writeString(temp.resolve("model.safetensors.index.json"), "{\"weight_map\": {\"a\": \"" + shard + "\"}}");
            hub(temp);
            String model = "named-" + NUMBERS.incrementAndGet();
            api.send("POST", "/v1/models", ("{\"name\": \"" + model + "\", \"source\": " + https() + "}").getBytes(StandardCharsets.UTF_8),
                    "Content-Type", "application/json");
            await().atMost(Duration.ofSeconds(60)).until(
                    () -> api.get("/v1/models/" + model).json().path("state").stringValue().equals("failed"));
            assertThat(api.get("/v1/models/" + model).json().path("reason").stringValue()).as(shard)
                    .startsWith("the index names a shard ").contains("(expected: 1 to 128 ASCII letters");
            assertThat(hub.requests()).noneMatch(request -> request.contains(".safetensors") && !request.contains("index.json"));
            hub.close();
        }
    }

    @Test
    void aRedirectIntoTheNetworkOfTheServiceIsNotFollowed() {
        for (String inside : List.of("http://169.254.169.254/latest/meta-data", "http://10.0.0.7/", "http://[::1]:9/",
                "file:///etc/passwd")) {
            hub(SHARDED).fault("config.json", HubServer.redirect(inside));
            String model = "inside-" + NUMBERS.incrementAndGet();
            api.send("POST", "/v1/models", ("{\"name\": \"" + model + "\", \"source\": " + https() + "}").getBytes(StandardCharsets.UTF_8),
                    "Content-Type", "application/json");
            await().atMost(Duration.ofSeconds(60)).until(
                    () -> api.get("/v1/models/" + model).json().path("state").stringValue().equals("failed"));
            assertThat(api.get("/v1/models/" + model).json().path("reason").stringValue()).as(inside).contains("refused (expected: ");
            hub.close();
        }
    }

    @Test
    void aServerThatNeverEndsIsCutOffAtTheLargestModelThereMayBe() {
        hub(FIXTURES.resolve("tiny-llama")).headFault("model.safetensors", (exchange, _) -> HubServer.status(200).happens(exchange, null));
        hub.fault("model.safetensors", HubServer.endless());
        fetch(https());
        assertThat(failure()).contains("model.safetensors: more than ", "espalier.models.max-bytes");
    }

    @Test
    void aModelThatIsTooLargeIsNotBegun() {
        hub(FIXTURES.resolve("tiny-llama")).headFault("model.safetensors", (exchange, _) -> {
            exchange.getResponseHeaders().add("X-Linked-Size", "123456789012");
            exchange.getResponseHeaders().add("X-Linked-ETag", "\"" + "0".repeat(64) + "\"");
            return HubServer.redirect("http://127.0.0.1:1/").happens(exchange, null);
        });
        fetch(https());
        assertThat(failure()).matches("the model has 1234\\d+ bytes \\(expected: at most 20971520, espalier.models.max-bytes\\)");
        assertThat(hub.requests()).noneMatch(request -> request.contains("GET") && request.contains("model.safetensors"));
    }

    @Test
    void aRepositoryThatIsNoCheckpointFailsWithWhatIsMissing(@TempDir Path temp) throws IOException {
        hub(temp);
        fetch(https());
        assertThat(failure()).startsWith("there is no config.json (expected: a checkpoint in safetensors");
    }

    @Test
    void anIndexThatLeadsElsewhereIsRefused(@TempDir Path temp) throws IOException {
        copyOf(SHARDED, temp.resolve("model"));
        Path index = temp.resolve("model/model.safetensors.index.json");
        Files.writeString(index, Files.readString(index).replace(WEIGHTS, "../" + WEIGHTS));
        hub(temp.resolve("model"));
        fetch(https());
        assertThat(failure()).startsWith("it is no checkpoint: model.safetensors.index.json: shard of tensor ").contains("\"../" + WEIGHTS);
    }

    @Test
    void weightsWithABrokenHeaderFailAndLeaveNothing(@TempDir Path temp) throws IOException {
        copyOf(FIXTURES.resolve("tiny-llama"), temp.resolve("model"));
        Files.write(temp.resolve("model/model.safetensors"), new byte[]{9, 0, 0, 0, 0, 0, 0, 0, '{'});
        hub(temp.resolve("model"));
        fetch(https());
        assertThat(failure()).startsWith("it is no checkpoint: model.safetensors: header length: 9 (expected: at most the 1 bytes");
        String id = id();
        assertThat(catalog.resolve("staging").resolve(id)).doesNotExist();
        assertThat(catalog.resolve("models").resolve(id)).doesNotExist();
    }

    @Test
    void aRepositoryThatWantsATokenSaysSo() {
        hub(SHARDED).guarded(SECRET);
        fetch(https());
        assertThat(failure())
                .endsWith("config.json: answered 401 (expected: 200; the repository needs a token that may read it, see token_ref)");
    }

    @Test
    void aSourceThatMayNotBeAskedIsRefusedBeforeItIs() {
        assertThat(post("{\"https\": \"https://10.1.2.3/org/repo\"}").violations()).containsOnlyKeys("source.https");
        assertThat(post("{\"https\": \"https://user:xyzzy@huggingface.invalid/org/repo\"}").text()).doesNotContain("xyzzy")
                .contains("no user and password");
        assertThat(post("{\"https\": \"ftp://127.0.0.1/org/repo\"}").violations()).containsOnlyKeys("source.https");
        assertThat(post("{\"https\": \"http://127.0.0.1/org/repo?key=mine\"}").text()).doesNotContain("mine").contains("without a query");
        assertThat(post("{\"https\": \"http://127.0.0.1/org/../repo\"}").code()).isEqualTo("invalid_model");
        assertThat(post("{\"https\": \"http://127.0.0.1/org/repo\", \"revision\": \"../x\", \"token_ref\": \"unknown\"}").violations())
                .containsOnlyKeys("source.revision", "source.token_ref");
        assertThat(post("{\"https\": \"http://127.0.0.1/org/repo\", \"token_ref\": \"../secrets/hub-token\"}").violations())
                .containsOnlyKeys("source.token_ref");
        assertThat(post("{\"https\": \"https://localhost/org/repo\", \"token_ref\": \"hub-token\"}").text()).doesNotContain(SECRET)
                .contains("tokens are sent only to 127.0.0.1");
        assertThat(post("{}").violations()).containsEntry("source", "neither s3 nor https -> exactly one of them");
        assertThat(post("{\"s3\": \"s3://secret-bucket/x\"}").violations().get("source.s3")).contains("one of the buckets " + bucket);
        assertThat(post("{\"s3\": \"s3://" + bucket + "/../x\"}").violations()).containsOnlyKeys("source.s3");
        assertThat(api.get("/v1/models/" + name).status()).isEqualTo(404);
    }

    @Test
    void aModelThatIsDeletedWhileItIsFetchedIsGone() {
        hub(SHARDED).fault(WEIGHTS, HubServer.slow(1000, 50));
        fetch(https());
        await().atMost(Duration.ofSeconds(60)).until(() -> hub.requests().stream().anyMatch(request -> request.startsWith("store GET "
                + WEIGHTS)));
        String id = id();
        assertThat(api.send("DELETE", "/v1/models/" + name, null).status()).isEqualTo(204);
        assertThat(api.get("/v1/models/" + name).code()).isEqualTo("model_not_found");
        await().atMost(Duration.ofSeconds(60)).until(() -> Files.notExists(catalog.resolve("staging").resolve(id)));
        assertThat(catalog.resolve("models").resolve(id)).doesNotExist();
    }

    @Test
    void aServerThatIsNotThereFailsTheModel() throws IOException {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        fetch("{\"https\": \"http://127.0.0.1:" + port + "/org/repo\"}");
        assertThat(failure()).startsWith("http://127.0.0.1:" + port + ": no connection");
    }

    @Test
    void aPrefixOfABucketIsFetched() throws IOException {
        try (S3Server.Client client = new S3Server.Client(S3Server.settings(S3Server.port(), bucket));
                Stream<Path> files = Files.list(
                        SHARDED)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                client.store.client().putObject(b -> b.bucket(bucket).key("models/deepseek/" + file.getFileName()), file);
            }
        }
        fetch("{\"s3\": \"s3://" + bucket + "/models/deepseek/\"}");
        JsonNode model = ready();
        assertThat(model.at("/inspection/experts/routed").intValue()).isPositive();
        assertThat(model.path("files")).hasSize(11).allSatisfy(file -> assertThat(file.path("sha256").stringValue())
                .isEqualTo(HubServer.hex("SHA-256", Files.readAllBytes(SHARDED.resolve(file.path("name").stringValue())))));
    }

    @Test
    void aBucketThatIsNotThereAndAPrefixWithNothingFailTheModel() {
        fetch("{\"s3\": \"s3://no-such-bucket/x\"}");
        assertThat(failure()).isEqualTo("s3://no-such-bucket: there is no such bucket");
        assertThat(api.send("DELETE", "/v1/models/" + name, null).status()).isEqualTo(204);
        fetch("{\"s3\": \"s3://" + bucket + "/nothing\"}");
        assertThat(failure()).startsWith("there is no config.json");
    }
}
