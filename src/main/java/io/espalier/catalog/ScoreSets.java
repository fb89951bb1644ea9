package io.espalier.catalog;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Clock;
import java.time.temporal.ChronoUnit;
import java.util.HexFormat;
import java.util.Optional;

import jakarta.persistence.EntityManager;

import io.espalier.recipe.ScoreShelf;
import io.espalier.recipe.ScoreSummary;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Propagation;
import org.springframework.transaction.annotation.Transactional;

/** All score sets. Their files go in and out in pieces of {@value #CHUNK_BYTES} bytes and are never whole in memory. */
@Component
public class ScoreSets implements ScoreShelf {

    static final int CHUNK_BYTES = 1 << 20;

    private final EntityManager entities;
    private final JdbcTemplate jdbc;
    private final Clock clock;

    ScoreSets(EntityManager entities, JdbcTemplate jdbc, Clock clock) {
        this.entities = entities;
        this.jdbc = jdbc;
        this.clock = clock;
    }

    @Transactional(readOnly = true)
    public Optional<ScoreSet> find(String id) {
        return Optional.ofNullable(entities.find(ScoreSet.class, id));
    }

    /** The scores that a job measured; empty when it has not succeeded. */
    @Transactional(readOnly = true)
    public Optional<ScoreSet> findByJob(String jobId) {
        return entities.createQuery("select s from ScoreSet s where s.jobId = :jobId", ScoreSet.class).setParameter("jobId", jobId)
                .getResultStream().findFirst();
    }

    /**
     * Writes the safetensors file of a score set, {@link ScoreSet#bytes()} of it. Each piece is its own short read: a slow receiver holds no
     * connection and no transaction.
     *
     * @throws IOException when the receiver does not take it
     */
    public void write(ScoreSet scores, OutputStream to) throws IOException {
        long written = 0;
        for (int number = 0; written < scores.bytes(); number++) {
            byte[] chunk = jdbc.queryForObject("select content from score_set_chunk where score_set_id = ? and number = ?", byte[].class,
                    scores.id(), number);
            to.write(chunk);
            written += chunk.length;
        }
    }

    @Override
    @Transactional(propagation = Propagation.MANDATORY)
    public void keep(String id, String jobId, Path file, ScoreSummary summary) {
        try (InputStream in = Files.newInputStream(file)) {
            MessageDigest sum = MessageDigest.getInstance("SHA-256");
            long bytes = 0;
            int number = 0;
            for (byte[] chunk = in.readNBytes(CHUNK_BYTES); chunk.length > 0; chunk = in.readNBytes(CHUNK_BYTES)) {
                jdbc.update("insert into score_set_chunk (score_set_id, number, content) values (?, ?, ?)", id, number++, chunk);
                sum.update(chunk);
                bytes += chunk.length;
            }
            String sha256 = HexFormat.of().formatHex(sum.digest());
            entities.persist(new ScoreSet(id, jobId, clock.instant().truncatedTo(ChronoUnit.MICROS), sha256, bytes, summary));
            entities.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }
}
