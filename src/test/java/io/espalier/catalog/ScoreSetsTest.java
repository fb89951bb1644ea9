package io.espalier.catalog;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Random;

import io.espalier.OfficeTest;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Precision;
import io.espalier.recipe.ScoreOrigin;
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
            List.of(new ScoreSummary.Layer(0, 1e-9, 0.0, 3.5e-7, 12L, List.of(new ScoreSummary.Expert(0, 0L, null, null, null, 96, 12)))));

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
        ScoreOrigin origin = origin(bytes);
        assertThat(keep(id, job, file, origin)).isEqualTo(id);

        ScoreSet kept = scores.find(id).orElseThrow();
        assertThat(kept.jobId()).isEqualTo(job);
        assertThat(kept.origin()).isEqualTo(origin);
        assertThat(kept.bytes()).isEqualTo(bytes);
        assertThat(kept.sha256()).isEqualTo(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content)));
        assertThat(kept.summary()).isEqualTo(SUMMARY.withoutPlan());
        assertThat(scores.planned(job)).contains(SUMMARY);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        scores.write(kept, out);
        assertThat(out.toByteArray()).isEqualTo(content);
        for (int from : List.of(0, bytes / 3, Math.max(0, bytes - 1))) {
            ByteArrayOutputStream part = new ByteArrayOutputStream();
            scores.write(id, from, bytes - bytes / 5, part);
            assertThat(part.toByteArray()).isEqualTo(Arrays.copyOfRange(content, from, Math.max(from, bytes - bytes / 5)));
        }
        assertThat(jdbc.queryForObject("select count(*) from score_set_chunk where score_set_id = ?", Integer.class, id))
                .isEqualTo((bytes + ScoreSets.CHUNK_BYTES - 1) / ScoreSets.CHUNK_BYTES);
    }

    @Test
    void aFileThatCannotBeReadLeavesNothing() {
        String job = job(7);
        TransactionTemplate transaction = new TransactionTemplate(transactions);
        assertThatThrownBy(
                () -> transaction.executeWithoutResult(status -> scores.keep("scr_none", job, temp.resolve("none"), SUMMARY, origin(99))))
                .isInstanceOf(UncheckedIOException.class);
        assertThat(scores.planned(job)).isEmpty();
        assertThat(scores.find("scr_none")).isEmpty();
    }

    @Test
    void scoresAreKeptOnlyTogetherWithWhatElseTheCallerWrites() throws IOException {
        Path file = Files.writeString(temp.resolve("s"), "x");
        assertThatThrownBy(() -> scores.keep("scr_1", "job_1", file, SUMMARY, origin(1)))
                .isInstanceOf(IllegalTransactionStateException.class);
    }

    @Test
    void whatTwoJobsMeasuredAlikeIsStoredOnce() throws IOException {
        Path file = Files.writeString(temp.resolve("s"), "scores");
        String first = job(20);
        String second = job(21);
        assertThat(keep("scr_20", first, file, origin(20))).isEqualTo("scr_20");
        assertThat(keep("scr_21", second, file, origin(20))).isEqualTo("scr_20");
        assertThat(scores.find("scr_21")).isEmpty();
        assertThat(scores.planned(second)).contains(SUMMARY);
        assertThat(found(origin(20).address())).contains("scr_20");
        assertThat(found("0".repeat(64))).isEmpty();
    }

    @Test
    void aScoreSetStaysForAsLongAsAJobRefersToIt() throws IOException {
        Path file = Files.writeString(temp.resolve("s"), "scores");
        String first = job(30);
        String second = job(31);
        keep("scr_30", first, file, origin(30));
        jdbc.update("update pruning_job set score_set_id = 'scr_30' where id in (?, ?)", first, second);

        jdbc.update("delete from pruning_job where id = ?", first);
        assertThat(scores.find("scr_30").orElseThrow().jobId()).isNull();
        scores.fetch("scr_30", temp.resolve("fetched"));
        assertThat(temp.resolve("fetched")).hasContent("scores");

        jdbc.update("delete from pruning_job where id = ?", second);
        assertThat(scores.find("scr_30")).isEmpty();
        assertThat(jdbc.queryForObject("select count(*) from score_set_chunk where score_set_id = 'scr_30'", Integer.class)).isZero();
        assertThatThrownBy(() -> scores.fetch("scr_30", temp.resolve("gone"))).isInstanceOf(NoSuchElementException.class);
    }

    @Test
    void aListIsCutByModelMethodAndPlaceAndHasNoLayers() throws IOException {
        Path file = Files.writeString(temp.resolve("s"), "scores");
        for (int i = 40; i < 43; i++) {
            keep("scr_" + i, job(i), file, origin(i));
        }
        assertThat(scores.list(null, "model-41", null, null, 10)).extracting(ScoreSet::id).containsExactly("scr_41");
        assertThat(scores.list(null, null, MethodName.HEAPR, "scr_43", 2)).extracting(ScoreSet::id).containsExactly("scr_42", "scr_41");
        assertThat(scores.list(null, null, MethodName.MAGNITUDE, null, 10)).isEmpty();
        ScoreSet listed = scores.list(null, "model-40", MethodName.HEAPR, null, 10).getFirst();
        assertThat(listed.summary().layers()).isEmpty();
        assertThat(listed.summary().tokens()).isEqualTo(512);
        assertThat(listed.origin()).isEqualTo(origin(40));
        assertThat(listed.createdAt()).isEqualTo(scores.find("scr_40").orElseThrow().createdAt());
    }

    @Test
    void readingsAreKeptForTheNextQuestionAndTheOldestGoes() throws IOException {
        List<ScoreSet> sets = new ArrayList<>();
        for (int i = 50; i < 53; i++) {
            keep("scr_" + i, job(i), Files.writeString(temp.resolve("s" + i), "scores " + i), origin(i));
            sets.add(scores.find("scr_" + i).orElseThrow());
        }
        List<String> read = new ArrayList<>();
        ScoreReadings<String> readings = new ScoreReadings<>(scores, file -> {
            try {
                read.add(Files.readString(file));
                return read.getLast();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }, text -> 10, 25);
        for (int i : List.of(0, 1, 0, 2, 0, 1)) {
            assertThat(readings.of(sets.get(i))).isEqualTo("scores " + (50 + i));
        }
        assertThat(read).containsExactly("scores 50", "scores 51", "scores 52", "scores 51");
    }

    private String keep(String id, String job, Path file, ScoreOrigin origin) {
        return new TransactionTemplate(transactions).execute(status -> scores.keep(id, job, file, SUMMARY, origin));
    }

    private Optional<String> found(String address) {
        return new TransactionTemplate(transactions).execute(status -> scores.findByAddress("default", address));
    }

    private static ScoreOrigin origin(int number) {
        return new ScoreOrigin(String.format("%064x", number + 1000), "f".repeat(64), "model-" + number, "a".repeat(64), "b".repeat(64),
                MethodChoice.of(MethodName.HEAPR), Precision.F32);
    }

    private String job(int number) {
        String id = "job_" + String.format("%026d", number);
        jdbc.update("""
                insert into pruning_job (id, created_at, state, recipe, inputs, attempt, percent, phases, last_event, version)
                values (?, now(), 'queued', '{}', '{}', 0, 0, '[]', 0, 0) on conflict do nothing""", id);
        return id;
    }
}
