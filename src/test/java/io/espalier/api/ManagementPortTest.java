package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;

import io.espalier.EspalierApplication;
import io.espalier.TestDatabase;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;

/** {@code /actuator} on a port of its own, as the chart has it: metrics for whoever reaches it, everything else as elsewhere. */
class ManagementPortTest {

    private static final String KEY = "0123456789abcdef0123456789abcdef";

    @TempDir
    private Path temp;

    @Test
    void onAPortOfItsOwnMetricsArePublicAndTheRestAsksWhoOneIs() throws Exception {
        Path key = Files.writeString(temp.resolve("admin.key"), KEY);
        try (ConfigurableApplicationContext service = new SpringApplicationBuilder(EspalierApplication.class).run(
                "--espalier.data-dir=" + temp.resolve("data"), "--server.port=0", "--management.server.port=0",
                "--espalier.worker.enabled=false", "--espalier.database.mode=external", "--spring.datasource.url=" + TestDatabase.fresh(),
                "--spring.datasource.username=postgres", "--spring.datasource.password=postgres", "--espalier.security.mode=api-keys",
                "--espalier.security.admin-key-file=" + key, "--espalier.security.public-metrics=true")) {
            String api = "http://127.0.0.1:" + service.getEnvironment().getProperty("local.server.port");
            String management = "http://127.0.0.1:" + service.getEnvironment().getProperty("local.management.port");
            assertThat(management).isNotEqualTo(api);
            assertThat(get(management + "/actuator/prometheus", null).body()).contains("jvm_threads_live_threads", "hikaricp_connections");
            assertThat(get(management + "/actuator/health", null).statusCode()).isEqualTo(200);
            HttpResponse<String> stranger = get(management + "/actuator/info", null);
            assertThat(stranger.statusCode()).as(stranger.body()).isEqualTo(401);
            assertThat(stranger.headers().firstValue("WWW-Authenticate")).isPresent();
            assertThat(stranger.body()).contains("unauthenticated");
            assertThat(get(management + "/actuator/info", "wrong").statusCode()).isEqualTo(401);
            assertThat(get(management + "/actuator/info", KEY).statusCode()).isEqualTo(200);
            assertThat(get(api + "/livez", null).statusCode()).isEqualTo(200);
            assertThat(get(api + "/readyz", null).statusCode()).isEqualTo(200);
            assertThat(get(api + "/v1/models", null).statusCode()).isEqualTo(401);
        }
    }

    private static HttpResponse<String> get(String address, String token) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(address));
        if (token != null) {
            request.header("Authorization", "Bearer " + token);
        }
        return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
    }
}
