package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.boot.test.web.server.LocalServerPort;

/** What a refusal says is what was given, and what was expected. */
@ApiTest
class HonestWordsTest {

    private final Api api;

    HonestWordsTest(@LocalServerPort int port) {
        api = new Api(port);
    }

    private Api.Answer post(String path, String json) {
        return api.send("POST", path, json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            /v1/webhooks | secret_ref | {"url": "http://127.0.0.1:9/", "secret_ref": "../x"} | ../x -> a string of the form [A-Za-z0-9][A-Za-z0-9._-]{0,99}
            /v1/webhooks | events | {"url": "http://127.0.0.1:9/", "events": []} | an empty array -> an array of 1 to 20 entries
            /v1/api-keys | project | {"name": "x", "role": "viewer", "project": "A"} | A -> a string of the form [a-z0-9][a-z0-9-]{0,62}
            /v1/api-keys | expires_at | {"name": "x", "role": "viewer", "expires_at": "2030-12-31"} | "2030-12-31" -> what GET /openapi.yaml describes
            /v1/models | name | {"name": "\\u202egnp", "path": "/x"} | ?gnp -> 1 to 128 ASCII letters, digits and ._- that begin with a letter or digit
            """)
    void aFieldIsRefusedForWhatItIs(String path, String field, String json, String words) {
        assertThat(post(path, json).violations()).containsEntry(field, words);
    }

    @Test
    void aParameterThatIsMissingIsNamed() {
        Api.Answer answer = api.get("/v1/corpora/kjv-test/tokens");

        assertThat(answer.code()).isEqualTo("invalid_request");
        assertThat(answer.violations()).containsEntry("model", "null -> a value in the query");
    }

    @Test
    void tooManyParametersAreNotCalledUndecodable() {
        String many = IntStream.range(0, 1100).mapToObj(i -> "a" + i + "=").collect(Collectors.joining("&"));

        assertThat(api.get("/v1/models?" + many).json().path("detail").stringValue()).contains("no more than 1000");
    }

    @Test
    void aTextThatNoDatabaseKeepsIsNotCalledTooLong() {
        assertThat(api.send("PUT", "/v1/corpora/nul/content?description=%00", "a".getBytes(StandardCharsets.UTF_8), "Content-Type",
                "text/plain").violations()).containsEntry("description", "? -> at most 1000 characters of Unicode text without NUL");
    }

    /** Nobody unpacks it here: read as it comes it would be called malformed, or kept as it is. */
    @ParameterizedTest
    @CsvSource({"POST,/v1/pruning-jobs,application/json", "PUT,/v1/corpora/packed/content,text/plain",
            "PUT,/v1/models/tiny-qwen2moe/files/config.json,application/octet-stream"})
    void aPackedBodyIsNotRead(String method, String path, String type) {
        Api.Answer answer = api.send(method, path, "{}".getBytes(StandardCharsets.UTF_8), "Content-Type", type, "Content-Encoding", "gzip");

        assertThat(answer.code()).isEqualTo("unsupported_media_type");
        assertThat(answer.header("Accept-Encoding")).isEqualTo("identity");
        assertThat(answer.json().path("detail").stringValue()).startsWith("Content-Encoding: gzip (expected: none");
    }

    @Test
    void aTextInAnotherAlphabetThanUtf8IsNotTakenForIt() {
        byte[] text = "a".getBytes(StandardCharsets.UTF_8);

        Api.Answer answer = api.send("PUT", "/v1/corpora/latin/content", text, "Content-Type", "text/plain; charset=iso-8859-1");
        assertThat(answer.code()).isEqualTo("unsupported_media_type");
        assertThat(answer.json().path("detail").stringValue()).isEqualTo("text/plain; charset=iso-8859-1 (expected: UTF-8)");
        assertThat(api.send("PUT", "/v1/corpora/ascii/content", text, "Content-Type", "text/plain; charset=us-ascii").status())
                .isEqualTo(201);
        assertThat(api.send("DELETE", "/v1/corpora/ascii", null).status()).isEqualTo(204);
    }

    @Test
    void whoeverUsesAWrongMethodIsToldAllThatThereAre() {
        assertThat(api.send("BREW", "/v1/webhooks/whk_x", null).header("Allow")).isEqualTo("DELETE, GET, HEAD, OPTIONS, PATCH");
    }
}
