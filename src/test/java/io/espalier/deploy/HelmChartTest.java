package io.espalier.deploy;

import static io.espalier.deploy.Chart.CHART;
import static io.espalier.deploy.Chart.at;
import static io.espalier.deploy.Chart.copy;
import static io.espalier.deploy.Chart.deployment;
import static io.espalier.deploy.Chart.list;
import static io.espalier.deploy.Chart.map;
import static io.espalier.deploy.Chart.only;
import static io.espalier.deploy.Chart.pod;
import static io.espalier.deploy.Chart.pods;
import static io.espalier.deploy.Chart.seconds;
import static io.espalier.deploy.Chart.variable;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import com.marcnuri.helm.Helm;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.yaml.snakeyaml.Yaml;

/** What the chart renders, held to the restricted pod security standard, to the service's settings and to what its values promise. */
class HelmChartTest {

    private static Chart chart;

    @BeforeAll
    static void unhook(@TempDir Path temp) throws IOException {
        chart = Chart.into(temp);
    }

    @ParameterizedTest
    @MethodSource("io.espalier.deploy.Chart#sets")
    void helmFindsNothingToSay(String set, @TempDir Path temp) throws IOException {
        copy(CHART, temp);
        Map<String, Object> values = new Yaml().load(Files.readString(CHART.resolve("values.yaml")));
        merge(values, new Yaml().load(Files.readString(CHART.resolve("ci").resolve(set))));
        Files.writeString(temp.resolve("values.yaml"), new Yaml().dump(values));
        var result = new Helm(temp).lint().strict().call();
        assertThat(result.isFailed()).as("%s", result.getMessages()).isFalse();
    }

    @ParameterizedTest
    @MethodSource("io.espalier.deploy.Chart#sets")
    void everyPodIsRestricted(String set) {
        List<Map<String, Object>> pods = pods(chart.render(set, _ -> {}));
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
    @MethodSource("io.espalier.deploy.Chart#sets")
    void everyVariableIsASettingOfTheService(String set) throws IOException {
        Set<String> settings = settings();
        for (Map<String, Object> pod : pods(chart.render(set, _ -> {}))) {
            List<String> names = list(pod, "containers").stream().flatMap(container -> list(container, "env").stream())
                    .map(variable -> (String) variable.get("name")).toList();
            assertThat(names).doesNotHaveDuplicates();
            assertThat(names).filteredOn(name -> name.matches("(ESPALIER|SERVER|SPRING|MANAGEMENT)_.*")).isNotEmpty()
                    .allSatisfy(name -> assertThat(settings).contains(name));
        }
    }

    @Test
    void aGpuWorkerAsksForItsGpuAndToleratesItsNode() {
        Map<String, Object> worker = pod(chart.render("gpu.yaml", _ -> {}), "worker");
        Map<String, Object> container = list(worker, "containers").getFirst();
        assertThat(at(container, "resources", "limits")).containsEntry("nvidia.com/gpu", 1).containsKey("memory");
        assertThat(container).containsEntry("image", "espalier/espalier-cuda:0.1.0");
        assertThat(list(worker, "tolerations")).extracting(toleration -> toleration.get("key")).contains("nvidia.com/gpu");
        assertThat(worker).containsEntry("runtimeClassName", "nvidia");
        assertThat(variable(container, "ESPALIER_WORKER_DEVICES")).isEqualTo("auto");
    }

    @Test
    void kedaScalesWorkersToZeroAndBackAndWithoutItTheirNumberIsFixed() {
        List<Map<String, Object>> with = chart.render("gpu.yaml", _ -> {});
        assertThat(at(deployment(with, "worker"), "spec")).doesNotContainKey("replicas");
        Map<String, Object> scaled = only(with, "ScaledObject");
        assertThat(at(scaled, "spec")).containsEntry("minReplicaCount", 0).containsEntry("maxReplicaCount", 2);
        assertThat(at(scaled, "spec", "scaleTargetRef")).containsEntry("name", deployment(with, "worker").get("name"));
        assertThat(at(scaled, "spec", "fallback")).containsEntry("replicas", 1);

        List<Map<String, Object>> without = chart.render("cpu.yaml", _ -> {});
        assertThat(without).extracting(object -> object.get("kind")).doesNotContain("ScaledObject", "TriggerAuthentication");
        assertThat(at(deployment(without, "worker"), "spec")).containsEntry("replicas", 1);
        assertThat(at(deployment(without, "api"), "spec")).as("its autoscaler decides").doesNotContainKey("replicas");
    }

    @Test
    void aPodHasLongerToStopThanItsDrainTakes() {
        Map<String, Object> worker = pod(chart.render("cpu.yaml", _ -> {}), "worker");
        Map<String, Object> container = list(worker, "containers").getFirst();
        int grace = (int) worker.get("terminationGracePeriodSeconds");
        assertThat(grace)
                .isGreaterThan(seconds(container, "ESPALIER_WORKER_DRAIN") + 2 * seconds(container, "ESPALIER_WORKER_SHUTDOWN_WAIT"));
        assertThat(seconds(container, "SPRING_LIFECYCLE_TIMEOUT_PER_SHUTDOWN_PHASE")).isLessThan(grace)
                .isGreaterThan(seconds(container, "ESPALIER_WORKER_DRAIN"));
        assertThatThrownBy(() -> chart.render("cpu.yaml", command -> command.set("worker.drainSeconds", 101)))
                .hasMessageContaining("worker.terminationGracePeriodSeconds: 120 (expected: more than 121");
    }

    @Test
    void tablesAreBroughtUpBeforePodsAreReplacedAndNoPodDoesItAsWell() {
        List<Map<String, Object>> objects = chart.render("cpu.yaml", _ -> {});
        Map<String, Object> job = only(objects, "Job");
        assertThat(at(job, "metadata", "annotations")).containsEntry("hook", "pre-install,pre-upgrade");
        assertThat(variable(list(pod(objects, "migrations"), "containers").getFirst(), "ESPALIER_DATABASE_MIGRATE")).isEqualTo("only");
        for (String role : List.of("api", "worker")) {
            assertThat(variable(list(pod(objects, role), "containers").getFirst(), "ESPALIER_DATABASE_MIGRATE")).isEqualTo("false");
        }
        List<Map<String, Object>> without = chart.render("open.yaml", _ -> {});
        assertThat(without).extracting(object -> object.get("kind")).doesNotContain("Job");
        assertThat(variable(list(pod(without, "api"), "containers").getFirst(), "ESPALIER_DATABASE_MIGRATE")).isEqualTo("true");
    }

    @Test
    void settingsBecomeVariables() {
        List<Map<String, Object>> objects = chart.render("full.yaml", _ -> {});
        Map<String, Object> api = list(pod(objects, "api"), "containers").getFirst();
        Map<String, Object> worker = list(pod(objects, "worker"), "containers").getFirst();
        assertThat(variable(api, "ESPALIER_JOBS_KEEP_JOBS")).isEqualTo("30d");
        assertThat(variable(worker, "ESPALIER_JOBS_RETRIES")).isEqualTo("5");
        assertThat(variable(worker, "ESPALIER_WORKER_MEMORY_BUDGET")).isEqualTo("60GB");
        assertThat(variable(api, "ESPALIER_API_SCORE_CACHE")).isEqualTo("1GB");
        assertThat(variable(worker, "ESPALIER_API_SCORE_CACHE")).isNull();
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
        Map<String, Object> rendered = only(chart.render("full.yaml", _ -> {}), "PrometheusRule");
        assertThat(at(rendered, "spec")).isEqualTo(alerts);
    }

    private static Set<String> settings() throws IOException {
        Set<String> names = new TreeSet<>();
        Matcher rows = Pattern.compile("(?m)^\\| `[a-z0-9.-]+` \\| `([A-Z0-9_]+)` \\|").matcher(Files.readString(Path.of("README.md")));
        while (rows.find()) {
            names.add(rows.group(1));
        }
        return names;
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
}
