package io.espalier.catalog;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;

import io.espalier.OfficeTest;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.ScoreSummary;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.IllegalTransactionStateException;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

@OfficeTest
class ScoreSetsTest {

    private static final ScoreSummary SUMMARY = new ScoreSummary(MethodName.HEAPR, "nats per routed token", 512L,
            List.of(new ScoreSummary.Layer(0, 1e-9, 0.0, 3.5e-7, 12, List.of(new ScoreSummary.Expert(0, 0L, null, null, null, 96, 12)))));

    @Autowired
    private ScoreSets scores;
    @Autowired
    private JdbcTemplate jdbc;
    @Autowired
    private PlatformTransactionManager transactions;
    @TempDir
    private Path temp;

    @ParameterizedTest
    @ValueSource(ints = {0, 1, ScoreSets.CHUNK_BYTES, ScoreSets.CHUNK_BYTES + 1, 3 * ScoreSets.CHUNK_BYTES + 12345})
    void aFileComesOutAsItWentIn(int bytes) throws Exception {
        byte[] content = new byte[bytes];
        new Random(bytes).nextBytes(content);
        String job = job(bytes);
        String id = "scr_" + job.substring(4) + "1";
        Path file = Files.write(temp.resolve("scores.safetensors"), content);
        new TransactionTemplate(transactions).executeWithoutResult(status -> scores.keep(id, job, file, SUMMARY));

        ScoreSet kept = scores.findByJob(job).orElseThrow();
        assertThat(kept.id()).isEqualTo(id);
        assertThat(kept.bytes()).isEqualTo(bytes);
        assertThat(kept.sha256()).isEqualTo(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content)));
        assertThat(kept.summary()).isEqualTo(SUMMARY);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        scores.write(kept, out);
        assertThat(out.toByteArray()).isEqualTo(content);
        assertThat(jdbc.queryForObject("select count(*) from score_set_chunk where score_set_id = ?", Integer.class, id))
                .isEqualTo((bytes + ScoreSets.CHUNK_BYTES - 1) / ScoreSets.CHUNK_BYTES);
    }

    @Test
    void aFileThatCannotBeReadLeavesNothing() {
        String job = job(7);
        TransactionTemplate transaction = new TransactionTemplate(transactions);
        assertThatThrownBy(() -> transaction.executeWithoutResult(status -> scores.keep("scr_none", job, temp.resolve("none"), SUMMARY)))
                .isInstanceOf(UncheckedIOException.class);
        assertThat(scores.findByJob(job)).isEmpty();
        assertThat(scores.find("scr_none")).isEmpty();
    }

    @Test
    void scoresAreKeptOnlyTogetherWithWhatElseTheCallerWrites() throws IOException {
        Path file = Files.writeString(temp.resolve("s"), "x");
        assertThatThrownBy(() -> scores.keep("scr_1", "job_1", file, SUMMARY)).isInstanceOf(IllegalTransactionStateException.class);
    }

    private String job(int number) {
        String id = "job_" + String.format("%026d", number);
        jdbc.update("""
                insert into pruning_job (id, created_at, state, recipe, inputs, attempt, percent, phases, last_event, version)
                values (?, now(), 'queued', '{}', '{}', 0, 0, '[]', 0, 0) on conflict do nothing""", id);
        return id;
    }
}
