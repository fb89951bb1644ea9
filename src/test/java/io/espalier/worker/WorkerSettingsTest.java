package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.env.YamlPropertySourceLoader;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;
import org.springframework.core.io.ClassPathResource;
import org.springframework.util.unit.DataSize;

class WorkerSettingsTest {

    @Test
    void theDefaultsAreThese() throws Exception {
        assertThat(bind(Map.of("user.home", "/users/me"), Map.of())).isEqualTo(new WorkerSettings(Path.of("/users/me/.espalier"),
                new WorkerSettings.Worker(true, "auto", DataSize.ofBytes(0), 0, Duration.ofSeconds(2), 4, Duration.ofMillis(500),
                        Duration.ofSeconds(10),
                        Duration.ofSeconds(5),
                        Duration.ofSeconds(10))));
    }

    @Test
    void theEnvironmentSetsThemAll() throws Exception {
        assertThat(bind(Map.of(),
                Map.ofEntries(Map.entry("ESPALIER_DATA_DIR", "/data"),
                        Map.entry("ESPALIER_WORKER_ENABLED", "false"),
                        Map.entry("ESPALIER_WORKER_DEVICES", "gpu:0,gpu:1"),
                        Map.entry("ESPALIER_WORKER_MEMORY_BUDGET", "8GB"),
                        Map.entry("ESPALIER_WORKER_HEARTBEAT", "5s"),
                        Map.entry("ESPALIER_WORKER_MISSED_HEARTBEATS", "6"),
                        Map.entry("ESPALIER_WORKER_POLL", "1s"),
                        Map.entry("ESPALIER_WORKER_SLICE_TOKENS", "4096"),
                        Map.entry("ESPALIER_WORKER_SAVE_EVERY", "0s"),
                        Map.entry("ESPALIER_WORKER_DRAIN", "20s"),
                        Map.entry("ESPALIER_WORKER_SHUTDOWN_WAIT", "1m"))))
                .isEqualTo(new WorkerSettings(Path.of("/data"),
                        new WorkerSettings.Worker(false, "gpu:0,gpu:1", DataSize.ofGigabytes(8), 4096, Duration.ofSeconds(5), 6,
                                Duration.ofSeconds(1), Duration.ZERO, Duration.ofSeconds(20),
                                Duration.ofMinutes(1))));
    }

    private static WorkerSettings bind(Map<String, Object> system, Map<String, Object> variables) throws Exception {
        StandardEnvironment environment = new StandardEnvironment();
        environment.getPropertySources().forEach(source -> environment.getPropertySources().remove(source.getName()));
        environment.getPropertySources().addLast(new MapPropertySource("systemProperties", system));
        environment.getPropertySources().addLast(new SystemEnvironmentPropertySource("systemEnvironment", variables));
        new YamlPropertySourceLoader().load("application", new ClassPathResource("application.yml"))
                .forEach(environment.getPropertySources()::addLast);
        return Binder.get(environment).bindOrCreate("espalier", Bindable.of(WorkerSettings.class));
    }
}
