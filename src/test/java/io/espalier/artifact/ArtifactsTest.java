package io.espalier.artifact;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

import io.espalier.OfficeTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

@OfficeTest
class ArtifactsTest {

    private static final String DIGEST = "0".repeat(64);

    @Autowired
    private Artifacts artifacts;
    @Autowired
    private ArtifactSettings settings;
    @Autowired
    private JdbcTemplate jdbc;
    @Autowired
    private PlatformTransactionManager transactions;

    @Test
    void aFinishedDirectoryIsMovedSummedAndFoundOnceRecorded() throws IOException {
        Path finished = finished("a");
        Artifact moved = artifacts.move(finished, "art_a1", job(), DIGEST);
        assertThat(finished).doesNotExist();
        assertThat(artifacts.find("art_a1")).isEmpty();
        assertThat(artifacts.file("art_a1", "config.json")).isEmpty();

        artifacts.record(moved);
        Artifact found = artifacts.find("art_a1").orElseThrow();
        assertThat(found.files()).containsExactly(
                new ArtifactFile("config.json", 2, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
                new ArtifactFile("sub/weights.bin", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
        assertThat(found.bytes()).isEqualTo(5);
        assertThat(found.digest()).isEqualTo(DIGEST);
        assertThat(found.createdAt()).isEqualTo(moved.createdAt());
        assertThat(artifacts.file("art_a1", "sub/weights.bin").orElseThrow()).hasContent("abc");
    }

    @ParameterizedTest
    @ValueSource(strings = {"../art_b1/config.json", "/etc/passwd", "sub", "sub/../config.json", "config.json/", "CONFIG.JSON", "", "\0"})
    void onlyListedNamesAreLookedFor(String name) throws IOException {
        if (artifacts.find("art_b1").isEmpty()) {
            artifacts.record(artifacts.move(finished("b"), "art_b1", job(), DIGEST));
        }
        assertThat(artifacts.file("art_b1", name)).isEmpty();
        assertThat(artifacts.file("../artifacts/art_b1", "config.json")).isEmpty();
    }

    @Test
    void directoriesThatNobodyCanRecordAnyMoreAreSwept() throws IOException {
        artifacts.record(artifacts.move(finished("c"), "art_c1", job(), DIGEST));
        artifacts.move(finished("d"), "art_d1", job(), DIGEST);
        artifacts.move(finished("e"), "art_e1", job(), DIGEST);
        artifacts.sweep(id -> !id.equals("art_e1"));
        assertThat(settings.directory().resolve("art_c1")).exists();
        assertThat(settings.directory().resolve("art_d1")).doesNotExist();
        assertThat(settings.directory().resolve("art_e1")).exists();
        artifacts.sweep(id -> true);
        assertThat(settings.directory().resolve("art_e1")).doesNotExist();
    }

    @Test
    void whatWasRolledBackIsRecordedWholeTheSecondTime() throws IOException {
        Artifact moved = artifacts.move(finished("g"), "art_g1", job(), DIGEST);
        TransactionTemplate transaction = new TransactionTemplate(transactions);
        transaction.executeWithoutResult(status -> {
            artifacts.record(moved);
            status.setRollbackOnly();
        });
        assertThat(artifacts.find("art_g1")).isEmpty();
        transaction.executeWithoutResult(status -> artifacts.record(moved));
        assertThat(artifacts.find("art_g1").orElseThrow().files()).extracting(ArtifactFile::name).containsExactly("config.json",
                "sub/weights.bin");
    }

    @Test
    void anArtifactBelongsToItsJobsProjectAndIsListedThere() throws IOException {
        artifacts.record(artifacts.move(finished("h"), "art_h1", job(), DIGEST));
        assertThat(artifacts.find("art_h1").orElseThrow().project()).isEqualTo("default");
        assertThat(artifacts.list("default", job(), null, 100)).extracting(Artifact::id).contains("art_h1");
        assertThat(artifacts.list(null, null, "art_h2", 1)).extracting(Artifact::id).containsExactly("art_h1");
        assertThat(artifacts.list("another", null, null, 100)).isEmpty();
    }

    @Test
    void aDeletedArtifactsFilesAreSweptWhenTheProcessDiedBeforeTheyWere() throws IOException {
        artifacts.record(artifacts.move(finished("i"), "art_i1", job(), DIGEST));
        assertThat(artifacts.delete("art_i1")).isTrue();
        assertThat(artifacts.delete("art_i1")).as("again").isFalse();
        assertThat(artifacts.find("art_i1").orElseThrow().deletedAt()).isNotNull();
        assertThat(artifacts.list(null, null, null, 100)).extracting(Artifact::id).doesNotContain("art_i1");
        assertThat(settings.directory().resolve("art_i1")).exists();
        artifacts.sweep(_ -> true);
        assertThat(settings.directory().resolve("art_i1")).doesNotExist();
    }

    @Test
    void aDirectoryThatIsNotThereMovesNothing() {
        assertThatThrownBy(() -> artifacts.move(settings.dataDir().resolve("none"), "art_f1", "job_f", DIGEST))
                .isInstanceOf(NoSuchFileException.class);
        assertThat(settings.directory().resolve("art_f1")).doesNotExist();
    }

    private Path finished(String name) throws IOException {
        Path directory = Files.createDirectories(settings.dataDir().resolve("finished-" + name + "/sub")).getParent();
        Files.writeString(directory.resolve("config.json"), "{}");
        Files.writeString(directory.resolve("sub/weights.bin"), "abc");
        return directory;
    }

    private String job() {
        String id = "job_" + "0".repeat(26);
        jdbc.update("""
                insert into pruning_job (id, created_at, state, recipe, inputs, attempt, percent, phases, last_event, version)
                values (?, now(), 'queued', '{}', '{}', 0, 0, '[]', 0, 0) on conflict do nothing""", id);
        return id;
    }
}
