package io.espalier.deploy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.Test;

/**
 * Objects of kinds that are not Kubernetes' own (KEDA, the Prometheus operator, the Gateway API), held to types that were generated from the
 * sources of those projects. The types are TypeScript's, from npm: its compiler refuses a field that they do not have, a missing one and a wrong type.
 */
class ForeignKindsTest {

    /** Kinds and where their types are. */
    static final Map<String, String> MODELS = Map.of(
            "keda.sh/v1alpha1 ScaledObject", "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject",
            "keda.sh/v1alpha1 TriggerAuthentication", "@kubernetes-models/keda/keda.sh/v1alpha1/TriggerAuthentication",
            "monitoring.coreos.com/v1 ServiceMonitor", "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor",
            "monitoring.coreos.com/v1 PrometheusRule", "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule",
            "gateway.networking.k8s.io/v1 HTTPRoute", "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute");

    private static final String[] PACKAGES = {"typescript@5.9.3", "@kubernetes-models/keda@2.0.0",
            "@kubernetes-models/prometheus-operator@6.0.0", "@kubernetes-models/gateway-api@2.0.0"};
    private static final Path HOME = Path.of("target", "foreign-kinds").toAbsolutePath();
    private static final ObjectMapper JSON = new ObjectMapper();

    @Test
    void everyObjectIsOneThatItsOperatorKnows() throws Exception {
        install();
        Map<String, Map<String, Object>> objects = new TreeMap<>();
        for (String set : Chart.sets()) {
            for (Map<String, Object> object : Chart.render(set, _ -> {})) {
                if (MODELS.containsKey(kind(object))) {
                    objects.put(set.replace(".yaml", "") + "_" + object.get("kind"), object);
                }
            }
        }
        assertThat(objects.values().stream().map(ForeignKindsTest::kind)).containsAll(MODELS.keySet());
        assertThat(compile("chart.ts", objects)).isEmpty();
    }

    @Test
    void aWrongFieldWouldBeSeen() throws Exception {
        install();
        Map<String, Object> scaled = Chart.only(Chart.render("gpu.yaml", _ -> {}), "ScaledObject");
        Chart.at(scaled, "spec", "fallback").put("replica", 1);
        Chart.at(scaled, "spec").put("maxReplicaCount", "many");
        Map<String, Object> monitor = Chart.only(Chart.render("full.yaml", _ -> {}), "ServiceMonitor");
        Chart.at(monitor, "spec").remove("endpoints");
        assertThat(compile("wrong.ts", Map.of("scaled", scaled, "monitor", monitor))).contains("'\"replica\"' does not exist",
                "Type 'string' is not assignable to type 'number'", "Property '\"endpoints\"' is missing");
    }

    private static String kind(Map<String, Object> object) {
        return object.get("apiVersion") + " " + object.get("kind");
    }

    private static String compile(String name, Map<String, Map<String, Object>> objects) throws IOException, InterruptedException {
        StringBuilder source = new StringBuilder();
        for (Map.Entry<String, Map<String, Object>> object : objects.entrySet()) {
            source.append("export const ").append(object.getKey()).append(": import('").append(MODELS.get(kind(object.getValue())))
                    .append("').I").append(object.getValue().get("kind")).append(" = ").append(JSON.writeValueAsString(object.getValue()))
                    .append(";\n");
        }
        Files.writeString(HOME.resolve(name), source);
        Process process = start("node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--target", "es2022", "--module",
                "nodenext",
                "--moduleResolution", "nodenext", "--skipLibCheck", name);
        assertThat(process.waitFor(3, TimeUnit.MINUTES)).isTrue();
        return Files.readString(HOME.resolve("said")).strip();
    }

    private static void install() throws IOException, InterruptedException {
        assumeTrue(Stream.of("node", "npm").allMatch(program -> Stream.of(System.getenv("PATH").split(File.pathSeparator))
                .anyMatch(place -> Files.isExecutable(Path.of(place, program)))), "needs node and npm");
        Files.createDirectories(HOME);
        Files.writeString(HOME.resolve("package.json"), "{\"type\": \"module\", \"private\": true}");
        if (!Files.exists(HOME.resolve("node_modules/typescript/bin/tsc"))) {
            Process process = start(Stream.concat(Stream.of("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"),
                    Stream.of(PACKAGES)).toArray(String[]::new));
            assumeTrue(process.waitFor(2, TimeUnit.MINUTES) && process.exitValue() == 0, "npm could not install the types");
        }
    }

    private static Process start(String... command) throws IOException {
        return new ProcessBuilder(command).directory(HOME.toFile()).redirectErrorStream(true)
                .redirectOutput(HOME.resolve("said").toFile()).start();
    }
}
