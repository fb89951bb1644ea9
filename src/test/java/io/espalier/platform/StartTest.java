package io.espalier.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.espalier.EspalierApplication;
import io.espalier.Orders;
import io.espalier.job.JobState;
import io.espalier.job.PruningJobs;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;

/** The service as an operator starts it, with its own database. */
class StartTest {

    @TempDir
    private Path temp;

    @Test
    void jobsOutliveARestartAndASecondProcessOnTheSameDirectoryIsRefused() throws Exception {
        String id;
        long server;
        try (ConfigurableApplicationContext first = start()) {
            id = first.getBean(PruningJobs.class).submit(Orders.recipe(), Orders.inputs()).id();
            server = Long.parseLong(Files.readAllLines(temp.resolve("postgres/data/postmaster.pid")).getFirst().strip());
            assertThatThrownBy(this::start).hasRootCauseInstanceOf(StartRefused.class).rootCause()
                    .hasMessageContaining("in use by another");
            assertThat(first.getBean(PruningJobs.class).find(id)).as("and the first one goes on").isPresent();
        }
        await("the server stops with the service").until(() -> ProcessHandle.of(server).filter(ProcessHandle::isAlive).isEmpty());
        try (ConfigurableApplicationContext second = start()) {
            assertThat(second.getBean(PruningJobs.class).find(id).orElseThrow().state()).isEqualTo(JobState.QUEUED);
            assertThat(second.getBeanFactory().containsBean("dispatcher")).isFalse();
        }
    }

    @Test
    void everythingThatIsWrongWithTheSettingsIsSaidAtOnce() {
        assertThatThrownBy(
                () -> start("--espalier.worker.missed-heartbeats=1", "--espalier.worker.devices=tpu", "--espalier.database.port=70000",
                        "--espalier.database.mode=external"))
                .isInstanceOf(StartRefused.class)
                .hasMessageContaining("espalier.worker.missed-heartbeats: 1 (must be greater than or equal to 4)")
                .hasMessageContaining("espalier.worker.devices: tpu (must be auto, cpu or a list such as gpu:0,gpu:1)")
                .hasMessageContaining("espalier.database.port: 70000 (must be less than or equal to 65535)")
                .hasMessageContaining("spring.datasource.url: missing");
        assertThat(temp.resolve("postgres")).as("before anything was touched").doesNotExist();
    }

    @Test
    void aSettingThatCannotBeReadIsNamedWithWhatIsExpected() {
        assertThatThrownBy(() -> start("--espalier.worker.poll=often", "--espalier.database.mode=cloud")).isInstanceOf(StartRefused.class)
                .hasMessageContaining("espalier.worker.poll: often (expected: a duration such as 500ms, 2s or 5m)")
                .hasMessageContaining("espalier.database.mode: cloud (expected: [embedded, external])");
    }

    private ConfigurableApplicationContext start(String... more) {
        List<String> arguments = new ArrayList<>(List.of("--espalier.data-dir=" + temp, "--espalier.worker.enabled=false"));
        arguments.addAll(Arrays.asList(more));
        return new SpringApplicationBuilder(EspalierApplication.class).web(WebApplicationType.NONE).run(arguments.toArray(String[]::new));
    }
}
