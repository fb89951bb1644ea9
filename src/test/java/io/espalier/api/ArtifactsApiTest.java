package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import io.espalier.job.Lease;
import io.espalier.job.PruningJobs;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.junit.jupiter.api.Test;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.JsonNode;

@ApiTest
class ArtifactsApiTest {

    private static final String ARTIFACTS = "/v1/artifacts";

    private final Api api;
    private final Runs runs;
    private final PruningJobs jobs;

    ArtifactsApiTest(@LocalServerPort int port, PruningJobs jobs, Runs runs) {
        this.api = new Api(port);
        this.jobs = jobs;
        this.runs = runs;
    }

    @Test
    void artifacts_are_listed_newest_first_page_by_page_and_by_job() {
        String job = api.ordered(Posted.SHORTEST);
        String first = runs.succeed(job);
        String second = runs.succeed(api.ordered(Posted.SHORTEST));

        JsonNode page = api.get(ARTIFACTS + "?limit=1").json();
        assertThat(page.at("/items/0/id").stringValue()).isEqualTo(second);
        JsonNode next = api.get(ARTIFACTS + "?limit=1&cursor=" + page.path("next_cursor").stringValue()).json();
        assertThat(next.at("/items/0/id").stringValue()).isEqualTo(first);
        JsonNode own = api.get(ARTIFACTS + "?job=" + job).json();
        assertThat(own.path("next_cursor").isNull()).isTrue();
        assertThat(own.path("items")).singleElement().satisfies(item -> {
            assertThat(item.path("id").stringValue()).isEqualTo(first);
            assertThat(item.path("job_id").stringValue()).isEqualTo(job);
            assertThat(item.path("file_count").intValue()).isEqualTo(6);
            assertThat(item.path("store").stringValue()).isEqualTo("files");
        });
        assertThat(api.get(ARTIFACTS + "?job=job_none").json().path("items")).isEmpty();
        assertThat(api.get(ARTIFACTS + "?cursor=c2NyX2E").code()).isEqualTo("invalid_cursor");
        assertThat(api.get(ARTIFACTS + "?limit=0").status()).isEqualTo(400);
    }

    @Test
    void an_archive_has_every_file_and_is_the_same_each_time() throws IOException {
        String artifact = ARTIFACTS + "/" + runs.succeed(api.ordered(Posted.SHORTEST));
        JsonNode listing = api.get(artifact).json();
        String address = listing.path("archive").stringValue();
        Api.Answer answer = api.get(address);

        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.header("Content-Type")).isEqualTo("application/x-tar");
        assertThat(answer.header("Content-Length")).isEqualTo(String.valueOf(answer.body().length));
        assertThat(answer.header("Content-Disposition")).contains(listing.path("id").stringValue() + ".tar");
        Map<String, String> files = untarred(answer.body());
        assertThat(files.keySet()).containsExactlyElementsOf(
                listing.path("files").valueStream().map(file -> listing.path("id").stringValue() + "/" + file.path("name").stringValue())
                        .toList());
        assertThat(files).containsEntry(listing.path("id").stringValue() + "/model.safetensors", Runs.WEIGHTS);
        assertThat(api.get(address).body()).isEqualTo(answer.body());

        String tag = answer.header("ETag");
        assertThat(api.get(address, "If-None-Match", tag).status()).isEqualTo(304);
        Api.Answer part = api.get(address, "Range", "bytes=700-1700", "If-Range", tag);
        assertThat(part.status()).isEqualTo(206);
        assertThat(part.body()).isEqualTo(Arrays.copyOfRange(answer.body(), 700, 1701));
        assertThat(api.get(address, "Range", "bytes=" + answer.body().length + "-").status()).isEqualTo(416);
        assertThat(api.head(address).header("Content-Length")).isEqualTo(answer.header("Content-Length"));
    }

    @Test
    void a_reader_of_an_archive_who_hangs_up_is_no_trouble() throws IOException {
        String artifact = runs.succeed(api.ordered(Posted.SHORTEST));
        for (int i = 0; i < 5; i++) {
            try (Socket socket = new Socket("127.0.0.1", api.port())) {
                socket.getOutputStream().write(("GET " + ARTIFACTS + "/" + artifact + "/archive HTTP/1.1\r\nHost: here\r\n\r\n")
                        .getBytes(StandardCharsets.US_ASCII));
                InputStream in = socket.getInputStream();
                assertThat(in.read()).isEqualTo('H');
                socket.setSoLinger(true, 0);
            }
        }
        assertThat(api.get(ARTIFACTS + "/" + artifact + "/archive").status()).isEqualTo(200);
    }

    @Test
    void a_deleted_artifact_is_gone_and_its_job_says_so_and_keeps_the_figures() {
        String id = api.ordered(Posted.SHORTEST);
        String artifact = runs.succeed(id);
        JsonNode before = api.get("/v1/pruning-jobs/" + id).json();
        assertThat(before.at("/artifact/deleted").booleanValue()).isFalse();

        assertThat(api.send("DELETE", ARTIFACTS + "/" + artifact, null).status()).isEqualTo(204);

        for (String gone : List.of("", "/files/config.json", "/archive", "/files/none")) {
            Api.Answer answer = api.get(ARTIFACTS + "/" + artifact + gone);
            assertThat(answer.status()).as(gone).isEqualTo(410);
            assertThat(answer.code()).isEqualTo("artifact_deleted");
        }
        assertThat(api.send("DELETE", ARTIFACTS + "/" + artifact, null).status()).as("again").isEqualTo(410);
        assertThat(api.get(ARTIFACTS + "?job=" + id).json().path("items")).isEmpty();
        JsonNode job = api.get("/v1/pruning-jobs/" + id).json();
        assertThat(job.at("/artifact/id").stringValue()).isEqualTo(artifact);
        assertThat(job.at("/artifact/deleted").booleanValue()).isTrue();
        assertThat(job.at("/artifacts/0/deleted").booleanValue()).isTrue();
        assertThat(job.path("result")).isEqualTo(before.path("result"));
        assertThat(api.get("/v1/pruning-jobs/" + id + "/scores").status()).isEqualTo(200);
        JsonNode events = api.get("/v1/pruning-jobs/" + id + "/events?limit=200").json().path("items");
        assertThat(events.get(events.size() - 1).path("type").stringValue()).isEqualTo("artifact_deleted");

        assertThat(api.send("DELETE", "/v1/pruning-jobs/" + id, null).status()).isEqualTo(204);
        assertThat(api.get(ARTIFACTS + "/" + artifact).status()).isEqualTo(404);
    }

    @Test
    void what_a_running_job_still_writes_is_not_deleted() {
        String id = api.ordered(Posted.SHORTEST);
        Lease lease = runs.start(id);
        Api.Answer answer = api.send("DELETE", ARTIFACTS + "/" + lease.artifactId(), null);

        assertThat(answer.status()).isEqualTo(409);
        assertThat(answer.code()).isEqualTo("job_state");
        assertThat(answer.json().path("state").stringValue()).isEqualTo("running");
        jobs.cancel(id);
        assertThat(api.send("DELETE", ARTIFACTS + "/art_none", null).code()).isEqualTo("artifact_not_found");
    }

    static Map<String, String> untarred(byte[] tar) throws IOException {
        Map<String, String> files = new LinkedHashMap<>();
        try (TarArchiveInputStream in = new TarArchiveInputStream(new ByteArrayInputStream(tar))) {
            for (TarArchiveEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
                files.put(entry.getName(), new String(in.readAllBytes(), StandardCharsets.UTF_8));
            }
        }
        return files;
    }
}
