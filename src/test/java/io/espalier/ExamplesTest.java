package io.espalier;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import io.espalier.checkpoint.SafetensorsFile;
import io.espalier.webhook.Receiver;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.ContextConfiguration;

/** What the README and the guide beside it tell a stranger to type, typed at a real service with a real worker. */
@SpringBootTest(webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT, properties = {"espalier.egress.allow=127.0.0.1",
        "espalier.egress.http=true"})
@ContextConfiguration(initializers = TestDatabase.class)
@DirtiesContext
class ExamplesTest {

    private static final Pattern PERPLEXITY = Pattern
            .compile("\"perplexity\":\\{\"before\":([0-9.]+),\"after\":([0-9.]+),\"random_control\":([0-9.]+)");

    @LocalServerPort
    private int port;

    @TempDir
    private Path directory;

    private String hook = "";

    @Test
    void theReadmesCommandsDoWhatItSaysTheyDo() throws Exception {
        String readme = Files.readString(Path.of("README.md"));
        String section = readme.substring(readme.indexOf("\n## Prune the bundled model\n"), readme.indexOf("\n## Dashboard\n"))
                + Files.readString(Path.of("src/docs/guide.md"))
                + readme.substring(readme.indexOf("\n## Observability\n"), readme.indexOf("\n## Security\n"));
        String commands = Pattern.compile("(?s)```bash\n(.*?)```").matcher(section).results().map(block -> block.group(1))
                .collect(Collectors.joining("\n"));
        assertThat(commands).contains("http://127.0.0.1:8080");
        Files.createSymbolicLink(directory.resolve("src"), Path.of("src").toAbsolutePath());
        String said = bash(commands.replace("http://127.0.0.1:8080", "http://127.0.0.1:" + port));

        assertThat(said).contains("model.safetensors: OK").contains("Worker: open 0, attempt 1, starts on cpu")
                .contains("\"code\":\"invalid_recipe\"").doesNotContain("FAILED");
        MatchResult promised = PERPLEXITY.matcher(section).results().findFirst().orElseThrow();
        MatchResult measured = PERPLEXITY.matcher(said).results().findFirst().orElseThrow();
        for (int figure = 1; figure <= promised.groupCount(); figure++) {
            assertThat(Double.parseDouble(measured.group(figure))).isCloseTo(Double.parseDouble(promised.group(figure)), within(0.01));
        }
        try (SafetensorsFile scores = SafetensorsFile.open(directory.resolve("scores.safetensors"))) {
            assertThat(scores.tensor("scores").shape()).isEqualTo(List.of(4L, 16L, 96L));
        }
        // the script, which the README runs last, does the same once more
        assertThat(said).contains("6. Fetch the scores").contains("   model.safetensors: OK");
    }

    @Test
    void theScriptPassesOnWhyAnOrderIsRefused() throws Exception {
        Path script = directory.resolve("wrong.sh");
        Files.writeString(script,
                Files.readString(Path.of("src/docs/examples/prune-demo.sh")).replace("\"ratio\": 0.25", "\"ratio\": 2.5"));
        Process process = start("bash " + script);
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isNotZero();
        assertThat(Files.readString(directory.resolve("said"))).contains("budget.ratio").contains("2.5");
    }

    @Test
    void anOrderThatIsSentTwiceIsOneJob() throws Exception {
        assertThat(example("order-once")).containsPattern("sent twice: (job_\\w+) and \\1")
                .containsIgnoringCase("Idempotency-Replayed: true")
                .contains("idempotency_key_reused");
    }

    @Test
    void aJobIsFollowedAsAStreamAndByRequestsThatWait() throws Exception {
        assertThat(example("follow")).containsPattern("id: ?1 .*event: ?end").containsPattern("\nid: ?3\n").contains("\nsucceeded\n");
    }

    @Test
    void aPlanIsAskedForAndThenOrderedWithoutCalibratingAgain() throws Exception {
        assertThat(example("what-if")).containsPattern("ratio 0.2: predicted change of the loss [0-9.E-]+\n").contains(
                "\"state\":\"succeeded\"", "\"reused\":true");
    }

    @Test
    void bothModelsContinueTheSamePrompts() throws Exception {
        assertThat(example("continuations").lines().map(line -> line.replaceFirst("\\{\"text\":\".+", "")
                .replaceFirst("[0-9.]+( bytes)?$", "N"))).containsExactly("it would read: N", "\"prompt\":", "\"reference\":",
                        "\"before\":",
                        "\"after\":", "\"prompt\":", "\"reference\":", "\"before\":", "\"after\":", "\"agreeing_share\":N");
    }

    @Test
    void aReceiverIsToldAndComputesTheSignatureThatTheSpecificationGives() throws Exception {
        try (Receiver receiver = new Receiver((_, _) -> 204)) {
            hook = receiver.url();
            String said = example("webhooks");
            assertThat(said).contains("the test message: delivered", "deleted: 204");
            if (said.contains("the example of the specification")) { // why: it needs openssl, which a bare machine may not have
                assertThat(said).contains("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
            }
            assertThat(receiver.received()).hasSize(1);
        }
    }

    @Test
    void refusalsHaveACodeThatStays() throws Exception {
        assertThat(example("errors").lines()).contains("\"field\":\"budgt\"", "\"status\":400 \"code\":\"malformed_json\"",
                "\"status\":415 \"code\":\"unsupported_media_type\"", "\"status\":404 \"code\":\"job_not_found\"",
                "\"status\":400 \"code\":\"invalid_request\"", "\"status\":405 \"code\":\"method_not_allowed\"",
                "\"status\":409 \"code\":\"job_finished\"", "204", "404");
    }

    /** A guide whose commands are those of the scripts cannot promise what these do not do. */
    @Test
    void everyCommandOfTheApiGuideStandsInAnExample() throws Exception {
        StringBuilder scripts = new StringBuilder();
        try (Stream<Path> files = Files.list(Path.of("src/docs/examples"))) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                scripts.append(Files.readString(file));
            }
        }
        List<String> commands = Pattern.compile("(?s)```bash\n(.*?)```").matcher(Files.readString(Path.of("src/docs/api.md"))).results()
                .flatMap(block -> block.group(1).lines()).map(String::strip).filter(line -> !line.isEmpty()).toList();
        assertThat(commands).hasSizeGreaterThan(10).allSatisfy(line -> assertThat(scripts).contains(line));
    }

    private String example(String name) throws IOException, InterruptedException {
        return bash("bash " + Path.of("src/docs/examples/" + name + ".sh").toAbsolutePath());
    }

    private String bash(String commands) throws IOException, InterruptedException {
        Process process = start(commands);
        boolean ended = process.waitFor(5, TimeUnit.MINUTES);
        process.destroyForcibly();
        String said = Files.readString(directory.resolve("said"));
        assertThat(ended && process.exitValue() == 0).as(said).isTrue();
        return said;
    }

    private Process start(String commands) throws IOException {
        ProcessBuilder shell = new ProcessBuilder("bash", "-ec", commands).directory(directory.toFile()).redirectErrorStream(true)
                .redirectOutput(directory.resolve("said").toFile());
        shell.environment().put("ESPALIER_URL", "http://127.0.0.1:" + port);
        shell.environment().put("HOOK_URL", hook);
        return shell.start();
    }
}
