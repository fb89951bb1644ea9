package io.espalier.webhook;

import java.sql.Timestamp;
import java.time.Clock;
import java.time.Instant;
import java.util.List;

import io.espalier.job.JobChanged;
import io.espalier.job.Ulids;
import org.springframework.context.event.EventListener;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Propagation;
import org.springframework.transaction.annotation.Transactional;

/**
 * Writes down what is to be told, in the transaction in which it happens: what is rolled back is not told, and what is committed is not forgotten,
 * whichever process dies.
 */
@Component
class Outbox {

    private static final String EVENT = "evt_";
    private static final String DELIVERY = "dlv_";

    private final JdbcClient jdbc;
    private final JobDocument document;
    private final Clock clock;
    private final Ulids ulids = new Ulids();

    Outbox(JdbcClient jdbc, JobDocument document, Clock clock) {
        this.jdbc = jdbc;
        this.document = document;
        this.clock = clock;
    }

    @EventListener
    @Transactional(propagation = Propagation.MANDATORY)
    public void happened(JobChanged change) {
        EventType type = EventType.of(change.job().state());
        String project = change.job().recipe().project();
        // why skip locked: one that is being deleted must not keep a job from its next state; why locked: nor be deleted before this is written
        List<String> webhooks = jdbc.sql("select id from webhook where project = :project and enabled and :type = any(events)"
                + " order by id for key share skip locked").param("project", project).param("type", type.json()).query(String.class).list();
        if (!webhooks.isEmpty()) {
            String event = event(project, type, change.event().at(), change.job().id(), change.event().seq(), document.of(change.job()));
            webhooks.forEach(webhook -> delivery(webhook, event));
        }
    }

    /** @return the message's id */
    String test(Webhook webhook) {
        Instant now = clock.instant();
        String body = "{\"type\":\"" + EventType.WEBHOOK_TEST.json() + "\",\"webhook\":\"" + webhook.id() + "\"}";
        return delivery(webhook.id(), event(webhook.project(), EventType.WEBHOOK_TEST, now, null, null, body));
    }

    private String event(String project, EventType type, Instant at, String jobId, Long sequence, String body) {
        String id = EVENT + ulids.next(clock.instant().toEpochMilli());
        jdbc.sql("insert into webhook_event (id, project, type, at, job_id, sequence, body)"
                + " values (:id, :project, :type, :at, :job, :sequence, :body)").param("id", id).param("project", project)
                .param("type", type.json()).param("at", Timestamp.from(at)).param("job", jobId, java.sql.Types.VARCHAR)
                .param("sequence", sequence, java.sql.Types.BIGINT).param("body", body).update();
        return id;
    }

    private String delivery(String webhookId, String eventId) {
        String id = DELIVERY + ulids.next(clock.instant().toEpochMilli());
        jdbc.sql("""
                insert into webhook_delivery (id, webhook_id, event_id, job_id, sequence, state, created_at, due_at)
                select :id, :webhook, e.id, e.job_id, e.sequence, 'pending', :now, :now from webhook_event e where e.id = :event""")
                .param("id", id).param("webhook", webhookId).param("event", eventId).param("now", Timestamp.from(clock.instant())).update();
        return id;
    }
}
