package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

import io.espalier.TestDatabase;
import io.espalier.job.JobError;
import io.espalier.recipe.ErrorCode;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.context.annotation.Import;
import org.springframework.test.context.ContextConfiguration;
import org.springframework.test.context.TestConstructor;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What is in the zip for support, and what is not. */
@SpringBootTest(webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT, properties = {"espalier.worker.enabled=false",
        "espalier.someday.api-token=S3CR3T-one", "espalier.someday.unheard-of=S3CR3T-two", "spring.mail.password=S3CR3T-three",
        "spring.data.redis.password=S3CR3T-four", "management.opentelemetry.tracing.export.otlp.headers.Authorization=Bearer S3CR3T-five"})
@ContextConfiguration(initializers = TestDatabase.class)
@Import(Runs.class)
@TestConstructor(autowireMode = TestConstructor.AutowireMode.ALL)
class SupportBundleTest {

    private final Api api;
    private final Runs runs;

    SupportBundleTest(@LocalServerPort int port, Runs runs) {
        this.api = new Api(port);
        this.runs = runs;
    }

    @Test
    void it_says_what_is_wrong_and_nothing_secret() throws IOException {
        String failed = api.ordered(Posted.SHORTEST);
        runs.reports().fail(runs.start(failed), new JobError(ErrorCode.IO_ERROR, "GET https://user:S3CR3T-six@host/ failed", null));
        String running = api.ordered(Posted.SHORTEST);
        runs.start(running);
        LoggerFactory.getLogger("test").warn("a token=S3CR3T-seven was refused, so was S3CR3T-one");

        Api.Answer answer = api.get("/v1/support-bundle");
        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.header("Content-Disposition")).contains("espalier-support.zip");
        Map<String, String> files = unzipped(answer.body());

        assertThat(files).containsOnlyKeys("versions.json", "settings.json", "health.json", "migrations.txt", "queue.json", "failures.json",
                "threads.txt", "log.txt");
        assertThat(files).allSatisfy((name, text) -> assertThat(text).as(name).isNotBlank().doesNotContain("S3CR3T", "not to be had"));
        assertThat(files.get("failures.json")).contains(failed, "io_error", "https://user:***@host/");
        assertThat(files.get("queue.json")).contains(running, "\"running\"");
        assertThat(files.get("health.json")).contains("UP");
        assertThat(files.get("migrations.txt")).contains("12 metrics and logs: Success");
        assertThat(files.get("threads.txt")).contains("SupportBundle");
        assertThat(files.get("log.txt")).contains("a token=*** was refused, so was ***");
        JsonNode settings = JsonMapper.shared().readTree(files.get("settings.json"));
        assertThat(settings.path("espalier.worker.enabled").stringValue()).isEqualTo("false");
        assertThat(settings.path("espalier.jobs.ageing").stringValue()).isEqualTo("10m");
        for (String hidden : new String[]{"espalier.someday.api-token", "espalier.someday.unheard-of", "spring.mail.password",
                "spring.datasource.url",
                "spring.datasource.password"}) {
            assertThat(settings.path(hidden).stringValue()).as(hidden).isEqualTo("***");
        }
    }

    private static Map<String, String> unzipped(byte[] zip) throws IOException {
        Map<String, String> files = new TreeMap<>();
        try (ZipInputStream in = new ZipInputStream(new ByteArrayInputStream(zip))) {
            for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
                files.put(entry.getName(), new String(in.readAllBytes(), StandardCharsets.UTF_8));
            }
        }
        return files;
    }
}
