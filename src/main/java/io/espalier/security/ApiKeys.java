package io.espalier.security;

import java.security.SecureRandom;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Optional;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;

/** All API keys. What a key consists of is never stored; what is stored cannot be used as a key. */
@Component
public class ApiKeys {

    private static final Logger log = LoggerFactory.getLogger(ApiKeys.class);
    private static final String COLUMNS = "id, name, project, role, created_by, created_at, expires_at, last_used_at";
    /** What stands in for the hash of a key that is not there, so that the comparison takes place all the same. */
    private static final String NOTHING = "0".repeat(64);

    private final JdbcClient jdbc;
    private final Clock clock;
    private final SecureRandom random = new SecureRandom();

    ApiKeys(JdbcClient jdbc, Clock clock) {
        this.jdbc = jdbc;
        this.clock = clock;
    }

    /** @param text the key itself: this is the only time that anybody sees it */
    public record Created(ApiKey key, String text) {

        /** Without the key. */
        @Override
        public String toString() {
            return key.toString();
        }
    }

    /**
     * Makes a key.
     *
     * @param project {@code null} for one that sees every project
     * @param expiresAt {@code null} for one that does not expire
     * @param by name of who makes it
     */
    public Created create(String name, String project, Role role, Instant expiresAt, String by) {
        Instant now = clock.instant().truncatedTo(ChronoUnit.MICROS);
        String text = KeyText.random(random, now.toEpochMilli());
        KeyText key = KeyText.parse(text).orElseThrow();
        Instant expires = expiresAt == null ? null : expiresAt.truncatedTo(ChronoUnit.MICROS);
        jdbc.sql("""
                insert into api_key (id, name, project, role, sha256, created_by, created_at, expires_at)
                values (:id, :name, :project, :role, :sha256, :by, :now, :expires)""")
                .param("id", key.id()).param("name", name).param("project", project, Types.VARCHAR).param("role", role.json())
                .param("sha256", key.sha256()).param("by", by).param("now", Timestamp.from(now))
                .param("expires", expires == null ? null : Timestamp.from(expires), Types.TIMESTAMP).update();
        log.info("{} made the API key {} ({}) for {}, {}", by, key.id(), name, project == null ? "every project" : project, role.json());
        return new Created(new ApiKey(key.id(), name, project, role, by, now, expires, null), text);
    }

    /**
     * Whose key this is. Asked of the database every time, so that a revoked key is refused by every process at once.
     *
     * @throws RefusedTokenException when it is nobody's, or not any more
     */
    public Holder holder(String text) {
        KeyText given = KeyText.parse(text)
                .orElseThrow(() -> RefusedTokenException.invalid("the API key is not whole; its checksum does not fit", null));
        record Stored(ApiKey key, String sha256) {}
        Optional<Stored> stored = jdbc.sql("select " + COLUMNS + ", sha256 from api_key where id = :id").param("id", given.id())
                .query((row, n) -> new Stored(key(row, n), row.getString("sha256"))).optional();
        if (!KeyText.equal(stored.map(Stored::sha256).orElse(NOTHING), given.sha256())) {
            throw RefusedTokenException.invalid("there is no such API key, or it was revoked", null);
        }
        ApiKey key = stored.orElseThrow().key();
        Instant now = clock.instant();
        if (key.expiresAt() != null && !now.isBefore(key.expiresAt())) {
            throw RefusedTokenException.invalid("the API key expired at " + key.expiresAt(), null);
        }
        used(key, now.truncatedTo(ChronoUnit.HOURS));
        return new Holder(key.id(), key.project(), key.role());
    }

    private void used(ApiKey key, Instant hour) {
        if (key.lastUsedAt() == null || key.lastUsedAt().isBefore(hour)) {
            jdbc.sql("update api_key set last_used_at = greatest(last_used_at, :hour) where id = :id")
                    .param("hour", Timestamp.from(hour)).param("id", key.id()).update();
        }
    }

    /** Keys, newest first; of one project, or of all and for all when {@code project} is {@code null}. */
    public List<ApiKey> list(String project) {
        return jdbc.sql("select " + COLUMNS + " from api_key where :project::text is null or project = :project order by id desc")
                .param("project", project, Types.VARCHAR).query(ApiKeys::key).list();
    }

    /** @param project only a key of this one; {@code null}: of any */
    public Optional<ApiKey> find(String id, String project) {
        return jdbc.sql("select " + COLUMNS + " from api_key where id = :id and (:project::text is null or project = :project)")
                .param("id", id).param("project", project, Types.VARCHAR).query(ApiKeys::key).optional();
    }

    /**
     * Forgets a key: it is refused from now on.
     *
     * @param project only a key of this one; {@code null}: of any
     * @param by name of who revokes it
     * @return whether there was one
     */
    public boolean revoke(String id, String project, String by) {
        boolean revoked = jdbc.sql("delete from api_key where id = :id and (:project::text is null or project = :project)").param("id", id)
                .param("project", project, Types.VARCHAR).update() > 0;
        if (revoked) {
            log.info("{} revoked the API key {}", by, id);
        }
        return revoked;
    }

    private static ApiKey key(ResultSet row, int number) throws SQLException {
        return new ApiKey(row.getString("id"), row.getString("name"), row.getString("project"),
                Role.of(row.getString("role")).orElseThrow(), row.getString("created_by"), time(row, "created_at"),
                time(row, "expires_at"), time(row, "last_used_at"));
    }

    private static Instant time(ResultSet row, String column) throws SQLException {
        Timestamp time = row.getTimestamp(column);
        return time == null ? null : time.toInstant();
    }
}
