package io.espalier.deploy;

import static io.espalier.deploy.Chart.at;
import static io.espalier.deploy.Chart.copy;
import static io.espalier.deploy.Chart.deployment;
import static io.espalier.deploy.Chart.list;
import static io.espalier.deploy.Chart.merge;
import static io.espalier.deploy.Chart.only;
import static io.espalier.deploy.Chart.pod;
import static io.espalier.deploy.Chart.pods;
import static io.espalier.deploy.Chart.render;
import static io.espalier.deploy.Chart.seconds;
import static io.espalier.deploy.Chart.variable;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.marcnuri.helm.Helm;
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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.yaml.snakeyaml.Yaml;

/** The chart, as Helm itself renders it, held to Kubernetes' own types, to the restricted pod security standard and to the service's settings. */
class HelmChartTest {

    /** Kinds that Kubernetes and its gateway define, as types that keep what they do not know apart; the others are {@link ForeignKindsTest}'s. */
    private static final Map<String, Class<?>> KINDS = Map.ofEntries(Map.entry("apps/v1 Deployment", Deployment.class),
            Map.entry("v1 Service", Service.class), Map.entry("v1 ConfigMap", ConfigMap.class),
            Map.entry("v1 ServiceAccount", ServiceAccount.class), Map.entry("v1 PersistentVolumeClaim", PersistentVolumeClaim.class),
            Map.entry("batch/v1 Job", Job.class), Map.entry("autoscaling/v2 HorizontalPodAutoscaler", HorizontalPodAutoscaler.class),
            Map.entry("policy/v1 PodDisruptionBudget", PodDisruptionBudget.class),
            Map.entry("networking.k8s.io/v1 NetworkPolicy", NetworkPolicy.class),
            Map.entry("networking.k8s.io/v1 Ingress", Ingress.class),
            Map.entry("gateway.networking.k8s.io/v1 HTTPRoute", HTTPRoute.class));

    private static final ObjectMapper JSON = new ObjectMapper();

    static List<String> sets() throws IOException {
        return Chart.sets();
    }

    @Test
    void thereAreFiveSetsOfValues() throws IOException {
        assertThat(sets()).containsExactly("cpu.yaml", "full.yaml", "gpu.yaml", "open.yaml", "s3.yaml");
    }

    @ParameterizedTest
    @MethodSource("sets")
    void helmFindsNothingToSay(String set, @TempDir Path temp) throws IOException {
        copy(Chart.HOME, temp);
        Map<String, Object> values = new Yaml().load(Files.readString(Chart.HOME.resolve("values.yaml")));
        merge(values, new Yaml().load(Files.readString(Chart.HOME.resolve("ci").resolve(set))));
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
            if (!KINDS.containsKey(kind)) {
                assertThat(ForeignKindsTest.MODELS).as(kind).containsKey(kind);
                assertThat(object.keySet()).as(kind).containsExactlyInAnyOrder("apiVersion", "kind", "metadata", "spec");
            } else {
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
        Collection<String> settings = Chart.settings().values();
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
    void aPodOfTheApiAnswersUntilNobodySendsItRequestsAndOneIsDrainedAtATime() {
        List<Map<String, Object>> objects = render("open.yaml", _ -> {});
        Map<String, Object> api = pod(objects, "api");
        assertThat(at(list(api, "containers").getFirst(), "lifecycle", "preStop", "exec")).containsEntry("command", List.of("sleep", "5"));
        assertThat((int) api.get("terminationGracePeriodSeconds")).isGreaterThan(5 + 30);
        // why not minAvailable: with one pod it would keep a node from ever being drained
        assertThat(objects.stream().filter(object -> object.get("kind").equals("PodDisruptionBudget")).map(object -> at(object, "spec")))
                .hasSize(2).allSatisfy(budget -> assertThat(budget).containsEntry("maxUnavailable", 1).doesNotContainKey("minAvailable"));
    }

    @Test
    void theDatabasesCertificateIsCheckedAgainstTheAuthorityThatIsNamedOrThoseThatJavaTrusts() {
        List<Map<String, Object>> own = render("s3.yaml", _ -> {});
        for (String role : List.of("api", "worker", "migrations")) {
            Map<String, Object> container = list(pod(own, role), "containers").getFirst();
            assertThat(variable(container, "SPRING_DATASOURCE_URL")).endsWith("?sslmode=verify-full&sslrootcert=/secrets/database/ca.crt");
            assertThat(list(container, "volumeMounts"))
                    .anySatisfy(mount -> assertThat(mount).containsEntry("mountPath", "/secrets/database"));
        }
        Map<String, Object> api = list(pod(render("s3.yaml", chart -> chart.set("database.rootCertificate.existingSecret", "")), "api"),
                "containers").getFirst();
        assertThat(variable(api, "SPRING_DATASOURCE_URL"))
                .endsWith("?sslmode=verify-full&sslfactory=org.postgresql.ssl.DefaultJavaSSLFactory");
        assertThat(variable(list(pod(render("cpu.yaml", _ -> {}), "api"), "containers").getFirst(), "SPRING_DATASOURCE_URL"))
                .endsWith("/espalier?sslmode=require");
    }

    @Test
    void workersSignWithTheKeyOfASecret() {
        Map<String, Object> worker = pod(render("full.yaml", _ -> {}), "worker");
        assertThat(variable(list(worker, "containers").getFirst(), "ESPALIER_ARTIFACTS_SIGNING_KEY"))
                .isEqualTo("/secrets/signing/signing.pem");
        assertThat(list(worker, "volumes")).anySatisfy(
                volume -> assertThat(volume).containsEntry("name", "signing-key").extractingByKey("secret").asString()
                        .contains("espalier-signing"));
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
}
