package io.espalier.webhook;

import java.time.Clock;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

import io.espalier.telemetry.Meter;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.availability.ApplicationAvailability;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.context.SmartLifecycle;
import org.springframework.stereotype.Component;

/**
 * Carries messages out. One thread looks for those that are due; each is sent on a virtual thread of its own, so many at once and no more, each within
 * its time: a receiver that is dead or slow holds up its own messages, and never a job.
 */
@Component
final class Courier implements SmartLifecycle {

    private static final Logger log = LoggerFactory.getLogger(Courier.class);
    /** Outcomes are written by so many at once, so that hundreds of receivers do not take the connections that workers need. */
    private static final int WRITERS = 2;
    private static final Duration HOUSEKEEPING = Duration.ofMinutes(1);
    /** What is under way when the process stops may take so long. */
    private static final Duration DRAIN = Duration.ofSeconds(2);
    private static final Duration STRANDED = Duration.ofMinutes(5);

    private final Postbox postbox;
    private final Message message;
    private final WebhookSecrets secrets;
    private final WebhookSettings settings;
    private final ApplicationAvailability availability;
    private final Clock clock;
    private final Semaphore free;
    private final Map<Delivery.State, Counter> sent = new EnumMap<>(Delivery.State.class);
    private final Semaphore writers = new Semaphore(WRITERS);
    private volatile boolean running;
    private Thread looker;
    private long keptAt = System.nanoTime();

    Courier(Postbox postbox, Message message, WebhookSecrets secrets, WebhookSettings settings, ApplicationAvailability availability,
            Clock clock, MeterRegistry meters) {
        this.postbox = postbox;
        this.message = message;
        this.secrets = secrets;
        this.settings = settings;
        this.availability = availability;
        this.clock = clock;
        this.free = new Semaphore(settings.concurrency());
        for (Delivery.State state : Delivery.State.values()) {
            sent.put(state, Counter.builder(Meter.WEBHOOK_DELIVERIES.id()).description(Meter.WEBHOOK_DELIVERIES.sentence())
                    .tag("outcome", state.json()).register(meters));
        }
    }

    private void look() {
        while (running) {
            try {
                // why: a process that refuses traffic may be too old for the tables
                if (availability.getReadinessState() == ReadinessState.ACCEPTING_TRAFFIC) {
                    lookOnce();
                }
                waitForWork();
            } catch (InterruptedException e) {
                return;
            } catch (RuntimeException e) {
                log.warn("no messages to webhooks are sent now, the next look tries again: {}", e.toString());
                pause();
            }
        }
    }

    private synchronized void waitForWork() throws InterruptedException {
        wait(Math.max(1, settings.poll().toMillis()));
    }

    private synchronized void lookAgain() {
        notifyAll();
    }

    private void pause() {
        try {
            Thread.sleep(settings.poll());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void lookOnce() {
        List<String> keys = List.copyOf(secrets.known());
        int places = free.drainPermits();
        int sent = 0;
        try {
            if (places > 0) {
                for (Postbox.Taken taken : postbox.take(places, keys)) {
                    sent++;
                    Thread.ofVirtual().name("webhook " + taken.id()).start(() -> carry(taken));
                }
            }
        } finally {
            free.release(places - sent);
        }
        if (System.nanoTime() - keptAt > HOUSEKEEPING.toNanos()) {
            keptAt = System.nanoTime();
            postbox.keepHouse();
            int stranded = postbox.stranded(keys, STRANDED);
            if (stranded > 0) {
                log.warn(
                        "{} messages to webhooks wait for a process with another key (expected: the same espalier.webhooks.key-file in all "
                                + "processes, or the secrets rotated)",
                        stranded);
            }
        }
    }

    private void carry(Postbox.Taken taken) {
        try {
            Postbox.Outcome outcome = message.send(taken, clock);
            writers.acquire();
            try {
                postbox.record(taken, outcome, ThreadLocalRandom.current().nextDouble()).ifPresent(state -> sent.get(state).increment());
            } finally {
                writers.release();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            // why not tried here: when its lease is over it is sent again, by whoever looks first
            log.warn("{} was sent, and what became of it could not be written; it will be sent again: {}", taken.id(), e.toString());
        } finally {
            free.release();
            lookAgain();
        }
    }

    @Override
    public void start() {
        running = true;
        looker = Thread.ofPlatform().daemon().name("webhook courier").start(this::look);
    }

    /** Looks no further, and gives what is under way a moment. What is not back by then is sent again by another. */
    @Override
    public void stop() {
        running = false;
        looker.interrupt();
        try {
            looker.join(DRAIN);
            if (free.tryAcquire(settings.concurrency(), DRAIN.toMillis(), TimeUnit.MILLISECONDS)) {
                // why: it may be started again
                free.release(settings.concurrency());
            } else {
                log.info("stopped with messages to webhooks under way; they will be sent again");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    @Override
    public boolean isAutoStartup() {
        return settings.deliver();
    }
}
