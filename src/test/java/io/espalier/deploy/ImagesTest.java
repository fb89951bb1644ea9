package io.espalier.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import ai.djl.engine.Engine;
import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.util.Utils;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.yaml.snakeyaml.Yaml;

/** What can be held to rules without a container engine: the Dockerfile's habits, the compose file's settings, and that natives lie where DJL looks. */
class ImagesTest {

    private static final Path DOCKER = Path.of("docker");

    /** Instructions, continued lines joined, comments gone. */
    private static List<String> instructions() throws IOException {
        List<String> found = new ArrayList<>();
        StringBuilder whole = new StringBuilder();
        for (String line : Files.readAllLines(DOCKER.resolve("Dockerfile"))) {
            if (line.startsWith("#") || line.isBlank()) {
                continue;
            }
            whole.append(line.strip());
            if (line.endsWith("\\")) {
                whole.setCharAt(whole.length() - 1, ' ');
            } else {
                found.add(whole.toString());
                whole.setLength(0);
            }
        }
        return found;
    }

    @Test
    void baseImagesAreNamedWithTheirVersionAndCanBeReplaced() throws IOException {
        List<String> stages = instructions().stream().map(line -> line.replaceFirst(".* AS (\\w+)$", "$1")).toList();
        for (String instruction : instructions()) {
            if (instruction.startsWith("FROM ")) {
                String base = instruction.split(" ")[1];
                assertThat(base.startsWith("${") || stages.contains(base)).as(instruction).isTrue();
            }
            if (instruction.matches("ARG (JDK|JRE)=.*")) {
                assertThat(instruction).matches("ARG (JDK|JRE)=[a-z0-9/.-]+:25[a-z0-9.-]+");
            }
        }
    }

    @Test
    void theImageRunsAsNobodyInParticularAndTellsOfItsHealth() throws IOException {
        List<String> all = instructions();
        List<String> words = all.stream().map(line -> line.split(" ")[0]).toList();
        assertThat(words).contains("HEALTHCHECK", "USER", "LABEL", "ENTRYPOINT", "VOLUME").doesNotContain("ADD", "MAINTAINER");
        assertThat(all.get(words.indexOf("USER"))).isEqualTo("USER 10001:10001");
        assertThat(words.indexOf("USER")).isLessThan(words.indexOf("ENTRYPOINT"));
        assertThat(all.get(words.indexOf("ENTRYPOINT"))).as("no shell between the signal and Java").startsWith("ENTRYPOINT [\"java\"");
        assertThat(all.get(words.indexOf("LABEL"))).contains("org.opencontainers.image.version", "org.opencontainers.image.revision",
                "org.opencontainers.image.created", "org.opencontainers.image.licenses", "org.opencontainers.image.title");
        assertThat(all.stream().filter(line -> line.startsWith("RUN "))).noneMatch(line -> line.matches(".*(curl|wget|apt-get|sudo).*"));
    }

    @Test
    void whatChangesOftenIsCopiedLast() throws IOException {
        List<String> copied = instructions().stream().filter(line -> line.startsWith("COPY --from=unpacked"))
                .map(line -> line.replaceFirst("COPY --from=unpacked /build/(layers/)?([a-z-]+)/? .*", "$2")).toList();
        assertThat(copied).containsExactly("natives", "dependencies", "spring-boot-loader", "snapshot-dependencies", "application");
    }

    @Test
    void everyVariableOfTheComposeFileIsASetting() throws IOException {
        String readme = Files.readString(Path.of("README.md"));
        Map<String, Map<String, Object>> services = new Yaml().<Map<String, Map<String, Map<String, Object>>>>load(
                Files.readString(DOCKER.resolve("compose.yaml"))).get("services");
        assertThat(services).containsOnlyKeys("database", "s3", "api", "worker");
        for (String role : List.of("api", "worker")) {
            Map<String, Object> service = services.get(role);
            assertThat(service).containsEntry("read_only", true).containsEntry("cap_drop", List.of("ALL"));
            assertThat(((Map<?, ?>) service.get("environment")).keySet()).isNotEmpty()
                    .allSatisfy(name -> assertThat(readme).contains("| `" + name + "` |"));
        }
        assertThat(services.values()).allSatisfy(service -> assertThat((String) service.get("image")).matches("[a-z0-9/.-]+:[A-Za-z0-9.-]+")
                .doesNotEndWith(":latest"));
        assertThat((List<?>) services.get("api").get("ports")).allSatisfy(port -> assertThat((String) port).startsWith("127.0.0.1:"));
    }

    @Test
    void nativesAreUnpackedToWhereTheEngineUnpacksThemItself(@TempDir Path temp) throws Exception {
        Engine.getInstance();
        LibUtils.checkStatus();
        Path libraries = Files.createDirectory(temp.resolve("lib"));
        for (String jar : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (Path.of(jar).getFileName().toString().matches("(pytorch-native|pytorch-jni|tokenizers)-.*\\.jar")) {
                Files.copy(Path.of(jar), libraries.resolve(Path.of(jar).getFileName()));
            }
        }
        Path natives = temp.resolve("natives");
        ProcessBuilder unpack = new ProcessBuilder("sh", DOCKER.resolve("unpack.sh").toString(), libraries.toString(), natives.toString())
                .inheritIO();
        unpack.environment().compute("PATH", (_, path) -> Path.of(System.getProperty("java.home"), "bin") + File.pathSeparator + path);
        assertThat(unpack.start().waitFor()).isZero();
        Map<String, Long> unpacked = sizes(natives);
        assertThat(unpacked).isNotEmpty();
        // why: of several systems the engine unpacks its own only
        assertThat(unpacked).containsAllEntriesOf(sizes(Utils.getCacheDir()).entrySet().stream()
                .filter(file -> unpacked.keySet().stream()
                        .anyMatch(other -> Path.of(other).getParent().equals(Path.of(file.getKey()).getParent())))
                .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue)));
        assertThat(unpacked.keySet()).anyMatch(file -> file.endsWith("/libtorch_cpu.so"))
                .anyMatch(file -> file.endsWith("-libdjl_torch.so"))
                .anyMatch(file -> file.endsWith("/libtokenizers.so"));
        Path slim = Arrays.stream(libraries.toFile().listFiles()).filter(jar -> jar.getName().startsWith("pytorch-native")).findFirst()
                .orElseThrow().toPath();
        assertThat(Files.size(slim)).as("the jar without what was unpacked").isLessThan(100_000);
    }

    private static Map<String, Long> sizes(Path root) throws IOException {
        try (Stream<Path> files = Files.walk(root)) {
            Map<String, Long> sizes = new TreeMap<>();
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Matcher library = Pattern.compile(".*\\.so(\\.\\d+)?").matcher(file.getFileName().toString());
                if (library.matches()) {
                    sizes.put(root.relativize(file).toString(), Files.size(file));
                }
            }
            return sizes;
        }
    }
}
