package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Map;

import io.espalier.objectstore.CuttingProxy;
import io.espalier.objectstore.S3Server;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;
import tools.jackson.databind.JsonNode;

/** Downloads of artifacts that lie in S3-compatible storage. */
@ApiTest
@DirtiesContext
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class S3DownloadsTest {

    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static CuttingProxy proxy;

    private final Api api;
    private final Runs runs;
    private String artifact;

    S3DownloadsTest(@LocalServerPort int port, Runs runs) {
        api = new Api(port);
        this.runs = runs;
    }

    @DynamicPropertySource
    static void storage(DynamicPropertyRegistry registry) throws Exception {
        proxy = new CuttingProxy(S3Server.port());
        for (String property : S3Server.properties(proxy.port(), S3Server.bucket())) {
            registry.add(property.substring(0, property.indexOf('=')), () -> property.substring(property.indexOf('=') + 1));
        }
        registry.add("espalier.s3.retry-for", () -> "500ms");
    }

    @BeforeAll
    void a_job_succeeds() {
        artifact = "/v1/artifacts/" + runs.succeed(api.ordered(Posted.SHORTEST));
    }

    @AfterAll
    void close() throws Exception {
        proxy.close();
    }

    @Test
    void every_file_is_fetched_at_a_signed_address() throws Exception {
        JsonNode listing = api.get(artifact).json();
        assertThat(listing.path("store").stringValue()).isEqualTo("s3");
        for (JsonNode file : listing.path("files")) {
            Api.Answer answer = api.get(file.path("href").stringValue());
            assertThat(answer.status()).isEqualTo(307);
            assertThat(answer.header("Cache-Control")).isEqualTo("no-store");
            assertThat(answer.header("Repr-Digest")).isEqualTo("sha-256=:"
                    + Base64.getEncoder().encodeToString(HexFormat.of().parseHex(file.path("sha256").stringValue())) + ":");
            assertThat(answer.header("Location")).doesNotContain(S3Server.SECRET_KEY);
            HttpResponse<byte[]> fetched = fetch(answer.header("Location"));
            assertThat(fetched.statusCode()).isEqualTo(200);
            assertThat(fetched.body()).hasSize(file.path("bytes").intValue());
            assertThat(fetched.headers().firstValue("Content-Disposition").orElse("")).startsWith("attachment");
        }
    }

    @Test
    void ranges_are_answered_there_and_head_and_known_tags_here() throws Exception {
        String file = artifact + "/files/model.safetensors";
        HttpResponse<byte[]> part = fetch(api.get(file, "Range", "bytes=10-12").header("Location"), "Range", "bytes=10-12");
        assertThat(part.statusCode()).isEqualTo(206);
        assertThat(part.body()).isEqualTo(Runs.WEIGHTS.substring(10, 13).getBytes());

        Api.Answer head = api.head(file);
        assertThat(head.status()).isEqualTo(200);
        assertThat(head.header("Content-Length")).isEqualTo("36");
        assertThat(api.get(file, "If-None-Match", head.header("ETag")).status()).isEqualTo(304);
    }

    @Test
    void an_archive_is_streamed_from_there() throws Exception {
        Map<String, String> files = ArtifactsApiTest.untarred(api.get(artifact + "/archive").body());
        assertThat(files).hasSize(6).containsEntry(artifact.substring(artifact.lastIndexOf('/') + 1) + "/model.safetensors", Runs.WEIGHTS);
    }

    @Test
    void storage_that_is_away_is_said_to_be() {
        String own = "/v1/artifacts/" + runs.succeed(api.ordered(Posted.SHORTEST));
        proxy.refuse(true);
        try {
            // the first bytes are the service's own; what comes after cannot be had
            Api.Answer answer = api.get(own + "/archive", "Range", "bytes=512-600");
            assertThat(answer.status()).isEqualTo(503);
            assertThat(answer.code()).isEqualTo("unavailable");
            assertThat(answer.text()).doesNotContain("127.0.0.1");
            assertThat(answer.header("ETag")).isNull();
            assertThat(answer.header("Content-Range")).isNull();
            assertThat(answer.header("Cache-Control")).isEqualTo("no-store");
        } finally {
            proxy.refuse(false);
        }
    }

    @Test
    void a_deleted_artifact_leaves_no_object() throws Exception {
        String own = "/v1/artifacts/" + runs.succeed(api.ordered(Posted.SHORTEST));
        String address = api.get(own + "/files/config.json").header("Location");
        assertThat(fetch(address).statusCode()).isEqualTo(200);

        assertThat(api.send("DELETE", own, null).status()).isEqualTo(204);
        assertThat(fetch(address).statusCode()).isEqualTo(404);
        assertThat(api.get(own).code()).isEqualTo("artifact_deleted");
    }

    private static HttpResponse<byte[]> fetch(String address, String... headers) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(address));
        if (headers.length > 0) {
            request.headers(headers);
        }
        return CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
    }
}
