package io.espalier.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import com.marcnuri.helm.Helm;
import com.marcnuri.helm.TemplateCommand;
import org.springframework.util.FileSystemUtils;
import org.yaml.snakeyaml.Yaml;

/** The chart as Helm renders it, and ways to look into what comes out. */
final class Chart {

    static final Path HOME = Path.of("helm/espalier");
    static final String KUBERNETES = "1.34.0";

    /** The chart with its hooks as ordinary objects: the library renders everything but hooks. */
    private static final Path UNHOOKED = unhooked();

    private Chart() {}

    private static Path unhooked() {
        Path copy = Path.of("target/chart-without-hooks");
        try {
            FileSystemUtils.deleteRecursively(copy);
            copy(HOME, copy);
            try (Stream<Path> templates = Files.list(copy.resolve("templates"))) {
                for (Path template : templates.toList()) {
                    Files.writeString(template, Files.readString(template).replace("helm.sh/hook", "hook"));
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return copy;
    }

    /** The service's settings, as the README lists them: key to variable. */
    static Map<String, String> settings() throws IOException {
        Map<String, String> settings = new LinkedHashMap<>();
        Pattern.compile("(?m)^\\| `([a-z0-9.-]+)` \\| `([A-Z0-9_]+)` \\|").matcher(Files.readString(Path.of("README.md"))).results()
                .forEach(row -> settings.put(row.group(1), row.group(2)));
        return settings;
    }

    /** Names of the sets of values in {@code ci}. */
    static List<String> sets() throws IOException {
        try (Stream<Path> files = Files.list(HOME.resolve("ci"))) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    static List<Map<String, Object>> render(String set, Consumer<TemplateCommand> more) {
        TemplateCommand chart = new Helm(UNHOOKED).template().withName("release").withNamespace("pruning").withKubeVersion(KUBERNETES)
                .withValuesFile(HOME.resolve("ci").resolve(set));
        more.accept(chart);
        List<Map<String, Object>> objects = new ArrayList<>();
        new Yaml().loadAll(chart.call()).forEach(document -> {
            if (document != null) {
                objects.add(map(document));
            }
        });
        return objects;
    }

    static Object typed(String given) {
        return given.matches("-?[0-9]+") ? Integer.valueOf(given) : given.equals("true") ? Boolean.TRUE : given;
    }

    static List<Map<String, Object>> pods(List<Map<String, Object>> objects) {
        return objects.stream().filter(object -> List.of("Deployment", "Job").contains(object.get("kind")))
                .map(object -> at(object, "spec", "template", "spec")).toList();
    }

    static Map<String, Object> pod(List<Map<String, Object>> objects, String role) {
        return at(deployment(objects, role), "spec", "template", "spec");
    }

    /** With its name at the top. */
    static Map<String, Object> deployment(List<Map<String, Object>> objects, String role) {
        Map<String, Object> found = objects.stream().filter(object -> List.of("Deployment", "Job").contains(object.get("kind")))
                .filter(object -> role.equals(at(object, "metadata", "labels").get("app.kubernetes.io/component"))).findFirst()
                .orElseThrow();
        Map<String, Object> named = new LinkedHashMap<>(found);
        named.put("name", at(found, "metadata").get("name"));
        return named;
    }

    static Map<String, Object> only(List<Map<String, Object>> objects, String kind) {
        List<Map<String, Object>> found = objects.stream().filter(object -> kind.equals(object.get("kind"))).toList();
        assertThat(found).as(kind).hasSize(1);
        return found.getFirst();
    }

    static String variable(Map<String, Object> container, String name) {
        return list(container, "env").stream().filter(variable -> name.equals(variable.get("name")))
                .map(variable -> (String) variable.get("value")).findFirst().orElse(null);
    }

    static int seconds(Map<String, Object> container, String name) {
        return Integer.parseInt(variable(container, name).replace("s", ""));
    }

    static void copy(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : files.toList()) {
                Path target = to.resolve(from.relativize(file).toString());
                if (Files.isDirectory(file)) {
                    Files.createDirectories(target);
                } else {
                    Files.copy(file, target);
                }
            }
        }
    }

    static void merge(Map<String, Object> into, Map<String, Object> from) {
        from.forEach((key, value) -> {
            if (value instanceof Map<?, ?> && into.get(key) instanceof Map<?, ?> inner) {
                merge(map(inner), map(value));
            } else {
                into.put(key, value);
            }
        });
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    static List<Map<String, Object>> list(Map<String, Object> from, String key) {
        return (List<Map<String, Object>>) from.getOrDefault(key, List.of());
    }

    static Map<String, Object> at(Map<String, Object> from, String... path) {
        Map<String, Object> here = from;
        for (String key : path) {
            here = map(here.get(key));
        }
        return here;
    }
}
