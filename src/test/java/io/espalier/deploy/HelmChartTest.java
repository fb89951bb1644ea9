package io.espalier.deploy;

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
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.marcnuri.helm.Helm;
import com.marcnuri.helm.TemplateCommand;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaim;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.ServiceAccount;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.autoscaling.v2.HorizontalPodAutoscaler;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.gatewayapi.v1.HTTPRoute;
import io.fabric8.kubernetes.api.model.networking.v1.Ingress;
import io.fabric8.kubernetes.api.model.networking.v1.NetworkPolicy;
import io.fabric8.kubernetes.api.model.policy.v1.PodDisruptionBudget;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.yaml.snakeyaml.Yaml;

/** The chart, as Helm itself renders it, held to Kubernetes' own types, to the restricted pod security standard and to the service's settings. */
class HelmChartTest {

    private static final Path CHART = Path.of("helm/espalier");
    private static final String KUBERNETES = "1.34.0";

    /** Kinds that Kubernetes and its gateway define, as types that keep what they do not know apart. */
    private static final Map<String, Class<?>> KINDS = Map.ofEntries(Map.entry("apps/v1 Deployment", Deployment.class),
            Map.entry("v1 Service", Service.class), Map.entry("v1 ConfigMap", ConfigMap.class),
            Map.entry("v1 ServiceAccount", ServiceAccount.class), Map.entry("v1 PersistentVolumeClaim", PersistentVolumeClaim.class),
            Map.entry("batch/v1 Job", Job.class), Map.entry("autoscaling/v2 HorizontalPodAutoscaler", HorizontalPodAutoscaler.class),
            Map.entry("policy/v1 PodDisruptionBudget", PodDisruptionBudget.class),
            Map.entry("networking.k8s.io/v1 NetworkPolicy", NetworkPolicy.class),
            Map.entry("networking.k8s.io/v1 Ingress", Ingress.class),
            Map.entry("gateway.networking.k8s.io/v1 HTTPRoute", HTTPRoute.class));

    /** Kinds of KEDA and of the Prometheus operator: what their published definitions allow in a spec, of what is used here. */
    private static final Map<String, Set<String>> FOREIGN = Map.of(
            "keda.sh/v1alpha1 ScaledObject",
            Set.of("scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod", "fallback", "triggers"),
            "keda.sh/v1alpha1 TriggerAuthentication", Set.of("secretTargetRef"),
            "monitoring.coreos.com/v1 ServiceMonitor", Set.of("selector", "endpoints", "podTargetLabels"),
            "monitoring.coreos.com/v1 PrometheusRule", Set.of("groups"));

    private static final ObjectMapper JSON = new ObjectMapper();

    /** The chart with its hooks as ordinary objects: the library renders everything but hooks. */
    @TempDir
    private static Path unhooked;

    @BeforeAll
    static void unhook() throws IOException {
        copy(CHART, unhooked);
        try (Stream<Path> templates = Files.list(unhooked.resolve("templates"))) {
            for (Path template : templates.toList()) {
                Files.writeString(template, Files.readString(template).replace("helm.sh/hook", "hook"));
            }
        }
    }

    static List<String> sets() throws IOException {
        try (Stream<Path> files = Files.list(CHART.resolve("ci"))) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void thereAreFiveSetsOfValues() throws IOException {
        assertThat(sets()).containsExactly("cpu.yaml", "full.yaml", "gpu.yaml", "open.yaml", "s3.yaml");
    }

    @ParameterizedTest
    @MethodSource("sets")
    void helmFindsNothingToSay(String set, @TempDir Path temp) throws IOException {
        copy(CHART, temp);
        Map<String, Object> values = new Yaml().load(Files.readString(CHART.resolve("values.yaml")));
        merge(values, new Yaml().load(Files.readString(CHART.resolve("ci").resolve(set))));
        Files.writeString(temp.resolve("values.yaml"), new Yaml().dump(values));
        var result = new Helm(temp).lint().strict().call();
        assertThat(result.isFailed()).as("%s", result.getMessages()).isFalse();
    }

    @ParameterizedTest
    @MethodSource("sets")
    void everyObjectIsOneThatKubernetesKnows(String set) {
        List<Map<String, Object>> objects = render(set, _ -> {});
        assertThat(objects).hasSizeGreaterThan(5);
        for (Map<String, Object> object : objects) {
            String kind = object.get("apiVersion") + " " + object.get("kind");
            if (FOREIGN.containsKey(kind)) {
                assertThat(at(object, "spec").keySet()).as(kind).isSubsetOf(FOREIGN.get(kind));
                assertThat(object.keySet()).as(kind).containsExactlyInAnyOrder("apiVersion", "kind", "metadata", "spec");
            } else {
                assertThat(KINDS).as(kind).containsKey(kind);
                HasMetadata typed = (HasMetadata) JSON.convertValue(object, KINDS.get(kind));
                // why: what a type does not know it would keep for itself, and what it knows otherwise it would write differently
                assertThat(unknown(object, JSON.convertValue(typed, Object.class), kind)).isEmpty();
                assertThat(additional(typed, kind, new ArrayList<>())).isEmpty();
            }
            assertThat((String) at(object, "metadata").get("name")).as(kind).matches("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
            assertThat(at(object, "metadata", "labels")).as(kind).containsKeys("app.kubernetes.io/name", "app.kubernetes.io/instance",
                    "app.kubernetes.io/version", "helm.sh/chart");
        }
    }

    @ParameterizedTest
    @MethodSource("sets")
    void everyPodIsRestricted(String set) {
        List<Map<String, Object>> pods = pods(render(set, _ -> {}));
        assertThat(pods).hasSizeGreaterThanOrEqualTo(2);
        for (Map<String, Object> pod : pods) {
            assertThat(pod).containsEntry("automountServiceAccountToken", false).doesNotContainKeys("hostNetwork", "hostPID", "hostIPC");
            assertThat(at(pod, "securityContext")).containsEntry("runAsNonRoot", true);
            assertThat(at(pod, "securityContext", "seccompProfile")).containsEntry("type", "RuntimeDefault");
            assertThat(list(pod, "volumes")).allSatisfy(volume -> assertThat(volume).doesNotContainKey("hostPath"));
            Map<String, Object> container = list(pod, "containers").getFirst();
            assertThat(at(container, "securityContext")).containsEntry("allowPrivilegeEscalation", false)
                    .containsEntry("readOnlyRootFilesystem", true).containsEntry("capabilities", Map.of("drop", List.of("ALL")));
            assertThat(at(container, "resources")).containsKeys("requests", "limits");
            assertThat((String) container.get("image")).matches(".+(:[0-9].*|@sha256:[0-9a-f]{64})");
            assertThat(list(container, "volumeMounts")).extracting(mount -> mount.get("name"))
                    .isSubsetOf(list(pod, "volumes").stream().map(volume -> volume.get("name")).toList());
        }
    }

    @ParameterizedTest
    @MethodSource("sets")
    void everyVariableIsASettingOfTheService(String set) throws IOException {
        Set<String> settings = settings();
        for (Map<String, Object> pod : pods(render(set, _ -> {}))) {
            List<String> names = list(pod, "containers").stream().flatMap(container -> list(container, "env").stream())
                    .map(variable -> (String) variable.get("name")).toList();
            assertThat(names).doesNotHaveDuplicates();
            assertThat(names).filteredOn(name -> name.matches("(ESPALIER|SERVER|SPRING|MANAGEMENT)_.*")).isNotEmpty()
                    .allSatisfy(name -> assertThat(settings).contains(name));
        }
    }

    @Test
    void aGpuWorkerAsksForItsGpuAndToleratesItsNode() {
        Map<String, Object> worker = pod(render("gpu.yaml", _ -> {}), "worker");
        Map<String, Object> container = list(worker, "containers").getFirst();
        assertThat(at(container, "resources", "limits")).containsEntry("nvidia.com/gpu", 1).containsKey("memory");
        assertThat(container).containsEntry("image", "espalier/espalier-cuda:0.1.0");
        assertThat(list(worker, "tolerations")).extracting(toleration -> toleration.get("key")).contains("nvidia.com/gpu");
        assertThat(worker).containsEntry("runtimeClassName", "nvidia");
        assertThat(variable(container, "ESPALIER_WORKER_DEVICES")).isEqualTo("auto");
    }

    @Test
    void kedaScalesWorkersToZeroAndBackAndWithoutItTheirNumberIsFixed() {
        List<Map<String, Object>> with = render("gpu.yaml", _ -> {});
        assertThat(at(deployment(with, "worker"), "spec")).doesNotContainKey("replicas");
        Map<String, Object> scaled = only(with, "ScaledObject");
        assertThat(at(scaled, "spec")).containsEntry("minReplicaCount", 0).containsEntry("maxReplicaCount", 2);
        assertThat(at(scaled, "spec", "scaleTargetRef")).containsEntry("name", deployment(with, "worker").get("name"));
        assertThat(at(scaled, "spec", "fallback")).containsEntry("replicas", 1);

        List<Map<String, Object>> without = render("cpu.yaml", _ -> {});
        assertThat(without).extracting(object -> object.get("kind")).doesNotContain("ScaledObject", "TriggerAuthentication");
        assertThat(at(deployment(without, "worker"), "spec")).containsEntry("replicas", 1);
        assertThat(at(deployment(without, "api"), "spec")).as("its autoscaler decides").doesNotContainKey("replicas");
    }

    @Test
    void aPodHasLongerToStopThanItsDrainTakes() {
        Map<String, Object> worker = pod(render("cpu.yaml", _ -> {}), "worker");
        Map<String, Object> container = list(worker, "containers").getFirst();
        int grace = (int) worker.get("terminationGracePeriodSeconds");
        assertThat(grace)
                .isGreaterThan(seconds(container, "ESPALIER_WORKER_DRAIN") + 2 * seconds(container, "ESPALIER_WORKER_SHUTDOWN_WAIT"));
        assertThat(seconds(container, "SPRING_LIFECYCLE_TIMEOUT_PER_SHUTDOWN_PHASE")).isLessThan(grace)
                .isGreaterThan(seconds(container, "ESPALIER_WORKER_DRAIN"));
        assertThatThrownBy(() -> render("cpu.yaml", chart -> chart.set("worker.drainSeconds", 101)))
                .hasMessageContaining("worker.terminationGracePeriodSeconds: 120 (expected: more than 121");
    }

    @Test
    void tablesAreBroughtUpBeforePodsAreReplacedAndNoPodDoesItAsWell() {
        List<Map<String, Object>> objects = render("cpu.yaml", _ -> {});
        Map<String, Object> job = only(objects, "Job");
        assertThat(at(job, "metadata", "annotations")).containsEntry("hook", "pre-install,pre-upgrade");
        assertThat(variable(list(pod(objects, "migrations"), "containers").getFirst(), "ESPALIER_DATABASE_MIGRATE")).isEqualTo("only");
        for (String role : List.of("api", "worker")) {
            assertThat(variable(list(pod(objects, role), "containers").getFirst(), "ESPALIER_DATABASE_MIGRATE")).isEqualTo("false");
        }
        List<Map<String, Object>> without = render("open.yaml", _ -> {});
        assertThat(without).extracting(object -> object.get("kind")).doesNotContain("Job");
        assertThat(variable(list(pod(without, "api"), "containers").getFirst(), "ESPALIER_DATABASE_MIGRATE")).isEqualTo("true");
    }

    @Test
    void settingsBecomeVariables() {
        List<Map<String, Object>> objects = render("full.yaml", _ -> {});
        Map<String, Object> api = list(pod(objects, "api"), "containers").getFirst();
        Map<String, Object> worker = list(pod(objects, "worker"), "containers").getFirst();
        assertThat(variable(api, "ESPALIER_JOBS_KEEP_JOBS")).isEqualTo("30d");
        assertThat(variable(worker, "ESPALIER_JOBS_RETRIES")).isEqualTo("5");
        assertThat(variable(worker, "ESPALIER_WORKER_MEMORY_BUDGET")).isEqualTo("60GB");
        assertThat(variable(api, "ESPALIER_API_SCORE_CACHE")).isEqualTo("1GB");
        assertThat(variable(worker, "ESPALIER_API_SCORE_CACHE")).isNull();
    }

    @Test
    void peopleSignInWithTheIssuerWhereTheDashboardIsRegistered() {
        Map<String, Object> with = list(pod(render("s3.yaml", _ -> {}), "api"), "containers").getFirst();
        assertThat(variable(with, "ESPALIER_SECURITY_OIDC_CLIENT_ID")).isEqualTo("espalier-dashboard");
        assertThat(variable(with, "ESPALIER_SECURITY_OIDC_SCOPES")).isEqualTo("openid profile offline_access");
        Map<String, Object> without = list(pod(render("s3.yaml", chart -> chart.set("security.oidc.clientId", "")), "api"), "containers")
                .getFirst();
        assertThat(variable(without, "ESPALIER_SECURITY_OIDC_CLIENT_ID")).isNull();
        assertThat(variable(list(pod(render("s3.yaml", _ -> {}), "worker"), "containers").getFirst(), "ESPALIER_SECURITY_OIDC_CLIENT_ID"))
                .isNull();
    }

    @Test
    void alertsAndPanelsAskForMetricsThatThereAre() throws IOException {
        String readme = Files.readString(Path.of("README.md"));
        Map<String, Object> alerts = new Yaml().load(Files.readString(CHART.resolve("files/alerts.yaml")));
        List<String> asked = new ArrayList<>(list(list(alerts, "groups").getFirst(), "rules").stream().map(rule -> {
            assertThat(at(rule, "annotations")).containsOnlyKeys("summary", "description");
            return (String) rule.get("expr");
        }).toList());
        Map<String, Object> board = new Yaml().load(Files.readString(CHART.resolve("files/dashboard.json")));
        list(board, "panels").forEach(panel -> list(panel, "targets").forEach(target -> asked.add((String) target.get("expr"))));
        assertThat(asked).hasSizeGreaterThan(20);
        for (String question : asked) {
            Matcher metric = Pattern.compile("espalier_[a-z_]+").matcher(question);
            while (metric.find()) {
                assertThat(readme).as(question).contains("| `" + metric.group().replaceFirst("_bucket$", "") + "` |");
            }
        }
        Map<String, Object> rendered = only(render("full.yaml", _ -> {}), "PrometheusRule");
        assertThat(at(rendered, "spec")).isEqualTo(alerts);
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
            security.oidc.clientId        | dashboard    | /security/oidc/clientId
            security.oidc.scopes          | profile      | /security/oidc/scopes
            image.digest                  | sha256:12    | /image/digest
            settings.colour               | red          | colour
            gateway.enabled               | true         | /gateway/parentRefs
            ingress.enabled               | true         | /ingress/hosts
            monitoring.interval           | often        | /monitoring/interval
            worker.keda.minReplicas       | 9            | min at most max
            """)
    void nonsenseIsRefused(String value, String given, String message) {
        assertThatThrownBy(() -> render("cpu.yaml", chart -> chart.set(value, typed(given)))).hasMessageContaining(message);
    }

    @Test
    void whatIsMissingIsSaidAllAtOnce() {
        assertThatThrownBy(() -> new Helm(CHART).template().withKubeVersion(KUBERNETES).call()).hasMessageContaining("/database/host")
                .hasMessageContaining("/database/existingSecret/name").hasMessageContaining("/security/adminKey/existingSecret");
    }

    /** {@code mvn test -Dtest=HelmChartTest -Dreadme.update=true} writes the table anew. */
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

    // --- rendering -----------------------------------------------------------------------------------------------------------------

    private static List<Map<String, Object>> render(String set, Consumer<TemplateCommand> more) {
        TemplateCommand chart = new Helm(unhooked).template().withName("release").withNamespace("pruning").withKubeVersion(KUBERNETES)
                .withValuesFile(CHART.resolve("ci").resolve(set));
        more.accept(chart);
        List<Map<String, Object>> objects = new ArrayList<>();
        new Yaml().loadAll(chart.call()).forEach(document -> {
            if (document != null) {
                objects.add(map(document));
            }
        });
        return objects;
    }

    private static Object typed(String given) {
        return given.matches("-?[0-9]+") ? Integer.valueOf(given) : given.equals("true") ? Boolean.TRUE : given;
    }

    private static List<Map<String, Object>> pods(List<Map<String, Object>> objects) {
        return objects.stream().filter(object -> List.of("Deployment", "Job").contains(object.get("kind")))
                .map(object -> at(object, "spec", "template", "spec")).toList();
    }

    private static Map<String, Object> pod(List<Map<String, Object>> objects, String role) {
        return at(deployment(objects, role), "spec", "template", "spec");
    }

    /** With its name at the top. */
    private static Map<String, Object> deployment(List<Map<String, Object>> objects, String role) {
        Map<String, Object> found = objects.stream().filter(object -> List.of("Deployment", "Job").contains(object.get("kind")))
                .filter(object -> role.equals(at(object, "metadata", "labels").get("app.kubernetes.io/component"))).findFirst()
                .orElseThrow();
        Map<String, Object> named = new LinkedHashMap<>(found);
        named.put("name", at(found, "metadata").get("name"));
        return named;
    }

    private static Map<String, Object> only(List<Map<String, Object>> objects, String kind) {
        List<Map<String, Object>> found = objects.stream().filter(object -> kind.equals(object.get("kind"))).toList();
        assertThat(found).as(kind).hasSize(1);
        return found.getFirst();
    }

    private static String variable(Map<String, Object> container, String name) {
        return list(container, "env").stream().filter(variable -> name.equals(variable.get("name")))
                .map(variable -> (String) variable.get("value")).findFirst().orElse(null);
    }

    private static int seconds(Map<String, Object> container, String name) {
        return Integer.parseInt(variable(container, name).replace("s", ""));
    }

    // --- what is there -------------------------------------------------------------------------------------------------------------

    /** Whatever was given and is not there, or otherwise, once the type has read and written it. */
    private static List<String> unknown(Object given, Object read, String path) {
        List<String> problems = new ArrayList<>();
        if (given instanceof Map<?, ?> map) {
            if (!(read instanceof Map<?, ?> other)) {
                return map.isEmpty() ? List.of() : List.of(path + ": " + given);
            }
            map.forEach((key, value) -> problems.addAll(unknown(value, other.get(key), path + "." + key)));
        } else if (given instanceof List<?> list) {
            if (!(read instanceof List<?> other) || other.size() != list.size()) {
                return list.isEmpty() ? List.of() : List.of(path + ": " + given);
            }
            for (int i = 0; i < list.size(); i++) {
                problems.addAll(unknown(list.get(i), other.get(i), path + "[" + i + "]"));
            }
        } else if (given != null && !given.toString().equals(String.valueOf(read))) {
            problems.add(path + ": " + given + " read as " + read);
        }
        return problems;
    }

    /** What the types kept as additional properties. */
    private static List<String> additional(Object typed, String path, List<String> found) {
        if (typed instanceof List<?> list) {
            list.forEach(element -> additional(element, path, found));
        } else if (typed instanceof Map<?, ?> map) {
            map.forEach((key, value) -> additional(value, path + "." + key, found));
        } else if (typed != null && typed.getClass().getName().startsWith("io.fabric8.kubernetes.api.model.")) {
            for (var method : typed.getClass().getMethods()) {
                if (method.getParameterCount() != 0 || !method.getName().startsWith("get") || method.getName().equals("getClass")) {
                    continue;
                }
                Object value;
                try {
                    value = method.invoke(typed);
                } catch (ReflectiveOperationException e) {
                    throw new IllegalStateException(e);
                }
                if (method.getName().equals("getAdditionalProperties")) {
                    ((Map<?, ?>) value).keySet().forEach(key -> found.add(path + "." + key));
                } else if (!typed.getClass().getSimpleName().equals("Quantity")) {
                    additional(value, path + "." + method.getName().substring(3), found);
                }
            }
        }
        return found;
    }

    private static Set<String> settings() throws IOException {
        Set<String> names = new TreeSet<>();
        Matcher rows = Pattern.compile("(?m)^\\| `[a-z0-9.-]+` \\| `([A-Z0-9_]+)` \\|").matcher(Files.readString(Path.of("README.md")));
        while (rows.find()) {
            names.add(rows.group(1));
        }
        return names;
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

    private static void copy(Path from, Path to) throws IOException {
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

    private static void merge(Map<String, Object> into, Map<String, Object> from) {
        from.forEach((key, value) -> {
            if (value instanceof Map<?, ?> && into.get(key) instanceof Map<?, ?> inner) {
                merge(map(inner), map(value));
            } else {
                into.put(key, value);
            }
        });
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    private static List<Map<String, Object>> list(Map<String, Object> from, String key) {
        return (List<Map<String, Object>>) from.getOrDefault(key, List.of());
    }

    private static Map<String, Object> at(Map<String, Object> from, String... path) {
        Map<String, Object> here = from;
        for (String key : path) {
            here = map(here.get(key));
        }
        return here;
    }
}
