package io.espalier.webhook;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

import org.springframework.jdbc.core.simple.JdbcClient;

/** Messages as rows. */
final class Deliveries {

    private static final String ROWS = """
            select d.id, e.type, d.job_id, d.sequence, e.at, d.state, d.created_at, d.due_at, d.finished_at
            from webhook_delivery d join webhook_event e on e.id = d.event_id where d.webhook_id = :webhook
            """;

    private Deliveries() {}

    static List<Delivery> list(JdbcClient jdbc, String webhookId, Delivery.State state, String afterId, int limit) {
        List<Delivery> rows = jdbc.sql(ROWS + " and (:state::text is null or d.state = :state) and (:after::text is null or d.id < :after)"
                + " order by d.id desc limit :limit").param("webhook", webhookId)
                .param("state", state == null ? null : state.json(), Types.VARCHAR)
                .param("after", afterId, Types.VARCHAR).param("limit", limit).query((row, _) -> row(row)).list();
        return withAttempts(jdbc, rows);
    }

    static Optional<Delivery> find(JdbcClient jdbc, String webhookId, String id) {
        return withAttempts(jdbc, jdbc.sql(ROWS + " and d.id = :id").param("webhook", webhookId).param("id", id)
                .query((row, _) -> row(row)).list()).stream().findFirst();
    }

    private static List<Delivery> withAttempts(JdbcClient jdbc, List<Delivery> rows) {
        record Line(String delivery, Delivery.Attempt attempt) {}
        Map<String, List<Delivery.Attempt>> attempts = jdbc
                .sql("select delivery_id, number, at, status, latency_ms, error from webhook_attempt"
                        + " where delivery_id = any(:ids) order by delivery_id, number")
                .param("ids", rows.stream().map(Delivery::id).toArray(String[]::new))
                .query((row, _) -> new Line(row.getString("delivery_id"), new Delivery.Attempt(row.getInt("number"), instant(row, "at"),
                        row.getObject("status", Integer.class), row.getLong("latency_ms"), row.getString("error"))))
                .list().stream().collect(Collectors.groupingBy(Line::delivery, Collectors.mapping(Line::attempt, Collectors.toList())));
        return rows.stream().map(row -> new Delivery(row.id(), row.event(), row.jobId(), row.sequence(), row.eventAt(), row.state(),
                row.createdAt(), row.nextTryAt(), row.finishedAt(), attempts.getOrDefault(row.id(), List.of()))).toList();
    }

    private static Delivery row(ResultSet row) throws SQLException {
        Delivery.State state = Delivery.State.valueOf(row.getString("state").toUpperCase(Locale.ROOT));
        return new Delivery(row.getString("id"), EventType.of(row.getString("type")), row.getString("job_id"),
                row.getObject("sequence", Long.class), instant(row, "at"), state, instant(row, "created_at"),
                state == Delivery.State.PENDING ? instant(row, "due_at") : null, instant(row, "finished_at"), List.of());
    }

    static Instant instant(ResultSet row, String column) throws SQLException {
        Timestamp time = row.getTimestamp(column);
        return time == null ? null : time.toInstant();
    }
}
