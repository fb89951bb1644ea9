package io.espalier.deploy;

import static io.espalier.deploy.Chart.at;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

import com.fasterxml.jackson.databind.ObjectMapper;
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
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the chart renders, held to Kubernetes' own types. */
class HelmObjectsTest {

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

    private static Chart chart;

    @BeforeAll
    static void unhook(@TempDir Path temp) throws IOException {
        chart = Chart.into(temp);
    }

    @ParameterizedTest
    @MethodSource("io.espalier.deploy.Chart#sets")
    void everyObjectIsOneThatKubernetesKnows(String set) {
        List<Map<String, Object>> objects = chart.render(set, _ -> {});
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
