package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

import io.espalier.TestDatabase;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.test.context.ContextConfiguration;
import org.springframework.test.context.TestConstructor;

/** What a client is told while the keys of webhooks' secrets cannot be had. */
@SpringBootTest(webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT, properties = {"espalier.worker.enabled=false",
        "espalier.egress.allow=127.0.0.1", "espalier.egress.http=true", "espalier.webhooks.deliver=false",
        "espalier.webhooks.key-file=${user.dir}/target/api-test/broken-keys/webhooks.key"})
@ContextConfiguration(initializers = TestDatabase.class)
@TestConstructor(autowireMode = TestConstructor.AutowireMode.ALL)
class WebhookKeysTest {

    private final Api api;
    private final Path keys;

    WebhookKeysTest(@LocalServerPort int port, @Value("${espalier.webhooks.key-file}") Path keys) {
        this.api = new Api(port);
        this.keys = keys;
    }

    @AfterEach
    void forget() throws IOException {
        if (Files.isDirectory(keys.getParent())) {
            Files.deleteIfExists(keys);
        }
        Files.deleteIfExists(keys.getParent());
    }

    private Api.Answer create() {
        return api.send("POST", "/v1/webhooks", "{\"url\": \"http://127.0.0.1:9/\"}".getBytes(StandardCharsets.UTF_8), "Content-Type",
                "application/json");
    }

    private static void holdUnavailable(Api.Answer answer) {
        assertThat(answer.status()).as(answer.text()).isEqualTo(503);
        assertThat(answer.code()).isEqualTo("unavailable");
        assertThat(answer.header("Retry-After")).isNotNull();
        assertThat(answer.json().path("detail").stringValue()).contains("file of keys").doesNotContain("broken-keys");
    }

    @Test
    void aBrokenFileIsToldAsUnavailableUntilItIsMended() throws IOException {
        Api.Answer made = create();
        assertThat(made.status()).as(made.text()).isEqualTo(201);
        String id = made.json().path("id").stringValue();
        String good = Files.readString(keys);
        Files.writeString(keys, good + "no key\n");

        holdUnavailable(create());
        holdUnavailable(api.post("/v1/webhooks/" + id + "/rotate-secret"));
        assertThat(api.get("/v1/webhooks/" + id).status()).isEqualTo(200);

        Files.writeString(keys, good);
        Api.Answer rotated = api.post("/v1/webhooks/" + id + "/rotate-secret");
        assertThat(rotated.status()).as(rotated.text()).isEqualTo(200);
        assertThat(api.send("DELETE", "/v1/webhooks/" + id, null).status()).isEqualTo(204);
    }

    @Test
    void aFileThatCannotBeMadeIsToldTheSameWay() throws IOException {
        Files.createDirectories(keys.getParent().getParent());
        Files.writeString(keys.getParent(), "a file where a directory is needed");

        holdUnavailable(create());
    }

    @Test
    void aFileThatCannotBeReadIsToldTheSameWay() throws IOException {
        Files.createDirectories(keys);

        holdUnavailable(create());
    }
}
