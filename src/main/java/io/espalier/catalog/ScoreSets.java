package io.espalier.catalog;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.time.Clock;
import java.time.temporal.ChronoUnit;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

import jakarta.persistence.EntityManager;

import io.espalier.recipe.MethodName;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreShelf;
import io.espalier.recipe.ScoreSummary;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Propagation;
import org.springframework.transaction.annotation.Transactional;
import tools.jackson.databind.json.JsonMapper;

/** All score sets. Their files go in and out in pieces of {@value #CHUNK_BYTES} bytes and are never whole in memory. */
@Component
public class ScoreSets implements ScoreShelf {

    static final int CHUNK_BYTES = 1 << 20;

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private static final String BRIEF = """
            select id, job_id, project, created_at, sha256, bytes, origin, summary - 'layers' as summary from score_set
            """;

    private final EntityManager entities;
    private final JdbcClient jdbc;
    private final Clock clock;

    ScoreSets(EntityManager entities, JdbcClient jdbc, Clock clock) {
        this.entities = entities;
        this.jdbc = jdbc;
        this.clock = clock;
    }

    @Transactional(readOnly = true)
    public Optional<ScoreSet> find(String id) {
        return Optional.ofNullable(entities.find(ScoreSet.class, id));
    }

    /**
     * A set of a project.
     *
     * @param project {@code null}: of any
     */
    @Transactional(readOnly = true)
    public Optional<ScoreSet> find(String id, String project) {
        return project == null
                ? find(id)
                : entities.createQuery("select s from ScoreSet s where s.id = :id and s.project = :project", ScoreSet.class)
                        .setParameter("id", id).setParameter("project", project).getResultStream().findFirst();
    }

    /** A set, its summary without the layers: what most questions need, and some hundred times smaller. */
    @Transactional(readOnly = true)
    public Optional<ScoreSet> findBriefly(String id) {
        return findBriefly(id, null);
    }

    /** @param project only a set of it; {@code null}: of any */
    @Transactional(readOnly = true)
    public Optional<ScoreSet> findBriefly(String id, String project) {
        return jdbc.sql(BRIEF + " where id = :id and (:project::text is null or project = :project)").param("id", id)
                .param("project", project, Types.VARCHAR).query(ScoreSets::line).optional();
    }

    /**
     * Score sets, newest first, their summaries without the layers.
     *
     * @param project only those of it; {@code null}: of all
     * @param model only those of a model that was ordered by this name or path; {@code null}: all
     * @param method only those by this method; {@code null}: all
     * @param afterId only those older than this one; {@code null}: from the newest
     * @param limit at most so many
     */
    @Transactional(readOnly = true)
    public List<ScoreSet> list(String project, String model, MethodName method, String afterId, int limit) {
        return jdbc
                .sql(BRIEF
                        + """
                                where (:project::text is null or project = :project) and (:model::text is null or model = :model) and (:method::text is null or method = :method)
                                  and (:after::text is null or id < :after) order by id desc limit :limit""")
                .param("project", project, Types.VARCHAR)
                .param("model", model, Types.VARCHAR).param("method", method == null ? null : method.json(), Types.VARCHAR)
                .param("after", afterId, Types.VARCHAR).param("limit", limit).query(ScoreSets::line).list();
    }

    private static ScoreSet line(ResultSet row, int number) throws SQLException {
        String origin = row.getString("origin");
        return new ScoreSet(row.getString("id"), row.getString("job_id"), row.getString("project"),
                row.getTimestamp("created_at").toInstant(),
                row.getString("sha256"), row.getLong("bytes"), JSON.readValue(row.getString("summary"), ScoreSummary.class),
                origin == null ? null : JSON.readValue(origin, ScoreOrigin.class));
    }

    /** What a job's plan made of its scores; empty when it has not succeeded. */
    @Transactional(readOnly = true)
    public Optional<ScoreSummary> planned(String jobId) {
        return jdbc.sql("select summary from job_scores where job_id = :job").param("job", jobId).query(String.class).optional()
                .map(json -> JSON.readValue(json, ScoreSummary.class));
    }

    /**
     * Writes the safetensors file of a score set, {@link ScoreSet#bytes()} of it. Each piece is its own short read: a slow receiver holds no
     * connection and no transaction.
     *
     * @throws IOException when the receiver does not take it
     * @throws ScoresGoneException when the set is deleted meanwhile
     */
    public void write(ScoreSet scores, OutputStream to) throws IOException {
        write(scores.id(), 0, scores.bytes(), to);
    }

    /** The bytes from one position (inclusive) to another (exclusive); pieces before the first are not read. */
    public void write(String id, long from, long end, OutputStream to) throws IOException {
        for (long at = from; at < end;) {
            int number = Math.toIntExact(at / CHUNK_BYTES);
            int skipped = Math.toIntExact(at - (long) number * CHUNK_BYTES);
            byte[] chunk = jdbc.sql("select content from score_set_chunk where score_set_id = :id and number = :number").param("id", id)
                    .param("number", number).query(byte[].class).optional()
                    .orElseThrow(() -> new ScoresGoneException(id));
            int length = (int) Math.min(chunk.length - skipped, end - at);
            to.write(chunk, skipped, length);
            at += length;
        }
    }

    @Override
    public void fetch(String id, Path file) throws IOException {
        ScoreSet scores = findBriefly(id).orElseThrow(() -> new ScoresGoneException(id));
        try (OutputStream out = Files.newOutputStream(file)) {
            write(scores, out);
        }
    }

    @Override
    @Transactional(propagation = Propagation.MANDATORY)
    public Optional<String> findByAddress(String project, String address) {
        // why locked: whoever deletes the last job that refers to it waits, and then sees that there is another
        return jdbc.sql("select id from score_set where project = :project and address = :address for key share")
                .param("project", project).param("address", address).query(String.class).optional();
    }

    @Override
    @Transactional(propagation = Propagation.MANDATORY)
    public void planned(String jobId, String id, ScoreSummary summary) {
        jdbc.sql(
                """
                        insert into job_scores (job_id, summary)
                        select :job, jsonb_set(:summary::jsonb, '{agreement}', coalesce(summary -> 'agreement', 'null')) from score_set where id = :id
                        on conflict (job_id) do update set summary = excluded.summary""")
                .param("job", jobId).param("id", id).param("summary", JSON.writeValueAsString(summary)).update();
    }

    @Override
    @Transactional(propagation = Propagation.MANDATORY)
    public String keep(String id, String jobId, Path file, ScoreSummary summary, ScoreOrigin origin) {
        // why: two jobs that measured the same at the same time store one after the other, and the second finds what the first stored
        String project = jdbc.sql("select project from pruning_job where id = :job").param("job", jobId).query(String.class).single();
        jdbc.sql("select pg_advisory_xact_lock(hashtextextended(:address, 12))").param("address", project + "/" + origin.address())
                .query((row, n) -> 1).list();
        String standing = findByAddress(project, origin.address()).orElseGet(() -> {
            store(id, jobId, project, file, summary.withoutPlan(), origin);
            return id;
        });
        planned(jobId, standing, summary);
        return standing;
    }

    private void store(String id, String jobId, String project, Path file, ScoreSummary summary, ScoreOrigin origin) {
        try (InputStream in = Files.newInputStream(file)) {
            MessageDigest sum = MessageDigest.getInstance("SHA-256");
            long bytes = 0;
            int number = 0;
            for (byte[] chunk = in.readNBytes(CHUNK_BYTES); chunk.length > 0; chunk = in.readNBytes(CHUNK_BYTES)) {
                jdbc.sql("insert into score_set_chunk (score_set_id, number, content) values (:id, :number, :content)").param("id", id)
                        .param("number", number++).param("content", chunk).update();
                sum.update(chunk);
                bytes += chunk.length;
            }
            String sha256 = HexFormat.of().formatHex(sum.digest());
            entities.persist(
                    new ScoreSet(id, jobId, project, clock.instant().truncatedTo(ChronoUnit.MICROS), sha256, bytes, summary, origin));
            entities.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }
}
