package io.espalier.webhook;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.sql.Timestamp;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import java.util.stream.IntStream;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.job.PruningJobs;
import io.espalier.job.Ulids;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.test.context.TestPropertySource;
import org.springframework.transaction.support.TransactionTemplate;

/** Who has which message, on a clock that is set by hand. Nothing is sent here. */
@OfficeTest
@TestPropertySource(properties = "espalier.webhooks.deliver=false")
class PostboxTest {

    private static final Postbox.Outcome ARRIVED = new Postbox.Outcome(Instant.EPOCH, 200, 5, null, Duration.ZERO);
    private static final Postbox.Outcome REFUSED = new Postbox.Outcome(Instant.EPOCH, 500, 5, "answered 500", Duration.ZERO);
    private static final double MIDDLE = 0.5;

    private final Ulids ulids = new Ulids();
    private Instant now = Instant.parse("2030-01-01T00:00:00Z");
    private final Clock clock = new Clock() {
        @Override
        public Instant instant() {
            return now;
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }
    };
    @Autowired
    private JdbcClient jdbc;
    @Autowired
    private TransactionTemplate transaction;
    @Autowired
    private Webhooks webhooks;
    @Autowired
    private PruningJobs jobs;
    private Postbox postbox;

    @BeforeEach
    void begin() {
        jdbc.sql("delete from webhook").update();
        jdbc.sql("delete from webhook_event").update();
        postbox = new Postbox(jdbc, webhooks, WebhookSecretsTest.settings(Path.of("none"), ""), clock);
    }

    private String webhook() {
        String id = "whk_" + ulids.next(now.toEpochMilli());
        jdbc.sql("insert into webhook (id, url, events, description, enabled, created_at, updated_at, secret_ref)"
                + " values (:id, 'https://x.example/', '{job.failed}', '', true, :now, :now, 'none')").param("id", id)
                .param("now", Timestamp.from(now)).update();
        return id;
    }

    private String message(String webhook, String job, long sequence) {
        String event = "evt_" + ulids.next(now.toEpochMilli());
        String id = "dlv_" + ulids.next(now.toEpochMilli());
        jdbc.sql("insert into webhook_event (id, type, at, job_id, sequence, body) values (:id, 'job.failed', :now, :job, :sequence, '{}')")
                .param("id", event).param("now", Timestamp.from(now)).param("job", job).param("sequence", sequence).update();
        jdbc.sql("insert into webhook_delivery (id, webhook_id, event_id, job_id, sequence, state, created_at, due_at)"
                + " values (:id, :webhook, :event, :job, :sequence, 'pending', :now, :now)").param("id", id).param("webhook", webhook)
                .param("event", event).param("job", job).param("sequence", sequence).param("now", Timestamp.from(now)).update();
        return id;
    }

    private List<Postbox.Taken> take(int atMost) {
        return in(() -> postbox.take(atMost, List.of()));
    }

    private List<String> ids(List<Postbox.Taken> taken) {
        return taken.stream().map(Postbox.Taken::id).toList();
    }

    private void record(Postbox.Taken taken, Postbox.Outcome outcome) {
        transaction.executeWithoutResult(_ -> postbox.record(taken, outcome, MIDDLE));
    }

    private <T> T in(Supplier<T> work) {
        return transaction.execute(_ -> work.get());
    }

    private Delivery delivery(String webhook, String id) {
        return webhooks.delivery(webhook, id).orElseThrow();
    }

    @Test
    void ofTwoProcessesOnlyOneTakesAMessage() throws Exception {
        List<String> all = new ArrayList<>();
        IntStream.range(0, 40).forEach(n -> all.add(message(webhook(), "job_" + n, 1)));
        List<String> taken = new ArrayList<>();
        try (ExecutorService processes = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<List<String>>> both = IntStream.range(0, 4).mapToObj(_ -> processes.submit(() -> {
                List<String> mine = new ArrayList<>();
                // why so many: whoever is beaten to all that he chose comes back with nothing
                for (int round = 0; round < 60; round++) {
                    mine.addAll(ids(take(3)));
                }
                return mine;
            })).toList();
            for (Future<List<String>> one : both) {
                taken.addAll(one.get());
            }
        }

        assertThat(taken).containsExactlyInAnyOrderElementsOf(all);
    }

    @Test
    void whatADeadProcessHadIsTakenByAnotherAndItsWordCountsForNothing() {
        String webhook = webhook();
        String id = message(webhook, "job_a", 1);
        Postbox.Taken lost = take(5).getFirst();
        assertThat(take(5)).isEmpty();
        now = now.plusSeconds(60);
        Postbox.Taken found = take(5).getFirst();

        record(lost, REFUSED);
        assertThat(delivery(webhook, id).attempts()).isEmpty();
        record(found, ARRIVED);
        assertThat(delivery(webhook, id).state()).isEqualTo(Delivery.State.DELIVERED);
        assertThat(delivery(webhook, id).attempts()).singleElement().satisfies(attempt -> assertThat(attempt.number()).isEqualTo(2));
        assertThat(take(5)).isEmpty();
    }

    @Test
    void oneWebhookGetsNoMoreThanItsShareAndOneThatFailsGetsOne() {
        String busy = webhook();
        String other = webhook();
        IntStream.range(0, 10).forEach(n -> message(busy, "job_" + n, 1));
        String last = message(other, "job_x", 1);

        List<Postbox.Taken> first = take(5);
        assertThat(first).hasSize(3).filteredOn(taken -> taken.webhookId().equals(busy)).hasSize(2);
        assertThat(ids(first)).contains(last);
        assertThat(take(5)).isEmpty();
        first.stream().filter(taken -> taken.webhookId().equals(busy)).forEach(taken -> record(taken, REFUSED));
        assertThat(take(5)).hasSize(1);
    }

    @Test
    void theMessagesOfAJobGoInOrderUntilTheFirstHasBeenTriedThreeTimes() {
        String webhook = webhook();
        String first = message(webhook, "job_a", 1);
        String second = message(webhook, "job_a", 2);
        String elsewhere = message(webhook, "job_b", 9);

        List<Postbox.Taken> taken = take(5);
        assertThat(ids(taken)).containsExactlyInAnyOrder(first, elsewhere);
        record(taken.stream().filter(one -> one.id().equals(elsewhere)).findFirst().orElseThrow(), ARRIVED);
        record(taken.stream().filter(one -> one.id().equals(first)).findFirst().orElseThrow(), ARRIVED);
        assertThat(ids(take(5))).containsExactly(second);
    }

    @Test
    void aMessageThatIsNeverTakenDoesNotHideTheNext() {
        postbox = new Postbox(jdbc, webhooks, new WebhookSettings(true, Path.of("none"), "", "/e", 8, 2, Duration.ofSeconds(5),
                Duration.ofSeconds(1), List.of(Duration.ofHours(1), Duration.ofHours(1), Duration.ofHours(1)), Duration.ofDays(5),
                Duration.ZERO, Duration.ofDays(30), 50), clock);
        String webhook = webhook();
        String first = message(webhook, "job_a", 1);
        String second = message(webhook, "job_a", 2);
        for (int tries = 0; tries < 3; tries++) {
            Postbox.Taken taken = take(5).getFirst();
            assertThat(taken.id()).isEqualTo(first);
            assertThat(take(5)).isEmpty();
            record(taken, REFUSED);
            now = delivery(webhook, first).nextTryAt().minusSeconds(1);
            assertThat(ids(take(5))).isEqualTo(tries < 2 ? List.of() : List.of(second));
            now = now.plusSeconds(2);
        }
    }

    @Test
    void pausesGrowAndAfterTheLastTryItIsGivenUp() {
        String webhook = webhook();
        String id = message(webhook, "job_a", 1);
        for (long seconds : new long[]{10, 100}) {
            record(take(5).getFirst(), REFUSED);
            assertThat(delivery(webhook, id).nextTryAt()).isEqualTo(now.plusSeconds(seconds));
            now = now.plusSeconds(seconds);
        }
        record(take(5).getFirst(), REFUSED);

        assertThat(delivery(webhook, id).state()).isEqualTo(Delivery.State.FAILED);
        assertThat(delivery(webhook, id).attempts()).extracting(Delivery.Attempt::number).containsExactly(1, 2, 3);
        assertThat(delivery(webhook, id).attempts()).extracting(Delivery.Attempt::error).containsOnly("answered 500");
        now = now.plusSeconds(100_000);
        assertThat(take(5)).isEmpty();
    }

    @Test
    void aPauseIsUpToAFifthShorterOrLonger() {
        WebhookSettings settings = WebhookSecretsTest.settings(Path.of("none"), "");

        assertThat(settings.pause(1, 0)).isEqualTo(Duration.ofSeconds(8));
        assertThat(settings.pause(1, 1)).isEqualTo(Duration.ofSeconds(12));
        assertThat(settings.pause(3, 0)).isNull();
    }

    @Test
    void aReceiverMayAskForALongerPause() {
        String webhook = webhook();
        String id = message(webhook, "job_a", 1);
        record(take(5).getFirst(), new Postbox.Outcome(now, 503, 5, "answered 503", Duration.ofMinutes(30)));

        assertThat(delivery(webhook, id).nextTryAt()).isEqualTo(now.plus(Duration.ofMinutes(30)));
    }

    @Test
    void aWebhookAtWhichNothingArrivesForDaysIsDisabledAndWhatWaitsIsGivenUp() {
        String webhook = webhook();
        record(taken(message(webhook, "job_a", 1)), REFUSED);
        Instant since = now;
        assertThat(webhooks.find(webhook).orElseThrow().failingSince()).isEqualTo(since);
        now = now.plus(Duration.ofDays(5)).plusSeconds(1);
        String waits = message(webhook, "job_b", 1);
        record(take(5).getFirst(), REFUSED);

        Webhook disabled = webhooks.find(webhook).orElseThrow();
        assertThat(disabled.enabled()).isFalse();
        assertThat(disabled.disabledReason()).isEqualTo(Webhook.Disabled.FAILING);
        assertThat(disabled.failingSince()).isEqualTo(since);
        assertThat(delivery(webhook, waits).state()).isEqualTo(Delivery.State.FAILED);
        assertThat(take(5)).isEmpty();
        assertThat(webhooks.change(webhook, new Webhook.Change(null, null, null, true)).orElseThrow().failingSince()).isNull();
    }

    private Postbox.Taken taken(String id) {
        return take(50).stream().filter(one -> one.id().equals(id)).findFirst().orElseThrow();
    }

    @Test
    void whatArrivesEndsTheCount() {
        String webhook = webhook();
        record(taken(message(webhook, "job_a", 1)), REFUSED);
        record(taken(message(webhook, "job_b", 1)), ARRIVED);

        assertThat(webhooks.find(webhook).orElseThrow().failingSince()).isNull();
        assertThat(webhooks.find(webhook).orElseThrow().lastSuccessAt()).isEqualTo(now);
    }

    @Test
    void aMessageWhoseSecretCannotBeReadHereIsLeftToOthers() {
        String webhook = webhook();
        message(webhook, "job_a", 1);
        jdbc.sql("update webhook set secret_ref = null, secret = '\\x00', secret_key = 'theirs'").update();

        assertThat(take(5)).isEmpty();
        now = now.plusSeconds(600);
        assertThat(postbox.stranded(List.of("mine"), Duration.ofMinutes(5))).isEqualTo(1);
        assertThat(postbox.stranded(List.of("theirs"), Duration.ofMinutes(5))).isZero();
        assertThat(in(() -> postbox.take(5, List.of("mine", "theirs")))).hasSize(1);
    }

    @Test
    void whatWasKeptLongEnoughIsForgotten() {
        String webhook = webhook();
        String old = message(webhook, "job_a", 1);
        record(take(5).getFirst(), ARRIVED);
        now = now.plus(Duration.ofDays(31));
        String young = message(webhook, "job_b", 1);
        transaction.executeWithoutResult(_ -> postbox.keepHouse());

        assertThat(webhooks.delivery(webhook, old)).isEmpty();
        assertThat(webhooks.delivery(webhook, young)).isPresent();
    }

    @Test
    void whatIsRolledBackIsNotToldAndWhatIsCommittedIs() {
        String webhook = webhook();
        jdbc.sql("update webhook set events = '{job.queued}'").update();
        transaction.executeWithoutResult(status -> {
            jobs.submit(Orders.recipe(), Orders.inputs());
            assertThat(webhooks.deliveries(webhook, null, null, 10)).hasSize(1);
            status.setRollbackOnly();
        });
        assertThat(webhooks.deliveries(webhook, null, null, 10)).isEmpty();
        assertThat(jdbc.sql("select count(*) from webhook_event").query(Integer.class).single()).isZero();

        String job = jobs.submit(Orders.recipe(), Orders.inputs()).id();
        assertThat(webhooks.deliveries(webhook, null, null, 10)).singleElement()
                .satisfies(told -> assertThat(told.jobId()).isEqualTo(job));
    }

    @Test
    void aWebhookThatIsBeingDeletedHoldsUpNoJob() {
        String webhook = webhook();
        jdbc.sql("update webhook set events = '{job.queued}'").update();
        String job = transaction.execute(_ -> {
            assertThat(webhooks.delete(webhook)).isTrue();
            return inAnotherTransaction(() -> jobs.submit(Orders.recipe(), Orders.inputs()).id());
        });

        assertThat(jobs.find(job)).isPresent();
        assertThat(jdbc.sql("select count(*) from webhook_event").query(Integer.class).single()).isZero();
    }

    private static <T> T inAnotherTransaction(Supplier<T> work) {
        try (ExecutorService other = Executors.newSingleThreadExecutor()) {
            return other.submit(work::get).get();
        } catch (InterruptedException | java.util.concurrent.ExecutionException e) {
            throw new AssertionError(e);
        }
    }
}
