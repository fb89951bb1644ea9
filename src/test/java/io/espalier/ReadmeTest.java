package io.espalier;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import io.espalier.recipe.ErrorCode;
import io.espalier.telemetry.Meter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.ConfigurationPropertySources;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;
import org.yaml.snakeyaml.Yaml;

/** The README's tables are what their sources say. {@code mvn test -Dtest=ReadmeTest -Dreadme.update=true} writes them anew. */
class ReadmeTest {

    private static final Path README = Path.of("README.md");

    /** What an operator may set. */
    record Setting(String key, String standard, String sentence) {
        String environment() {
            return key.toUpperCase(Locale.ROOT).replace('.', '_').replace('-', '_');
        }
    }

    @ParameterizedTest
    @CsvSource({"rooms", "settings", "endpoints", "problems", "errors", "meters"})
    void aTableIsWhatItsSourceSays(String table) throws IOException {
        String generated = switch (table) {
            case "rooms" -> rooms();
            case "settings" -> settingsTable();
            case "endpoints" -> endpoints();
            case "meters" -> meters();
            case "problems" -> contractTable("## Problem codes");
            case "errors" -> contractTable("## Why a job failed");
            default -> throw new IllegalArgumentException(table);
        };
        String readme = Files.readString(README);
        Matcher place = Pattern.compile("(?s)(?<=<!-- generated: " + table + " -->\n).*?(?=<!-- end -->)").matcher(readme);
        assertThat(place.find()).as("README.md has a place for %s", table).isTrue();
        if (Boolean.getBoolean("readme.update")) {
            Files.writeString(README, readme.substring(0, place.start()) + generated + readme.substring(place.end()));
        } else {
            assertThat(place.group()).as("README.md, %s; -Dreadme.update=true writes it anew", table).isEqualTo(generated);
        }
    }

    @ParameterizedTest
    @MethodSource("settings")
    void theEnvironmentNameOfASettingBinds(Setting setting) {
        for (String name : List.of(setting.environment(), setting.key().toUpperCase(Locale.ROOT).replace('.', '_').replace("-", ""))) {
            StandardEnvironment environment = new StandardEnvironment();
            environment.getPropertySources().replace(StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                    new SystemEnvironmentPropertySource(StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                            Map.of(name, "given")));
            ConfigurationPropertySources.attach(environment);
            assertThat(Binder.get(environment).bind(setting.key(), String.class).get()).as(name).isEqualTo("given");
            assertThat(environment.resolvePlaceholders("${" + setting.key() + "}")).as(name).isEqualTo("given");
        }
    }

    @Test
    void everyErrorCodeHasALineInTheContract() throws IOException {
        String table = contractTable("## Why a job failed");
        assertThat(Pattern.compile("(?m)^\\| `([a-z0-9_]+)`").matcher(table).results().map(found -> found.group(1)))
                .containsExactlyInAnyOrderElementsOf(
                        java.util.Arrays.stream(ErrorCode.values()).map(code -> code.name().toLowerCase(Locale.ROOT)).toList());
    }

    private static String rooms() throws IOException {
        List<String> rooms = new ArrayList<>(HouseTest.MAY_IMPORT.keySet());
        rooms.remove("platform");
        rooms.sort(Comparator.comparing(ReadmeTest::floor).reversed().thenComparing(Comparator.naturalOrder()));
        rooms.add("platform");
        StringBuilder table = new StringBuilder("| floor | room | what it is for | may import |\n|---:|---|---|---|\n");
        for (String room : rooms) {
            String door = "src/main/java/io/espalier/" + room;
            Matcher charter = Pattern.compile("(?s)/\\*\\* (.+?) \\*/").matcher(Files.readString(Path.of(door, "package-info.java")));
            assertThat(charter.find()).as(room).isTrue();
            Set<String> imports = new java.util.TreeSet<>(HouseTest.MAY_IMPORT.get(room));
            table.append("| ").append(room.equals("platform") ? "-" : floor(room)).append(" | [`").append(room).append("`](").append(door)
                    .append(") | ").append(charter.group(1).replaceAll("\\{@code ([^}]*)}", "`$1`").replaceAll("\\s*\n \\* ", " "))
                    .append(" | ").append(imports.isEmpty() ? "-" : String.join(", ", imports))
                    .append(" |\n");
        }
        return table.toString();
    }

    /** One above the highest room that is imported. */
    private static int floor(String room) {
        return HouseTest.MAY_IMPORT.get(room).stream().mapToInt(ReadmeTest::floor).max().orElse(0) + 1;
    }

    /** The keys with a sentence above them, in the file's order. */
    static List<Setting> settings() throws IOException {
        List<Setting> settings = new ArrayList<>();
        Deque<String> path = new ArrayDeque<>();
        List<String> sentence = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of("src/main/resources/application.yml"))) {
            Matcher entry = Pattern.compile("( *)([\\w.-]+):(?: (.*))?").matcher(line);
            if (line.strip().startsWith("#")) {
                sentence.add(line.strip().substring(1).strip());
            } else if (entry.matches()) {
                while (path.size() > entry.group(1).length() / 2) {
                    path.removeLast();
                }
                path.addLast(entry.group(2));
                if (entry.group(3) != null && !sentence.isEmpty() && !sentence.getFirst().startsWith("why:")) {
                    settings.add(new Setting(String.join(".", path), entry.group(3), String.join(" ", sentence)));
                }
                sentence.clear();
            } else {
                sentence.clear();
            }
        }
        return settings;
    }

    private static String settingsTable() throws IOException {
        StringBuilder table = new StringBuilder("| key | environment | default | what it is |\n|---|---|---|---|\n");
        for (Setting setting : settings()) {
            table.append("| `").append(setting.key()).append("` | `").append(setting.environment()).append("` | ")
                    .append(setting.standard().equals("\"\"") ? "none" : "`" + setting.standard() + "`").append(" | ")
                    .append(setting.sentence()).append(" |\n");
        }
        return table.toString();
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> contract() throws IOException {
        return (Map<String, Object>) new Yaml().load(Files.readString(Path.of("openapi.yaml")));
    }

    @SuppressWarnings("unchecked")
    private static String endpoints() throws IOException {
        StringBuilder table = new StringBuilder("| request | what it does |\n|---|---|\n");
        ((Map<String, Map<String, Object>>) contract().get("paths")).forEach((path, operations) -> new TreeMap<>(operations)
                .descendingMap().forEach((method, operation) -> table.append("| `").append(method.toUpperCase(Locale.ROOT)).append(' ')
                        .append(path).append("` | ").append(((Map<String, Object>) operation).get("summary")).append(" |\n")));
        return table.toString();
    }

    private static String meters() {
        StringBuilder table = new StringBuilder("| metric | type | labels | what it is |\n|---|---|---|---|\n");
        for (Meter meter : Meter.values()) {
            table.append("| `").append(meter.scraped()).append("` | ")
                    .append(meter.type() == Meter.Type.TIMER ? "histogram" : meter.type().name().toLowerCase(Locale.ROOT)).append(" | ")
                    .append(meter.labels().isEmpty() ? "-" : String.join(", ", meter.labels())).append(" | ").append(meter.sentence())
                    .append(" |\n");
        }
        return table.toString();
    }

    /** A table of the contract's own description. */
    @SuppressWarnings("unchecked")
    private static String contractTable(String heading) throws IOException {
        String description = (String) ((Map<String, Object>) contract().get("info")).get("description");
        Matcher table = Pattern.compile("(?s)" + heading + "\n.*?((?:\\|[^\n]*\n)+)").matcher(description);
        assertThat(table.find()).as(heading).isTrue();
        return table.group(1);
    }
}
