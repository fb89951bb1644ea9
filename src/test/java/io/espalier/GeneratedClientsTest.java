package io.espalier;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

import javax.tools.ToolProvider;

import org.junit.jupiter.api.Test;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.ContextConfiguration;
import org.springframework.util.FileSystemUtils;

/** Clients that a generator makes of the contract carry the main job out, from the order to the pruned model, on a real service with a real worker. */
@SpringBootTest(webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT)
@ContextConfiguration(initializers = TestDatabase.class)
@DirtiesContext
class GeneratedClientsTest {

    private static final Path SOURCES = Path.of("src", "docs", "examples", "clients").toAbsolutePath();
    private static final Path TARGET = Path.of("target", "clients").toAbsolutePath();
    private static final Path GENERATOR = Path.of("target", "tools", "openapi-generator-cli.jar").toAbsolutePath();
    private static final String TYPESCRIPT = "typescript@5.9.3";

    @LocalServerPort
    private int port;

    @Test
    void aClientInJavaPrunesTheBundledModel() throws Exception {
        Path generated = generate("java");
        Path classes = Files.createDirectories(TARGET.resolve("java-classes"));
        String libraries = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        List<String> compile = new ArrayList<>(List.of("-nowarn", "-proc:none", "-d", classes.toString(), "-cp", libraries,
                SOURCES.resolve("PruneTheDemo.java").toString()));
        try (Stream<Path> files = Files.walk(generated.resolve("src/main/java"))) {
            files.map(Path::toString).filter(file -> file.endsWith(".java")).forEach(compile::add);
        }
        assertThat(ToolProvider.getSystemJavaCompiler().run(null, null, null, compile.toArray(String[]::new))).isZero();

        Path pruned = TARGET.resolve("pruned");
        assertThatItWasPruned(
                run(TARGET, java(), "-cp", classes + File.pathSeparator + libraries, "PruneTheDemo", service(), pruned.toString()));
        assertThat(pruned.resolve("model.safetensors")).isNotEmptyFile();
    }

    @Test
    void aClientInTypeScriptPrunesTheBundledModel() throws Exception {
        assumeTrue(Stream.of("node", "npm").allMatch(GeneratedClientsTest::isThere), "needs node and npm");
        Path directory = Files.createDirectories(TARGET.resolve("typescript"));
        Files.writeString(directory.resolve("package.json"), "{\"type\": \"module\", \"private\": true}");
        assumeTrue(Files.exists(directory.resolve("node_modules/typescript/bin/tsc")) || installed(directory),
                "npm could not install " + TYPESCRIPT);
        FileSystemUtils.copyRecursively(generate("typescript"), directory.resolve("generated"));
        for (String file : List.of("prune-the-demo.ts", "words.d.ts")) {
            Files.writeString(directory.resolve(file), Files.readString(SOURCES.resolve(file)));
        }

        run(directory, "node", "node_modules/typescript/bin/tsc", "--target", "es2022", "--module", "nodenext", "--moduleResolution",
                "nodenext",
                "--lib", "es2022,dom,dom.iterable", "--strict", "--outDir", "js", "prune-the-demo.ts", "words.d.ts");
        assertThatItWasPruned(run(directory, "node", "js/prune-the-demo.js", service()));
    }

    private static void assertThatItWasPruned(String said) {
        assertThat(said)
                .contains("succeeded: 4608 of 6144 routed atoms", "the last is succeeded", "model.safetensors: OK", "SHA256SUMS: OK",
                        "refused with 422", "\"code\":\"invalid_recipe\"")
                .doesNotContain("DAMAGED");
    }

    private String service() {
        return "http://127.0.0.1:" + port;
    }

    private static Path generate(String language) throws IOException, InterruptedException {
        assertThat(GENERATOR).as("the build copies it there: mvn process-test-resources").exists();
        Path generated = TARGET.resolve("generated-" + language);
        FileSystemUtils.deleteRecursively(generated);
        run(Files.createDirectories(TARGET), java(), "-jar", GENERATOR.toString(), "generate", "-c",
                SOURCES.resolve(language + ".yaml").toString(),
                "-i", Path.of("openapi.yaml").toAbsolutePath().toString(), "-o", generated.toString());
        return generated;
    }

    private static String java() {
        return Path.of(System.getProperty("java.home"), "bin", "java").toString();
    }

    private static boolean installed(Path directory) throws IOException, InterruptedException {
        return start(directory, "npm", "install", "--no-audit", "--no-fund", TYPESCRIPT).waitFor(2, TimeUnit.MINUTES)
                && Files.exists(directory.resolve("node_modules/typescript/bin/tsc"));
    }

    private static boolean isThere(String program) {
        return Stream.of(System.getenv("PATH").split(File.pathSeparator)).anyMatch(place -> Files.isExecutable(Path.of(place, program)));
    }

    private static String run(Path directory, String... command) throws IOException, InterruptedException {
        Process process = start(directory, command);
        boolean ended = process.waitFor(5, TimeUnit.MINUTES);
        process.destroyForcibly();
        String said = Files.readString(directory.resolve("said"));
        assertThat(ended && process.exitValue() == 0).as(String.join(" ", command) + "\n" + said).isTrue();
        return said;
    }

    private static Process start(Path directory, String... command) throws IOException {
        return new ProcessBuilder(command).directory(directory.toFile()).redirectErrorStream(true)
                .redirectOutput(directory.resolve("said").toFile()).start();
    }
}
