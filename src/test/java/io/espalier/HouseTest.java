package io.espalier;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** The plan of the house, held by the build: who may import whom, what each wing must not know, and what nothing may be called. */
class HouseTest {

    private static final String BASE = "io.espalier";

    /** Room to the rooms it may import. Arrows point down; recipe and checkpoint are the ground that everybody above may stand on. */
    static final Map<String, Set<String>> MAY_IMPORT = Map.ofEntries(
            Map.entry("worker", Set.of("job", "artifact", "pruning", "recipe", "telemetry")),
            Map.entry("api", Set.of("job", "artifact", "catalog", "objectstore", "plan", "recipe", "security", "telemetry", "webhook")),
            Map.entry("pruning",
                    Set.of("method", "calibration", "plan", "evaluation", "transformer", "architecture", "corpus", "checkpoint", "recipe")),
            Map.entry("method", Set.of("architecture", "calibration", "transformer", "checkpoint", "recipe")),
            Map.entry("evaluation", Set.of("architecture", "transformer", "corpus", "checkpoint", "recipe")),
            Map.entry("calibration", Set.of("architecture", "transformer", "corpus", "checkpoint", "recipe")),
            Map.entry("plan", Set.of("checkpoint", "recipe")),
            Map.entry("transformer", Set.of("architecture", "checkpoint")),
            Map.entry("corpus", Set.of("checkpoint", "recipe")),
            Map.entry("job", Set.of("recipe", "telemetry")),
            Map.entry("catalog", Set.of("architecture", "checkpoint", "egress", "objectstore", "recipe", "remote")),
            Map.entry("webhook", Set.of("egress", "job", "recipe", "telemetry")),
            Map.entry("remote", Set.of("egress", "objectstore")),
            Map.entry("architecture", Set.of("checkpoint")),
            Map.entry("egress", Set.of()),
            Map.entry("checkpoint", Set.of()),
            Map.entry("artifact", Set.of("objectstore")),
            Map.entry("objectstore", Set.of()),
            Map.entry("telemetry", Set.of()),
            Map.entry("security", Set.of()),
            Map.entry("recipe", Set.of()),
            Map.entry("platform", Set.of("security")));

    private static final List<String> WORKSHOP = List.of("pruning", "method", "evaluation", "calibration", "plan", "transformer",
            "architecture", "corpus", "checkpoint");

    private static final List<String> WITHOUT_TENSORS = List.of("worker", "api", "job", "catalog", "artifact", "webhook", "egress",
            "objectstore", "remote", "telemetry", "security", "recipe", "platform", "plan", "architecture", "checkpoint");

    private static final JavaClasses HOUSE = new ClassFileImporter().withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages(BASE);

    @Test
    void everyRoomImportsOnlyTheRoomsThatThePlanAllows() {
        Map<String, Set<String>> forbidden = new TreeMap<>();
        for (JavaClass type : HOUSE) {
            String room = room(type);
            type.getDirectDependenciesFromSelf().stream().map(dependency -> dependency.getTargetClass().getBaseComponentType())
                    .filter(target -> target.getPackageName().startsWith(BASE + ".")).map(HouseTest::room)
                    .filter(other -> !other.equals(room) && !MAY_IMPORT.getOrDefault(room, Set.of()).contains(other))
                    .forEach(other -> forbidden.computeIfAbsent(room, _ -> new TreeSet<>())
                            .add(other + " (by " + type.getSimpleName() + ")"));
        }
        assertThat(forbidden).isEmpty();
    }

    @Test
    void thePlanNamesExactlyTheRoomsThatStand() throws IOException {
        try (Stream<Path> rooms = Files.list(Path.of("src/main/java/io/espalier"))) {
            assertThat(rooms.filter(Files::isDirectory).map(room -> room.getFileName().toString()))
                    .containsExactlyInAnyOrderElementsOf(MAY_IMPORT.keySet());
        }
    }

    @Test
    void theWorkshopKnowsNoSpringAndNoPersistence() {
        noClasses().that().resideInAnyPackage(packages(WORKSHOP)).should().dependOnClassesThat()
                .resideInAnyPackage("org.springframework..", "jakarta.persistence..", "org.hibernate..", "com.github.kagkarlsson..")
                .check(HOUSE);
    }

    @Test
    void theOfficeThePlanAndTheCheckpointKnowNoTensor() {
        noClasses().that().resideInAnyPackage(packages(WITHOUT_TENSORS)).should().dependOnClassesThat().resideInAnyPackage("ai.djl..")
                .check(HOUSE);
    }

    /** Two machines' clocks may be an hour apart: what is stored, due or alive goes by the database's, which is handed in. Spans of traces go by the machine's. */
    @Test
    void theOfficeNeverAsksTheMachineForTheTime() {
        noClasses().that()
                .resideInAnyPackage(packages(List.of("worker", "api", "job", "catalog", "artifact", "webhook", "egress", "objectstore",
                        "remote", "security", "platform")))
                .should().callMethod(Instant.class, "now").orShould().callMethod(System.class, "currentTimeMillis")
                .orShould().callMethod(Clock.class, "systemUTC").orShould().callMethod(Clock.class, "systemDefaultZone").check(HOUSE);
    }

    @Test
    void theBasePackageIsADoormat() {
        classes().that().resideInAPackage(BASE).should().haveSimpleName("EspalierApplication").check(HOUSE);
    }

    @Test
    void everyRoomHasACharterAtItsDoor() throws IOException {
        for (String room : MAY_IMPORT.keySet()) {
            assertThat(Files.readString(Path.of("src/main/java/io/espalier", room, "package-info.java"))).as(room)
                    .matches("(?s)/\\*\\* .+\\..*");
        }
    }

    @Test
    void noTypeHasANameWithoutMeaning() {
        noClasses().that().resideInAPackage(BASE + "..").should().haveNameMatching(".*(Impl|Utils?|Helper|Manager|Mapper|Dto|DTO)")
                .check(HOUSE);
    }

    @Test
    void noSourceFileIsLongerThanFourHundredLines() {
        assertThat(walk(Path.of("src")).filter(file -> file.toString().endsWith(".java")).filter(file -> read(file).lines().count() > 400))
                .isEmpty();
    }

    @Test
    void noSourceFileNamesARegistrysHostOrADevelopersMachine() throws IOException {
        String machine = "/" + "work/|/" + "tmp/|/" + "root/|/" + "home/[a-z]";
        String registry = "repo\\d?\\." + "maven|registry\\." + "npmjs|deb\\." + "debian|files\\." + "pythonhosted";
        try (Stream<Path> files = Stream.of("src", "migrations", "docker", "helm", "pom.xml", "openapi.yaml", "README.md", ".ci")
                .map(Path::of)
                .filter(Files::exists).flatMap(HouseTest::walk)) {
            List<Path> naming = files.filter(file -> file.toString().matches(".*\\.(java|xml|yaml|yml|md|sql|properties|sh)|.*/run"))
                    .filter(file -> read(file).lines().anyMatch(line -> line.matches(".*(" + machine + "|" + registry + ").*"))).toList();
            assertThat(naming).isEmpty();
        }
    }

    private static String[] packages(List<String> rooms) {
        return rooms.stream().map(room -> BASE + "." + room + "..").toArray(String[]::new);
    }

    private static String room(JavaClass type) {
        String below = type.getPackageName().substring(Math.min(type.getPackageName().length(), BASE.length() + 1));
        return below.contains(".") ? below.substring(0, below.indexOf('.')) : below;
    }

    private static Stream<Path> walk(Path from) {
        try {
            return Files.walk(from).filter(Files::isRegularFile);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
