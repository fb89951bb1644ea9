package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.json.JsonMapper;

/** Whatever is asked, the answer is a problem that a program can read: never HTML, never a stack trace, never silence. */
@ApiTest
class ManneredTest {

    private final Api api;

    ManneredTest(@LocalServerPort int port) {
        api = new Api(port);
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1", "/v1/", "/v2/pruning-jobs", "/v1/pruning-job", "/v1/pruning-jobs/", "/error", "/favicon.ico",
            "/v1/models/a/b", "/index.htm",
            "/v1/artifact"})
    void an_unknown_address_is_not_found(String path) {
        Api.Answer answer = api.get(path);

        assertThat(answer.status()).isEqualTo(404);
        assertThat(answer.code()).isEqualTo("not_found");
        assertThat(answer.json().path("instance").stringValue()).isEqualTo(path);
    }

    @ParameterizedTest
    @CsvSource({"DELETE,/v1/pruning-jobs", "PUT,/v1/pruning-jobs/job_x", "GET,/v1/pruning-jobs/job_x/cancel",
            "POST,/v1/pruning-jobs/job_x/events",
            "PATCH,/v1/models", "POST,/openapi.yaml", "DELETE,/v1/artifacts/art_x/files/config.json", "BREW,/v1/methods"})
    void a_method_that_the_address_does_not_know_is_answered_with_those_it_does(String method, String path) {
        Api.Answer answer = api.send(method, path, new byte[0]);

        assertThat(answer.code()).isEqualTo("method_not_allowed");
        assertThat(answer.header("Allow")).isNotBlank();
    }

    @ParameterizedTest
    @CsvSource({"limit=0", "limit=-1", "limit=201", "limit=abc", "limit=1.5", "limit=99999999999", "state=QUEUED", "state=",
            "state=done"})
    void a_parameter_that_cannot_be_read_is_named_with_given_and_expected(String query) {
        Api.Answer answer = api.get("/v1/pruning-jobs?" + query);

        assertThat(answer.code()).isEqualTo("invalid_request");
        String name = query.replaceAll("=.*", "");
        assertThat(answer.violations()).containsOnlyKeys(name);
        assertThat(answer.violations().get(name)).startsWith(query.replaceAll(".*=", "") + " -> ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"limit=%zz", "state=%FF", "nobody_knows=%C3%28", "=%"})
    void a_parameter_that_cannot_be_decoded_is_not_our_failure(String query) throws IOException {
        assertThat(raw("GET /v1/pruning-jobs?" + query + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
                .startsWith("HTTP/1.1 400").contains("\"code\":\"invalid_request\"");
    }

    @Test
    void every_address_says_which_methods_it_knows() {
        Api.Answer answer = api.send("OPTIONS", "/v1/pruning-jobs", null);

        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.header("Allow")).contains("GET", "POST");
    }

    @ParameterizedTest
    @ValueSource(strings = {"x", "", "%00", "am9iX3g7", "Li4vLi4v", "%F0%9F%8C%B3", "am9iX0E"})
    void a_cursor_that_is_not_ours_is_refused(String cursor) {
        assertThat(api.get("/v1/pruning-jobs?cursor=" + cursor).code()).isEqualTo("invalid_cursor");
    }

    @ParameterizedTest
    @ValueSource(strings = {"-1", "x", "9223372036854775808"})
    void events_after_no_number_are_refused(String after) {
        String id = api.ordered(Posted.SHORTEST);

        assertThat(api.get("/v1/pruning-jobs/" + id + "/events?after=" + after).violations()).containsOnlyKeys("after");
        assertThat(api.get("/v1/pruning-jobs/" + id + "/events?after=9223372036854775807").json().path("items")).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml",
            "nonsense", "a/b/c",
            "application/json; charset=klingon"})
    void a_body_that_is_not_json_by_its_type_is_not_read(String type) {
        Api.Answer answer = api.send("POST", "/v1/pruning-jobs", Posted.SHORTEST.getBytes(StandardCharsets.UTF_8), "Content-Type", type);

        assertThat(answer.code()).isEqualTo("unsupported_media_type");
        assertThat(answer.header("Accept")).contains("application/json");
    }

    @Test
    void a_body_without_a_type_is_not_read() {
        assertThat(api.send("POST", "/v1/pruning-jobs", Posted.SHORTEST.getBytes(StandardCharsets.UTF_8)).code())
                .isEqualTo("unsupported_media_type");
    }

    @ParameterizedTest
    @ValueSource(strings = {"text/html", "image/png", "application/xml", "nonsense", "a/b/c"})
    void an_answer_in_another_media_type_is_not_to_be_had_and_the_problem_is_still_json(String accept) {
        for (String path : new String[]{"/v1/pruning-jobs", "/v1/models", "/v1/methods", "/openapi.yaml", "/v1/pruning-jobs/job_x"}) {
            assertThat(api.get(path, "Accept", accept).code()).as(path).isEqualTo("not_acceptable");
        }
        assertThat(api.send("POST", "/v1/pruning-jobs", Posted.SHORTEST.getBytes(StandardCharsets.UTF_8), "Content-Type",
                "application/json", "Accept",
                accept).code()).isEqualTo("not_acceptable");
    }

    @ParameterizedTest
    @ValueSource(strings = {"GET /v1/models%2f..%2f HTTP/1.1", "GET /v1/%zz HTTP/1.1", "GET /v1/models/%00 HTTP/1.1",
            "GET /v1/mod<els HTTP/1.1",
            "GET /v1/../../../etc/passwd HTTP/1.1", "GET nonsense HTTP/1.1", "GET /v1/models HTTP/9.9", "TRACE /v1/models HTTP/1.1",
            "GET /v1/models?x={} HTTP/1.1"})
    void an_address_that_cannot_even_be_decoded_is_a_problem_too(String requestLine) throws IOException {
        String answer = raw(requestLine + "\r\nHost: localhost\r\nConnection: close\r\n\r\n");

        assertThat(answer).startsWith("HTTP/1.1 4").contains("application/problem+json").contains("\"code\":\"").doesNotContain("<html",
                "Tomcat");
    }

    @Test
    void a_request_without_a_host_and_one_with_an_endless_header_are_problems_too() throws IOException {
        assertThat(raw("GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n")).startsWith("HTTP/1.1 400").doesNotContain("<html");
        assertThat(raw("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: " + "x".repeat(20_000) + "\r\n\r\n")).startsWith("HTTP/1.1 4")
                .doesNotContain("<html");
    }

    @Test
    void a_body_that_breaks_off_in_the_middle_is_not_our_failure() throws IOException {
        String head = "POST /v1/pruning-jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n";

        assertThat(raw(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")).startsWith("HTTP/1.1 400")
                .contains("\"code\":\"invalid_request\"");
        try (Socket socket = new Socket("127.0.0.1", api.port())) {
            socket.getOutputStream().write((head + "Content-Length: 100\r\n\r\n{").getBytes(StandardCharsets.US_ASCII));
        }
        assertThat(raw(head + "Content-Length: -5\r\n\r\n")).startsWith("HTTP/1.1 400");
    }

    @Test
    void a_registered_name_that_is_not_there_is_not_found() {
        assertThat(api.get("/v1/models/none").code()).isEqualTo("model_not_found");
        assertThat(api.get("/v1/corpora/none").code()).isEqualTo("corpus_not_found");
    }

    @Test
    void a_problem_says_the_same_in_all_its_fields() {
        assertThat(fields(api.get("/v1/models/none"))).isEqualTo(Map.of("type", "/problems/model-not-found", "title",
                "No such registered model", "status",
                404, "detail", "no model is registered as none", "instance", "/v1/models/none", "code", "model_not_found", "violations",
                List.of()));
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> fields(Api.Answer answer) {
        return JsonMapper.shared().treeToValue(answer.json(), Map.class);
    }

    private String raw(String request) throws IOException {
        try (Socket socket = new Socket("127.0.0.1", api.port())) {
            socket.setSoTimeout(10_000);
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
