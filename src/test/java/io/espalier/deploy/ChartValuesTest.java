package io.espalier.deploy;

import static io.espalier.deploy.Chart.HOME;
import static io.espalier.deploy.Chart.map;
import static io.espalier.deploy.Chart.render;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.marcnuri.helm.Helm;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.yaml.snakeyaml.Yaml;

/** The chart's values: described once, refused where they are nonsense. */
class ChartValuesTest {

    private static final ObjectMapper JSON = new ObjectMapper();

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            api.replicas                     | -1                | /api/replicas
            api.replicas                     | 1000000           | /api/replicas
            api.autoscaling.minReplicas      | 9                 | min at most max
            api.podDisruptionBudget.maxUnavailable | half        | /api/podDisruptionBudget/maxUnavailable
            api.podDisruptionBudget.minAvailable | 1             | minAvailable
            api.preStopSeconds               | soon              | /api/preStopSeconds
            api.preStopSeconds               | 20                | api.terminationGracePeriodSeconds: 45 (expected: more than 50
            api.resources.request.cpu        | 1                 | request
            api.resources.limits.memory      | 3 GB              | /api/resources/limits/memory
            api.affinity.nodes               | a                 | /api/affinity
            api.nodeSelector.disk            | true              | /api/nodeSelector/disk
            api.settings.espalier\\.jobs\\.retires | 5           | retires
            worker.keda.enabled              | maybe             | /worker/keda/enabled
            worker.keda.minReplicas          | 9                 | min at most max
            worker.keda.sslMode              | tls               | /worker/keda/sslMode
            worker.gpu.count                 | one               | /worker/gpu/count
            worker.gpu.resource              | gpu               | /worker/gpu/resource
            worker.image.repository          | espalier:1        | /worker/image/repository
            worker.scratch.size              | 100ki             | /worker/scratch/size
            worker.drainSeconds              | 1m                | /worker/drainSeconds
            databse.host                     | x                 | databse
            database.host                    | postgres/espalier | /database/host
            database.sslMode                 | on                | /database/sslMode
            database.port                    | 70000             | /database/port
            database.existingSecret.name     | ''                | /database/existingSecret/name
            database.existingSecret.name     | My_Secret         | /database/existingSecret/name
            database.password                | secret            | password
            storage.artifacts                | s3                | /storage/s3/bucket
            storage.s3.endpoint              | minio:9000        | /storage/s3/endpoint
            storage.s3.prefix                | team/             | /storage/s3/prefix
            storage.data.size                | large             | /storage/data/size
            storage.data.accessModes[0]      | ReadWriteOncePod  | /storage/data/accessModes
            security.mode                    | jwt               | /security/jwt
            security.adminKey.existingSecret | ''                | /security/adminKey/existingSecret
            security.oidc.clientId           | dashboard         | /security/oidc/clientId
            security.oidc.scopes             | profile           | /security/oidc/scopes
            image.digest                     | sha256:12         | /image/digest
            image.repository                 | espalier:1.0      | /image/repository
            image.tag                        | a b               | /image/tag
            image.pullPolicy                 | always            | /image/pullPolicy
            imagePullSecrets[0].nam          | x                 | /imagePullSecrets/0
            settings.colour                  | red               | colour
            settings.server\\.port           | 9090              | server.port
            gateway.enabled                  | true              | /gateway/parentRefs
            gateway.requestTimeout           | forever           | /gateway/requestTimeout
            ingress.enabled                  | true              | /ingress/hosts
            ingress.hosts[0]                 | https://a.org     | /ingress/hosts/0
            networkPolicy.egressExcept[0]    | 10.0.0.300/8      | /networkPolicy/egressExcept
            networkPolicy.metricsFrom[0].namespaceSelecter | x   | /networkPolicy/metricsFrom/0
            networkPolicy.egressPorts[0]     | https             | /networkPolicy/egressPorts
            monitoring.interval              | often             | /monitoring/interval
            monitoring.interval              | 0s                | /monitoring/interval
            monitoring.tracing.endpoint      | collector         | /monitoring/tracing/endpoint
            commonLabels.team                | a team            | /commonLabels/team
            nameOverride                     | My Name           | /nameOverride
            service.type                     | Cluster           | /service/type
            serviceAccount.create            | perhaps           | /serviceAccount/create
            migrations.job                   | 1                 | /migrations/job
            worker                           | null              | worker
            """)
    void nonsenseIsRefused(String value, String given, String message) {
        assertThatThrownBy(() -> render("cpu.yaml", chart -> chart.set(value, Chart.typed(given)))).hasMessageContaining(message);
    }

    @Test
    void whatIsMissingIsSaidAllAtOnce() {
        assertThatThrownBy(() -> new Helm(HOME).template().withKubeVersion(Chart.KUBERNETES).call()).hasMessageContaining("/database/host")
                .hasMessageContaining("/database/existingSecret/name").hasMessageContaining("/security/adminKey/existingSecret");
    }

    /** {@code mvn test -Dtest=ChartValuesTest -Dreadme.update=true} writes the table anew. */
    @Test
    void theReadmesTableSaysWhatTheValuesSay() throws IOException {
        StringBuilder table = new StringBuilder("| value | default | what it is |\n|---|---|---|\n");
        described(HOME.resolve("values.yaml")).forEach((path, sentence) -> table.append("| `").append(path).append("` | `")
                .append(standard(path)).append("` | ").append(sentence).append(" |\n"));
        Path readme = HOME.resolve("README.md");
        String text = Files.readString(readme);
        Matcher place = Pattern.compile("(?s)(?<=<!-- generated: values -->\n).*?(?=<!-- end -->)").matcher(text);
        assertThat(place.find()).isTrue();
        if (Boolean.getBoolean("readme.update")) {
            Files.writeString(readme, text.substring(0, place.start()) + table + text.substring(place.end()));
        } else {
            assertThat(place.group()).isEqualTo(table.toString());
        }
    }

    /**
     * Names of settings that may stand in {@code settings}: those of the service, without those that the chart sets itself and without secrets.
     * {@code mvn test -Dtest=ChartValuesTest -Dreadme.update=true} writes the schema's list anew.
     */
    @Test
    void aSettingThatTheServiceDoesNotHaveIsNotASettingOfTheChart() throws IOException {
        Set<String> set = new TreeSet<>(List.of("ESPALIER_S3_ACCESS_KEY", "ESPALIER_S3_SECRET_KEY"));
        for (Map<String, Object> pod : Chart.pods(render("open.yaml", _ -> {}))) {
            Chart.list(Chart.list(pod, "containers").getFirst(), "env").forEach(variable -> set.add((String) variable.get("name")));
        }
        List<String> allowed = Chart.settings().entrySet().stream().filter(setting -> !set.contains(setting.getValue()))
                .map(Map.Entry::getKey).toList();
        Path file = HOME.resolve("values.schema.json");
        String schema = Files.readString(file);
        Matcher place = Pattern.compile("(?s)(?<=\"setting\": \\{\n      \"enum\": \\[).*?(?=\\])").matcher(schema);
        assertThat(place.find()).isTrue();
        if (Boolean.getBoolean("readme.update")) {
            String list = allowed.stream().map(name -> "\n        \"" + name + "\"").collect(Collectors.joining(","));
            Files.writeString(file, schema.substring(0, place.start()) + list + "\n      " + schema.substring(place.end()));
        } else {
            assertThat(Chart.at(new Yaml().load(schema), "definitions", "setting")).containsEntry("enum", allowed);
        }
    }

    @Test
    void everyValueHasASentenceAndThatOfTheSchemaIsTheSame() throws IOException {
        Map<String, Object> schema = new Yaml().load(Files.readString(HOME.resolve("values.schema.json")));
        Map<String, String> inSchema = new LinkedHashMap<>();
        leaves(schema, "", inSchema);
        inSchema.remove("global");
        assertThat(inSchema).isEqualTo(described(HOME.resolve("values.yaml")));
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
            value = new Yaml().load(Files.readString(HOME.resolve("values.yaml")));
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
