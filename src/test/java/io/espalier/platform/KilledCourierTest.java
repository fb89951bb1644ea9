package io.espalier.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;

import io.espalier.TestDatabase;
import io.espalier.webhook.Receiver;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Real processes that send to webhooks: one is killed while it sends, and two share the work. */
class KilledCourierTest {

    private static final int JOBS = 10;

    @TempDir
    private Path temp;

    private final String url = TestDatabase.fresh();

    private Service start() throws Exception {
        return new Service(temp, Databases.arguments(url, "--espalier.worker.enabled=false", "--espalier.egress.allow=127.0.0.1",
                "--espalier.egress.http=true", "--espalier.webhooks.poll=50ms"));
    }

    private static String cancelledJob(Service service) throws Exception {
        String job = JsonMapper.shared().readTree(service.post("/v1/pruning-jobs", """
                {"model": "tiny-qwen2moe", "budget": {"ratio": 0.25}, "calibration": {"corpus": {"text": "In the beginning"}}}""").body())
                .path("id").stringValue();
        assertThat(service.post("/v1/pruning-jobs/" + job + "/cancel", "").statusCode()).isEqualTo(200);
        return job;
    }

    @Test
    void whatAKilledProcessWasSendingIsSentByTheNextAndTwoSendNothingTwice() throws Exception {
        CountDownLatch end = new CountDownLatch(1);
        try (Receiver receiver = new Receiver((number, _) -> {
            if (number == 1) {
                end.await();
            }
            return 200;
        })) {
            JsonNode hook;
            try (Service first = start().ready()) {
                hook = JsonMapper.shared().readTree(first.post("/v1/webhooks", "{\"url\": \"" + receiver.url() + "\"}").body());
                cancelledJob(first);
                await().atMost(Duration.ofSeconds(60)).until(() -> receiver.received().size() == 1);
                first.kill();
            }
            // why: its lease would run out by itself, in less than a minute
            try (Connection database = DriverManager.getConnection(url, "postgres", "postgres")) {
                assertThat(database.createStatement().executeUpdate("update webhook_delivery set leased_until = now()")).isEqualTo(1);
            }
            try (Service second = start(); Service third = start()) {
                second.ready();
                third.ready();
                await().atMost(Duration.ofSeconds(60)).until(() -> receiver.received().size() == 2);
                List<Receiver.Received> both = receiver.received();
                assertThat(both).extracting(told -> told.header("webhook-id")).containsOnly(both.getFirst().header("webhook-id"));
                assertThat(both.getLast().body()).isEqualTo(both.getFirst().body());
                assertThat(both).allMatch(told -> told.signedBy(hook.path("secret").stringValue()));

                for (int i = 0; i < JOBS; i++) {
                    cancelledJob(i % 2 == 0 ? second : third);
                }
                String delivered = "/v1/webhooks/" + hook.path("id").stringValue() + "/deliveries?state=delivered";
                await().atMost(Duration.ofSeconds(60)).until(
                        () -> JsonMapper.shared().readTree(second.get(delivered).body()).path("items").size() == JOBS + 1);
                assertThat(receiver.received()).hasSize(JOBS + 2);
                assertThat(receiver.received().subList(1, JOBS + 2)).extracting(told -> told.header("webhook-id")).doesNotHaveDuplicates();
            }
        } finally {
            end.countDown();
        }
    }
}
