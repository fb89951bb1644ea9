package io.espalier.deploy;

import static io.espalier.deploy.Chart.CHART;
import static io.espalier.deploy.Chart.KUBERNETES;
import static io.espalier.deploy.Chart.map;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.marcnuri.helm.Helm;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.yaml.snakeyaml.Yaml;

/** The chart's values: what is refused, and that page, schema and defaults say the same. */
class HelmValuesTest {

    private static final ObjectMapper JSON = new ObjectMapper();

    private static Chart chart;

    @BeforeAll
    static void unhook(@TempDir Path temp) throws IOException {
        chart = Chart.into(temp);
    }

    @Test
    void thereAreFiveSetsOfValues() throws IOException {
        assertThat(Chart.sets()).containsExactly("cpu.yaml", "full.yaml", "gpu.yaml", "open.yaml", "s3.yaml");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            api.replicas                  | -1           | /api/replicas
            worker.keda.enabled           | maybe        | /worker/keda/enabled
            worker.gpu.count              | one          | /worker/gpu/count
            databse.host                  | x            | databse
            database.sslMode              | on           | /database/sslMode
            database.port                 | 70000        | /database/port
            database.existingSecret.name  | ''           | /database/existingSecret/name
            storage.artifacts             | s3           | /storage/s3/bucket
            storage.data.size             | large        | /storage/data/size
            security.mode                 | jwt          | /security/jwt
            security.adminKey.existingSecret | ''        | /security/adminKey/existingSecret
            image.digest                  | sha256:12    | /image/digest
            settings.colour               | red          | colour
            gateway.enabled               | true         | /gateway/parentRefs
            ingress.enabled               | true         | /ingress/hosts
            monitoring.interval           | often        | /monitoring/interval
            worker.keda.minReplicas       | 9            | min at most max
            """)
    void nonsenseIsRefused(String value, String given, String message) {
        assertThatThrownBy(() -> chart.render("cpu.yaml", command -> command.set(value, typed(given)))).hasMessageContaining(message);
    }

    @Test
    void whatIsMissingIsSaidAllAtOnce() {
        assertThatThrownBy(() -> new Helm(CHART).template().withKubeVersion(KUBERNETES).call()).hasMessageContaining("/database/host")
                .hasMessageContaining("/database/existingSecret/name").hasMessageContaining("/security/adminKey/existingSecret");
    }

    /** {@code mvn test -Dtest=HelmValuesTest -Dreadme.update=true} writes the table anew. */
    @Test
    void theReadmesTableSaysWhatTheValuesSay() throws IOException {
        StringBuilder table = new StringBuilder("| value | default | what it is |\n|---|---|---|\n");
        described(CHART.resolve("values.yaml")).forEach((path, sentence) -> table.append("| `").append(path).append("` | `")
                .append(standard(path)).append("` | ").append(sentence).append(" |\n"));
        Path readme = CHART.resolve("README.md");
        String text = Files.readString(readme);
        Matcher place = Pattern.compile("(?s)(?<=<!-- generated: values -->\n).*?(?=<!-- end -->)").matcher(text);
        assertThat(place.find()).isTrue();
        if (Boolean.getBoolean("readme.update")) {
            Files.writeString(readme, text.substring(0, place.start()) + table + text.substring(place.end()));
        } else {
            assertThat(place.group()).isEqualTo(table.toString());
        }
    }

    @Test
    void everyValueHasASentenceAndThatOfTheSchemaIsTheSame() throws IOException {
        Map<String, Object> schema = new Yaml().load(Files.readString(CHART.resolve("values.schema.json")));
        Map<String, String> inSchema = new LinkedHashMap<>();
        leaves(schema, "", inSchema);
        inSchema.remove("global");
        assertThat(inSchema).isEqualTo(described(CHART.resolve("values.yaml")));
    }

    private static Object typed(String given) {
        return given.matches("-?[0-9]+") ? Integer.valueOf(given) : given.equals("true") ? Boolean.TRUE : given;
    }

    /** Paths of values with the sentence of the comment above each. */
    private static Map<String, String> described(Path values) throws IOException {
        Map<String, String> described = new LinkedHashMap<>();
        List<String> path = new ArrayList<>();
        String sentence = null;
        for (String line : Files.readAllLines(values)) {
            Matcher comment = Pattern.compile(" *# -- (.*)").matcher(line);
            Matcher key = Pattern.compile("( *)([A-Za-z0-9]+):(.*)").matcher(line);
            if (comment.matches()) {
                sentence = comment.group(1);
            } else if (key.matches()) {
                int depth = key.group(1).length() / 2;
                path = new ArrayList<>(path.subList(0, depth));
                path.add(key.group(2));
                // why: a key without a sentence opens a section, or stands inside of a value that has one
                if (sentence != null) {
                    described.put(String.join(".", path), sentence);
                }
                sentence = null;
            }
        }
        return described;
    }

    private static String standard(String path) {
        Object value;
        try {
            value = new Yaml().load(Files.readString(CHART.resolve("values.yaml")));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        for (String key : path.split("\\.")) {
            value = map(value).get(key);
        }
        try {
            return value instanceof String text ? text.isEmpty() ? "\"\"" : text : JSON.writeValueAsString(value);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void leaves(Map<String, Object> schema, String path, Map<String, String> found) {
        if (schema.get("description") instanceof String sentence) {
            found.put(path, sentence);
        }
        if (schema.get("properties") instanceof Map<?, ?> properties) {
            properties.forEach((key, value) -> leaves(map(value), path.isEmpty() ? key.toString() : path + "." + key, found));
        }
    }
}
