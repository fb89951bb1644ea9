package io.espalier.webhook;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Clock;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

import io.espalier.egress.Egress;
import io.espalier.job.IdempotencyKey;
import io.espalier.job.Ulids;
import io.espalier.recipe.Violation;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/** All webhooks. What is asked of one that is gone meanwhile is answered with nothing. */
@Component
@Transactional
public class Webhooks {

    static final String PREFIX = "whk_";

    private final JdbcClient jdbc;
    private final Outbox outbox;
    private final WebhookSecrets secrets;
    private final Egress egress;
    private final WebhookSettings settings;
    private final Clock clock;
    private final Ulids ulids = new Ulids();

    Webhooks(JdbcClient jdbc, Outbox outbox, WebhookSecrets secrets, Egress egress, WebhookSettings settings, Clock clock) {
        this.jdbc = jdbc;
        this.outbox = outbox;
        this.secrets = secrets;
        this.egress = egress;
        this.settings = settings;
        this.clock = clock;
    }

    /** What keeps an address from being told anything, as far as can be seen now; it is looked at again whenever something is sent there. */
    @Transactional(propagation = org.springframework.transaction.annotation.Propagation.NEVER)
    public List<Violation> violations(String url) {
        // why only its beginning: the rest may be a secret
        String begin = url.replaceFirst("^([A-Za-z][A-Za-z0-9+.-]*://)?([^/?#]*@)?([^/?#]*).*$", "$1$3");
        return egress.check(url).expected().stream().map(expected -> new Violation("url", begin, expected)).toList();
    }

    /** What else keeps a webhook from being made. */
    @Transactional(readOnly = true)
    public List<Violation> violations(Webhook.Wanted wanted) {
        List<Violation> wrong = new java.util.ArrayList<>();
        if (wanted.secretRef() != null && !secrets.isThere(wanted.project(), wanted.secretRef())) {
            wrong.add(new Violation("secret_ref", wanted.secretRef(),
                    "the name of a file with lines whsec_... in the project's directory of espalier.webhooks.secrets"));
        }
        if (standing(wanted.project()) >= settings.perProject()) {
            wrong.add(full(wanted.project()));
        }
        return wrong;
    }

    /** That a project has as many webhooks as it may have. */
    @Transactional(readOnly = true)
    public Violation full(String project) {
        return new Violation("project", project + " with " + standing(project) + " webhooks",
                "a project with fewer than " + settings.perProject());
    }

    /** @param replayed whether it was made before, by a post with the same key */
    public record Posted(Webhook.Made made, boolean replayed) {}

    /**
     * The webhook that a post with this key made before, as it stands, with its secret where that is kept here.
     *
     * @param key {@code null}: no post was it
     * @throws IdempotencyKey.ReusedException when that post had another body
     * @throws KeyFileException when its secret cannot be read
     */
    @Transactional(readOnly = true)
    public Optional<Posted> posted(String project, IdempotencyKey key) {
        if (key == null) {
            return Optional.empty();
        }
        PostedOnce once = PostedOnce.of(project, key);
        record Before(Webhook webhook, WebhookSecrets.Sealed secret) {}
        Optional<Before> before = jdbc.sql("select * from webhook where project = :project and substr(id, :from, :length) = :key")
                .param("project", project).param("from", PostedOnce.FROM).param("length", PostedOnce.KEY).param("key", once.key())
                .query((row, n) -> new Before(row(row, n),
                        row.getString("secret_key") == null
                                ? null
                                : new WebhookSecrets.Sealed(row.getString("secret_key"), row.getBytes("secret"))))
                .optional();
        before.map(Before::webhook).filter(webhook -> !once.sameBody(webhook.id())).ifPresent(other -> {
            throw new IdempotencyKey.ReusedException(key.key(), other.id());
        });
        return before.map(found -> new Posted(new Webhook.Made(found.webhook, opened(found.secret, found.webhook.id())), true));
    }

    private String opened(WebhookSecrets.Sealed secret, String id) {
        try {
            return secret == null ? null : secrets.open(secret, id);
        } catch (KeyFileException e) {
            throw e;
        } catch (IllegalStateException e) {
            throw new KeyFileException(e.getMessage(), e);
        }
    }

    /**
     * Makes one, without violations, once for each key.
     *
     * @param key {@code null} when the client gave none
     * @return empty when the project has no room for one more, by others that were made in the same moment
     * @throws IdempotencyKey.ReusedException when the key stands for another body
     * @throws KeyFileException when its secret cannot be encrypted, or that of before not be read
     */
    public Optional<Posted> create(Webhook.Wanted wanted, IdempotencyKey key) {
        // why: of two posts at once the second sees what the first has made
        jdbc.sql("select pg_advisory_xact_lock(hashtextextended(:project, 13))").param("project", wanted.project()).query((_, _) -> 1)
                .list();
        Optional<Posted> before = posted(wanted.project(), key);
        return before.isPresent() || standing(wanted.project()) >= settings.perProject()
                ? before
                : Optional.of(new Posted(made(wanted, key), false));
    }

    private int standing(String project) {
        return jdbc.sql("select count(*) from webhook where project = :project").param("project", project).query(Integer.class).single();
    }

    private Webhook.Made made(Webhook.Wanted wanted, IdempotencyKey key) {
        Instant now = clock.instant();
        String ulid = ulids.next(now.toEpochMilli());
        String id = key == null ? PREFIX + ulid : PostedOnce.of(wanted.project(), key).id(ulid);
        String secret = wanted.secretRef() == null ? Signature.newSecret() : null;
        WebhookSecrets.Sealed sealed = secret == null ? null : secrets.seal(secret, id);
        List<EventType> events = wanted.events().isEmpty() ? EventType.ends() : wanted.events();
        jdbc.sql("""
                insert into webhook (id, project, url, events, description, enabled, created_at, updated_at, secret_ref, secret, secret_key)
                values (:id, :project, :url, :events, :description, true, :now, :now, :ref, :secret, :key)""").param("id", id)
                .param("project", wanted.project()).param("url", wanted.url()).param("events", words(events))
                .param("description", wanted.description()).param("now", Timestamp.from(now))
                .param("ref", wanted.secretRef(), Types.VARCHAR)
                .param("secret", sealed == null ? null : sealed.bytes(), Types.BINARY)
                .param("key", sealed == null ? null : sealed.key(), Types.VARCHAR).update();
        return new Webhook.Made(find(id).orElseThrow(), secret);
    }

    @Transactional(readOnly = true)
    public Optional<Webhook> find(String id) {
        return jdbc.sql("select * from webhook where id = :id").param("id", id).query(this::row).optional();
    }

    /**
     * Webhooks, newest first.
     *
     * @param project only its; {@code null}: all
     * @param afterId only those older than this one; {@code null}: from the newest
     * @param limit at most so many
     */
    @Transactional(readOnly = true)
    public List<Webhook> list(String project, String afterId, int limit) {
        return jdbc.sql("select * from webhook where (:project::text is null or project = :project)"
                + " and (:after::text is null or id < :after) order by id desc limit :limit").param("project", project, Types.VARCHAR)
                .param("after", afterId, Types.VARCHAR).param("limit", limit).query(this::row).list();
    }

    /** Enabled, it begins anew; disabled, what waits for it is given up. */
    public Optional<Webhook> change(String id, Webhook.Change change) {
        jdbc.sql("""
                update webhook set url = coalesce(:url, url), events = coalesce(:events, events),
                    description = coalesce(:description, description), enabled = coalesce(:enabled, enabled),
                    disabled_reason = case when coalesce(:enabled, enabled) then null else coalesce(disabled_reason, 'client') end,
                    failing_since = case when :enabled then null else failing_since end, updated_at = :now
                where id = :id""").param("id", id).param("url", change.url(), Types.VARCHAR)
                .param("events", change.events() == null ? null : words(change.events()), Types.ARRAY)
                .param("description", change.description(), Types.VARCHAR).param("enabled", change.enabled(), Types.BOOLEAN)
                .param("now", Timestamp.from(clock.instant())).update();
        Optional<Webhook> changed = find(id);
        if (changed.isPresent() && !changed.get().enabled()) {
            giveUp(id);
        }
        return changed;
    }

    /** What waits for a webhook that is disabled is not sent any more, unless somebody asks for it. */
    void giveUp(String id) {
        jdbc.sql("update webhook_delivery set state = 'failed', finished_at = :now, leased_until = null"
                + " where webhook_id = :id and state = 'pending'").param("id", id).param("now", Timestamp.from(clock.instant())).update();
    }

    /** Forgets one, with everything that was sent there. */
    public boolean delete(String id) {
        return jdbc.sql("delete from webhook where id = :id").param("id", id).update() > 0;
    }

    /**
     * Gives it a new secret; the one before signs as well for a while. Empty when it is gone, or its secret is in a file.
     *
     * @throws KeyFileException when the secret cannot be encrypted
     */
    public Optional<Webhook.Made> rotate(String id) {
        Instant now = clock.instant();
        String secret = Signature.newSecret();
        WebhookSecrets.Sealed sealed = secrets.seal(secret, id);
        int rotated = jdbc.sql("""
                update webhook set previous_secret = secret, previous_secret_key = secret_key, previous_until = :until, secret = :secret,
                    secret_key = :key, updated_at = :now where id = :id and secret is not null""").param("id", id)
                .param("secret", sealed.bytes()).param("key", sealed.key()).param("now", Timestamp.from(now))
                .param("until", Timestamp.from(now.plus(settings.rotationOverlap()))).update();
        return rotated == 0 ? Optional.empty() : Optional.of(new Webhook.Made(find(id).orElseThrow(), secret));
    }

    /** Sends something of no consequence, also to one that is disabled. */
    public Delivery test(Webhook webhook) {
        return delivery(webhook.id(), outbox.test(webhook)).orElseThrow();
    }

    /**
     * What was and will be sent to a webhook, newest first.
     *
     * @param state only what stands there; {@code null}: all
     * @param afterId only what is older than this; {@code null}: from the newest
     * @param limit at most so many
     */
    @Transactional(readOnly = true)
    public List<Delivery> deliveries(String webhookId, Delivery.State state, String afterId, int limit) {
        return Deliveries.list(jdbc, webhookId, state, afterId, limit);
    }

    @Transactional(readOnly = true)
    public Optional<Delivery> delivery(String webhookId, String id) {
        return Deliveries.find(jdbc, webhookId, id);
    }

    /** Sends it again at once, whatever became of it, and as often as a new one. */
    public Optional<Delivery> redeliver(String webhookId, String id) {
        jdbc.sql("update webhook_delivery set state = 'pending', finished_at = null, tries = 0, due_at = :now"
                + " where webhook_id = :webhook and id = :id").param("webhook", webhookId).param("id", id)
                .param("now", Timestamp.from(clock.instant())).update();
        return delivery(webhookId, id);
    }

    private static String[] words(List<EventType> events) {
        return events.stream().distinct().sorted().map(EventType::json).toArray(String[]::new);
    }

    private Webhook row(ResultSet row, int number) throws SQLException {
        List<EventType> events = Arrays.stream((String[]) row.getArray("events").getArray()).map(EventType::of).toList();
        String reason = row.getString("disabled_reason");
        Instant until = Deliveries.instant(row, "previous_until");
        return new Webhook(row.getString("id"), row.getString("project"), row.getString("url"), events, row.getString("description"),
                row.getBoolean("enabled"), reason == null ? null : Webhook.Disabled.valueOf(reason.toUpperCase(java.util.Locale.ROOT)),
                Deliveries.instant(row, "created_at"), Deliveries.instant(row, "updated_at"), Deliveries.instant(row, "failing_since"),
                Deliveries.instant(row, "last_success_at"), row.getString("secret_ref"),
                until == null || until.isBefore(clock.instant()) ? null : until);
    }
}
