package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.jdbc.core.JdbcTemplate;
import tools.jackson.databind.JsonNode;

@ApiTest
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class DownloadsTest {

    private final Api api;
    private final Runs runs;
    private final JdbcTemplate jdbc;
    private String job;
    private String artifact;

    DownloadsTest(@LocalServerPort int port, Runs runs, JdbcTemplate jdbc) {
        api = new Api(port);
        this.jdbc = jdbc;
        this.runs = runs;
    }

    @BeforeAll
    void a_job_succeeds() {
        job = "/v1/pruning-jobs/" + api.ordered(Posted.SHORTEST);
        artifact = "/v1/artifacts/" + runs.succeed(job.substring(job.lastIndexOf('/') + 1));
    }

    @Test
    void a_listing_gives_each_file_its_length_its_digest_and_an_address_that_answers() throws Exception {
        JsonNode listing = api.get(artifact).json();

        assertThat(listing.path("files")).extracting(file -> file.path("name").stringValue()).containsExactly("README.md", "SHA256SUMS",
                "config.json",
                "merges with space.txt", "model.safetensors", "tokenizer.model");
        for (JsonNode file : listing.path("files")) {
            Api.Answer answer = api.get(file.path("href").stringValue());
            byte[] sum = MessageDigest.getInstance("SHA-256").digest(answer.body());
            assertThat(answer.status()).isEqualTo(200);
            assertThat(answer.body()).hasSize(file.path("bytes").intValue());
            assertThat(HexFormat.of().formatHex(sum)).isEqualTo(file.path("sha256").stringValue());
            assertThat(answer.header("ETag")).isEqualTo('"' + file.path("sha256").stringValue() + '"');
            assertThat(answer.header("Repr-Digest")).isEqualTo("sha-256=:" + Base64.getEncoder().encodeToString(sum) + ":");
            assertThat(answer.header("X-Content-Type-Options")).isEqualTo("nosniff");
            assertThat(answer.header("Accept-Ranges")).isEqualTo("bytes");
        }
    }

    /** The last job that refers to them may be deleted between the first look and the reading. */
    @Test
    void scores_that_go_while_they_are_read_are_not_found() {
        String other = api.ordered(Posted.SHORTEST.replace("0.25", "0.75"));
        runs.succeed(other, Runs.SCORES, Runs.summary(), Runs.origin("7".repeat(64), null));
        String set = api.get("/v1/pruning-jobs/" + other).json().at("/score_set/id").stringValue();
        jdbc.update("delete from score_set_chunk where score_set_id = ?", set);

        for (String path : List.of("/v1/score-sets/" + set, "/v1/pruning-jobs/" + other + "/scores")) {
            Api.Answer gone = api.get(path, "Accept", "application/vnd.safetensors");
            assertThat(gone.status()).as(gone.text()).isEqualTo(404);
            assertThat(gone.code()).isEqualTo("score_set_not_found");
            assertThat(gone.header("ETag")).isNull();
        }
        assertThat(api.get("/v1/score-sets/" + set + "/curve").code()).isEqualTo("score_set_not_found");
        assertThat(api.send("DELETE", "/v1/pruning-jobs/" + other, null).status()).isEqualTo(204);
    }

    @ParameterizedTest
    @CsvSource({"config.json,application/json", "model.safetensors,application/vnd.safetensors", "README.md,text/markdown;charset=UTF-8",
            "SHA256SUMS,text/plain;charset=UTF-8", "tokenizer.model,application/octet-stream"})
    void a_file_is_typed_by_the_end_of_its_name(String name, String type) {
        assertThat(api.get(artifact + "/files/" + name).header("Content-Type")).isEqualTo(type);
    }

    @ParameterizedTest
    @CsvSource({"bytes=0-3,0,4", "bytes=10-10,10,11", "bytes=30-,30,36", "bytes=-6,30,36", "bytes=-999,0,36", "bytes=5-999,5,36"})
    void a_range_is_sent_alone(String range, int from, int to) {
        Api.Answer answer = api.get(artifact + "/files/model.safetensors", "Range", range);

        assertThat(answer.status()).isEqualTo(206);
        assertThat(answer.text()).isEqualTo(Runs.WEIGHTS.substring(from, to));
        assertThat(answer.header("Content-Range")).isEqualTo("bytes " + from + "-" + (to - 1) + "/36");
        assertThat(answer.header("Content-Length")).isEqualTo(String.valueOf(to - from));
    }

    @ParameterizedTest
    @ValueSource(strings = {"bytes=0-3,10-12", "lines=1-2", "bytes=", "bytes=9-3", "bytes=a-b", "bytes=99999999999999999999-"})
    void a_range_that_is_no_single_range_of_bytes_is_ignored(String range) {
        Api.Answer answer = api.get(artifact + "/files/model.safetensors", "Range", range);

        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.text()).isEqualTo(Runs.WEIGHTS);
    }

    @Test
    void a_range_beyond_the_end_is_refused_with_the_length() {
        Api.Answer answer = api.get(artifact + "/files/model.safetensors", "Range", "bytes=36-");

        assertThat(answer.status()).isEqualTo(416);
        assertThat(answer.code()).isEqualTo("range_not_satisfiable");
        assertThat(answer.header("Content-Range")).isEqualTo("bytes */36");
        assertThat(answer.headers().firstValue("ETag")).isEmpty();
    }

    @Test
    void a_range_of_a_file_that_changed_since_is_the_whole_file() {
        String file = artifact + "/files/model.safetensors";
        String tag = api.head(file).header("ETag");

        assertThat(api.get(file, "Range", "bytes=0-3", "If-Range", tag).status()).isEqualTo(206);
        assertThat(api.get(file, "Range", "bytes=0-3", "If-Range", "\"another\"").status()).isEqualTo(200);
        assertThat(api.get(file, "Range", "bytes=0-3", "If-Range", "W/" + tag).status()).as("a weak tag never fits a range").isEqualTo(200);
    }

    @Test
    void head_tells_everything_but_the_bytes() {
        Api.Answer answer = api.head(artifact + "/files/model.safetensors");

        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.header("Content-Length")).isEqualTo("36");
        assertThat(answer.body()).isEmpty();
        assertThat(api.head(artifact + "/files/none").status()).isEqualTo(404);
    }

    @Test
    void a_file_that_the_client_has_already_is_not_sent_again() {
        String file = artifact + "/files/config.json";
        String tag = api.head(file).header("ETag");

        for (String noneOf : new String[]{tag, "W/" + tag, "\"another\", " + tag, "*"}) {
            Api.Answer answer = api.get(file, "If-None-Match", noneOf);
            assertThat(answer.status()).as(noneOf).isEqualTo(304);
            assertThat(answer.header("ETag")).isEqualTo(tag);
        }
        assertThat(api.get(file, "If-None-Match", "\"another\"").status()).isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(strings = {"../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "..%5c..%5cetc%5cpasswd", "....//etc/passwd", "%252e%252e%252fetc%252fpasswd", "/etc/passwd", "%2fetc%2fpasswd",
            "config.json/../../x",
            "config.json%00.md", "..;/..;/etc/passwd", "%c0%ae%c0%ae%c0%afetc", ".", "..", "none", "CONFIG.JSON", "config.json%20", "%2e"})
    void a_name_that_is_not_listed_leads_nowhere(String name) {
        Api.Answer answer = api.get(artifact + "/files/" + name);

        assertThat(answer.status()).isIn(400, 404);
        assertThat(answer.text()).doesNotContain("root:");
    }

    @Test
    void an_artifact_that_is_not_there_is_not_found() {
        assertThat(api.get("/v1/artifacts/art_none").code()).isEqualTo("artifact_not_found");
        assertThat(api.get("/v1/artifacts/art_none/files/config.json").code()).isEqualTo("artifact_not_found");
        assertThat(api.get(artifact + "/files/none").code()).isEqualTo("file_not_found");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "*/*", "application/json", "application/*", "application/json, application/vnd.safetensors;q=0.5"})
    void scores_are_summed_up_for_whoever_does_not_ask_for_the_file(String accept) {
        Api.Answer answer = accept.isEmpty() ? api.get(job + "/scores") : api.get(job + "/scores", "Accept", accept);

        assertThat(answer.header("Content-Type")).isEqualTo("application/json");
        assertThat(answer.json().at("/layers/0/experts/0/kept_width").intValue()).isEqualTo(48);
        assertThat(answer.json().at("/layers/0/experts/1/mean").isNull()).isTrue();
        assertThat(answer.header("Vary")).isEqualTo("Accept");
    }

    @ParameterizedTest
    @ValueSource(strings = {"application/vnd.safetensors", "application/octet-stream",
            "application/json;q=0.1, application/vnd.safetensors"})
    void scores_are_sent_whole_to_whoever_asks_for_the_file(String accept) {
        Api.Answer answer = api.get(job + "/scores", "Accept", accept);

        assertThat(answer.header("Content-Type")).isEqualTo("application/vnd.safetensors");
        assertThat(answer.header("Content-Length")).isEqualTo(String.valueOf(Runs.SCORES.length));
        assertThat(answer.header("Repr-Digest")).startsWith("sha-256=:");
        assertThat(answer.body()).isEqualTo(Runs.SCORES);
    }

    @Test
    void scores_can_be_fetched_in_ranges_across_the_pieces_they_are_kept_in() {
        int middle = 1 << 20;
        Api.Answer answer = api.get(job + "/scores", "Accept", "application/vnd.safetensors", "Range",
                "bytes=" + (middle - 5) + "-" + (middle + 4));

        assertThat(answer.status()).isEqualTo(206);
        assertThat(answer.body()).isEqualTo(Arrays.copyOfRange(Runs.SCORES, middle - 5, middle + 5));
    }

    @Test
    void scores_in_another_media_type_are_not_to_be_had() {
        Api.Answer answer = api.get(job + "/scores", "Accept", "text/html");

        assertThat(answer.status()).isEqualTo(406);
        assertThat(answer.code()).isEqualTo("not_acceptable");
    }

    @Test
    void scores_that_are_not_there_yet_are_a_conflict_that_names_the_state() {
        String id = api.ordered(Posted.SHORTEST);
        for (String accept : new String[]{"application/json", "application/vnd.safetensors"}) {
            Api.Answer answer = api.get("/v1/pruning-jobs/" + id + "/scores", "Accept", accept);
            assertThat(answer.status()).isEqualTo(409);
            assertThat(answer.code()).isEqualTo("scores_not_ready");
            assertThat(answer.json().path("state").stringValue()).isEqualTo("queued");
        }
    }

    @Test
    void a_client_that_goes_away_in_the_middle_harms_nobody() throws Exception {
        try (java.net.Socket socket = new java.net.Socket("127.0.0.1", api.port())) {
            socket.getOutputStream().write(("GET " + job + "/scores HTTP/1.1\r\nHost: x\r\nAccept: application/vnd.safetensors\r\n\r\n")
                    .getBytes(StandardCharsets.US_ASCII));
            socket.setSoLinger(true, 0);
            socket.getInputStream().readNBytes(100);
        }
        assertThat(api.get(job).status()).isEqualTo(200);
    }
}
