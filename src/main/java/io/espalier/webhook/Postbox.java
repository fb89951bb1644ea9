package io.espalier.webhook;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/**
 * Where messages wait. Whoever takes one has it for a while; who is not back by then has lost it, and what he says after that counts for nothing. So
 * two processes do not send the same at once, and what a dead one had is sent by another.
 */
@Component
@Transactional
class Postbox {

    /** Beyond the time that sending may take. */
    private static final Duration MARGIN = Duration.ofSeconds(30);
    /** So often an earlier message of a job is tried before a later one goes ahead of it: one that is never taken must not hide the job's end. */
    private static final int IN_ORDER = 3;

    private final JdbcClient jdbc;
    private final Webhooks webhooks;
    private final WebhookSettings settings;
    private final Clock clock;

    Postbox(JdbcClient jdbc, Webhooks webhooks, WebhookSettings settings, Clock clock) {
        this.jdbc = jdbc;
        this.webhooks = webhooks;
        this.settings = settings;
        this.clock = clock;
    }

    /**
     * A message that is to be sent.
     *
     * @param claim how often it was taken, which is the number of this attempt
     * @param tries how often it was tried before
     * @param secrets what is needed to sign it
     */
    record Taken(String id, String webhookId, int claim, int tries, String project, String url, String secretRef,
            List<WebhookSecrets.Sealed> secrets,
            EventType type, String eventId, String jobId, Long sequence, Instant at, String body) {}

    /**
     * What became of it.
     *
     * @param status {@code null}: no answer
     * @param error {@code null}: it has arrived
     * @param notBefore the receiver's wish; zero: none
     */
    record Outcome(Instant at, Integer status, long latencyMs, String error, Duration notBefore) {
        boolean arrived() {
            return error == null;
        }
    }

    /**
     * Takes what is due, the longest due first, and no more to one webhook at once than its share.
     *
     * @param atMost so many
     * @param keys names of the keys that can be opened here
     */
    List<Taken> take(int atMost, List<String> keys) {
        Instant now = clock.instant();
        return jdbc.sql("""
                with busy as (
                    select webhook_id, count(*) as n from webhook_delivery where state = 'pending' and leased_until > :now
                    group by webhook_id),
                due as (
                    select d.id, d.due_at, d.webhook_id, w.failing_since,
                        row_number() over (partition by d.webhook_id order by d.due_at, d.id) as place
                    from webhook_delivery d join webhook w on w.id = d.webhook_id join webhook_event e on e.id = d.event_id
                    where d.state = 'pending' and d.due_at <= :now and (d.leased_until is null or d.leased_until <= :now)
                        and (w.enabled or e.type = 'webhook.test') and (w.secret_key is null or w.secret_key = any(:keys))
                        and not exists (select 1 from webhook_delivery b where b.webhook_id = d.webhook_id and b.job_id = d.job_id
                            and b.sequence < d.sequence and b.state = 'pending' and b.tries < :ordered)),
                chosen as (
                    select due.id from due left join busy using (webhook_id)
                    where place + coalesce(n, 0) <= case when failing_since is null then :share else 1 end
                    order by due_at limit :most)
                update webhook_delivery d set leased_until = :until, claims = d.claims + 1
                from webhook w, webhook_event e
                where w.id = d.webhook_id and e.id = d.event_id and d.id in (
                    select id from webhook_delivery where id in (select id from chosen) and state = 'pending'
                        and (leased_until is null or leased_until <= :now) for update skip locked)
                returning d.id, d.webhook_id, d.claims, d.tries, w.project, w.url, w.secret_ref, w.secret, w.secret_key, w.previous_secret,
                    w.previous_secret_key, w.previous_until, e.type, e.id as event_id, e.job_id, e.sequence, e.at, e.body""")
                .param("now", Timestamp.from(now)).param("until", Timestamp.from(now.plus(settings.timeout()).plus(MARGIN)))
                .param("keys", keys.toArray(String[]::new)).param("ordered", IN_ORDER).param("share", settings.perWebhook())
                .param("most", atMost).query((row, _) -> taken(row, now)).list();
    }

    private static Taken taken(ResultSet row, Instant now) throws SQLException {
        List<WebhookSecrets.Sealed> secrets = new ArrayList<>();
        if (row.getBytes("secret") != null) {
            secrets.add(new WebhookSecrets.Sealed(row.getString("secret_key"), row.getBytes("secret")));
        }
        Instant until = Deliveries.instant(row, "previous_until");
        if (until != null && until.isAfter(now)) {
            secrets.add(new WebhookSecrets.Sealed(row.getString("previous_secret_key"), row.getBytes("previous_secret")));
        }
        return new Taken(row.getString("id"), row.getString("webhook_id"), row.getInt("claims"), row.getInt("tries"),
                row.getString("project"), row.getString("url"), row.getString("secret_ref"), List.copyOf(secrets),
                EventType.of(row.getString("type")), row.getString("event_id"), row.getString("job_id"),
                row.getObject("sequence", Long.class), Deliveries.instant(row, "at"), row.getString("body"));
    }

    /**
     * Puts down what became of a message, unless it is another's by now.
     *
     * @param chance 0 to 1, for the pause before the next try
     * @return how it stands now; empty when it is another's, or gone
     */
    Optional<Delivery.State> record(Taken message, Outcome outcome, double chance) {
        Instant now = clock.instant();
        boolean gone = outcome.status() != null && outcome.status() == 410;
        Duration pause = outcome.arrived() || gone ? null : settings.pause(message.tries() + 1, chance);
        Delivery.State state = outcome.arrived()
                ? Delivery.State.DELIVERED
                : pause == null ? Delivery.State.FAILED : Delivery.State.PENDING;
        // why locked first: whoever changes or deletes the webhook takes the rows in this order too
        if (jdbc.sql("select 1 from webhook where id = :id for no key update").param("id", message.webhookId()).query(Integer.class).list()
                .isEmpty()) {
            return Optional.empty();
        }
        Instant due = pause == null ? now : now.plus(pause.compareTo(outcome.notBefore()) < 0 ? outcome.notBefore() : pause);
        int mine = jdbc.sql("""
                update webhook_delivery set state = :state, tries = tries + 1, due_at = :due, leased_until = null,
                    finished_at = case when :state = 'pending' then null else :now::timestamptz end
                where id = :id and claims = :claim and state = 'pending'""").param("state", state.json()).param("due", Timestamp.from(due))
                .param("now", Timestamp.from(now)).param("id", message.id()).param("claim", message.claim()).update();
        if (mine == 0) {
            return Optional.empty();
        }
        jdbc.sql("insert into webhook_attempt (delivery_id, number, at, status, latency_ms, error)"
                + " values (:id, :number, :at, :status, :latency, :error)").param("id", message.id()).param("number", message.claim())
                .param("at", Timestamp.from(outcome.at())).param("status", outcome.status(), Types.INTEGER)
                .param("latency", outcome.latencyMs()).param("error", outcome.error(), Types.VARCHAR).update();
        if (outcome.arrived()) {
            jdbc.sql("update webhook set failing_since = null, last_success_at = :now where id = :id").param("now", Timestamp.from(now))
                    .param("id", message.webhookId()).update();
        } else {
            failed(message.webhookId(), gone, now);
        }
        return Optional.of(state);
    }

    private void failed(String webhookId, boolean gone, Instant now) {
        boolean disabled = jdbc.sql("""
                update webhook set failing_since = coalesce(failing_since, :now),
                    enabled = enabled and not :gone and coalesce(failing_since, :now) > :longest,
                    disabled_reason = case when not enabled then disabled_reason when :gone then 'gone'
                        when coalesce(failing_since, :now) <= :longest then 'failing' end
                where id = :id returning not enabled""").param("now", Timestamp.from(now)).param("gone", gone)
                .param("longest", Timestamp.from(now.minus(settings.disableAfter()))).param("id", webhookId).query(Boolean.class).single();
        if (disabled) {
            webhooks.giveUp(webhookId);
        }
    }

    /** Messages that have waited for long because their secret cannot be read here. */
    @Transactional(readOnly = true)
    int stranded(List<String> keys, Duration since) {
        return jdbc.sql("select count(*) from webhook_delivery d join webhook w on w.id = d.webhook_id where d.state = 'pending'"
                + " and d.due_at < :before and d.leased_until is null and w.secret_key is not null and not w.secret_key = any(:keys)")
                .param("before", Timestamp.from(clock.instant().minus(since))).param("keys", keys.toArray(String[]::new))
                .query(Integer.class).single();
    }

    /** Forgets what was kept long enough. */
    void keepHouse() {
        jdbc.sql("delete from webhook_event where at < :before").param("before", Timestamp.from(clock.instant().minus(settings.keep())))
                .update();
    }
}
