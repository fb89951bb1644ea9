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
                () -> start("--espalier.worker.missed-heartbeats=1", "--espalier.worker.devices=tpu", "--espalier.worker.poll=often",
                        "--espalier.worker.heartbeat=1ms", "--espalier.worker.enabled=perhaps", "--espalier.database.port=70000",
                        "--espalier.database.mode=cloud", "--espalier.egress.allow=10.0.0.0/8,10.0.0.0/99",
                        "--espalier.egress.proxy=socks://x"))
                .isInstanceOf(StartRefused.class)
                .hasMessage(
                        """
                                These settings are wrong:
                                  espalier.database.mode: cloud (expected: embedded or external)
                                  espalier.database.port: 70000 (expected: must be less than or equal to 65535)
                                  espalier.egress.allow: 10.0.0.0/8,10.0.0.0/99 (expected: networks, addresses and hosts, such as 10.0.0.0/8, [fd00::7]:9000 or minio.internal:9000)
                                  espalier.egress.proxy: socks://x (expected: http://host:port, or nothing)
                                  espalier.worker.devices: tpu (expected: auto, cpu or a list such as gpu:0,gpu:1)
                                  espalier.worker.enabled: perhaps (expected: true or false)
                                  espalier.worker.heartbeat: 1ms (expected: must be longer than or equal to 100 millis)
                                  espalier.worker.missed-heartbeats: 1 (expected: must be greater than or equal to 4)
                                  espalier.worker.poll: often (expected: a duration such as 500ms, 2s or 5m)""");
        assertThat(temp.resolve("postgres")).as("before anything was touched").doesNotExist();
    }

    @Test
    void nothingIsLessThanNothingWhoeverReadsIt() {
        assertThatThrownBy(() -> start("--espalier.worker.memory-budget=-8GB", "--espalier.worker.slice-tokens=-4",
                "--espalier.jobs.housekeeping=-3s", "--espalier.jobs.record.log-bytes=-1B", "--espalier.models.max-bytes=-1B",
                "--server.port=99999", "--management.server.port=-2", "--server.max-http-request-header-size=0B",
                "--spring.lifecycle.timeout-per-shutdown-phase=-1s", "--management.tracing.sampling.probability=7",
                "--espalier.egress.proxy=http://user:a-secret@proxy.internal:3128"))
                .isInstanceOf(StartRefused.class).hasMessage("""
                        These settings are wrong:
                          espalier.egress.proxy: http://user:***@proxy.internal:3128 (expected: http://host:port, or nothing)
                          espalier.jobs.housekeeping: -3s (expected: must be longer than or equal to 100 millis)
                          espalier.jobs.record.log-bytes: -1B (expected: 0B or more)
                          espalier.models.max-bytes: -1B (expected: 0B or more)
                          espalier.worker.memory-budget: -8GB (expected: 0B or more)
                          espalier.worker.slice-tokens: -4 (expected: must be greater than or equal to 0)
                          management.server.port: -2 (expected: a port, 0 to 65535)
                          management.tracing.sampling.probability: 7 (expected: a share, 0 to 1)
                          server.max-http-request-header-size: 0B (expected: a size such as 16KB)
                          server.port: 99999 (expected: a port, 0 to 65535)
                          spring.lifecycle.timeout-per-shutdown-phase: -1s (expected: a duration such as 30s)""");
        assertThat(temp.resolve("postgres")).as("before anything was touched").doesNotExist();
    }

    @Test
    void anExternalDatabaseNeedsAnAddress() {
        assertThatThrownBy(() -> start("--espalier.database.mode=external")).isInstanceOf(StartRefused.class)
                .hasMessageContaining("spring.datasource.url: missing");
    }

    @Test
    void storageAndKeysThatCannotBeUsedAreSaidAtOnceAndNoSecretIsPrinted() {
        assertThatThrownBy(() -> start("--espalier.artifacts.store=s3", "--espalier.artifacts.signing-key=" + temp.resolve("none.pem"),
                "--espalier.s3.endpoint=ftp://storage", "--espalier.s3.part-size=1MB", "--espalier.s3.presign-for=8d",
                "--espalier.s3.secret-key=a-secret-that-is-told-nobody", "--espalier.s3.prefix=/a/"))
                .isInstanceOf(StartRefused.class)
                .hasMessage("""
                        These settings are wrong:
                          espalier.artifacts.signing-key: %s (expected: a file that this process can read)
                          espalier.s3.access-key: missing (expected: both keys of the account, or neither)
                          espalier.s3.bucket: missing (expected: the name of a bucket, because espalier.artifacts.store is s3)
                          espalier.s3.endpoint: ftp://storage (expected: an address without a path, such as https://s3.example.org)
                          espalier.s3.part-size: 1MB (expected: from 5MB to 5GB)
                          espalier.s3.prefix: /a/ (expected: parts of letters, digits and _.- with slashes between them)
                          espalier.s3.presign-for: 8d (expected: from 1s to 7d)""".formatted(temp.resolve("none.pem")));
        assertThat(temp.resolve("postgres")).as("before anything was touched").doesNotExist();
    }

    @Test
    void tracesNeedSomebodyWhoTakesThem() {
        assertThatThrownBy(() -> start("--management.tracing.export.enabled=true")).isInstanceOf(StartRefused.class)
                .hasMessageContaining("management.opentelemetry.tracing.export.otlp.endpoint: missing");
    }

    @Test
    void aServiceThatAsksNobodyIsNotStartedOnANetwork() {
        assertThatThrownBy(() -> start("--server.address=0.0.0.0", "--espalier.limits.burst=0")).isInstanceOf(StartRefused.class)
                .hasMessageContaining("server.address: 0.0.0.0 (expected: 127.0.0.1 or another address of this machine alone, because")
                .hasMessageContaining("espalier.limits.burst: 0 (expected: must be greater than or equal to 1)");
        assertThat(temp.resolve("postgres")).as("before anything was touched").doesNotExist();
    }

    private ConfigurableApplicationContext start(String... more) {
        List<String> arguments = new ArrayList<>(List.of("--espalier.data-dir=" + temp));
        if (more.length == 0) {
            arguments.add("--espalier.worker.enabled=false");
        }
        arguments.addAll(Arrays.asList(more));
        return new SpringApplicationBuilder(EspalierApplication.class).web(WebApplicationType.NONE).run(arguments.toArray(String[]::new));
    }
}
