package io.espalier.catalog;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;

import io.espalier.OfficeTest;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.PlatformTransactionManager;

/** Our copies of texts, and what is left of them when a process or a connection dies in the middle. */
@OfficeTest
class CorpusFilesTest {

    @Autowired
    private Corpora corpora;
    @Autowired
    private CorpusFiles files;
    @Autowired
    private JdbcClient jdbc;
    @Autowired
    private CatalogSettings settings;
    @Autowired
    private PlatformTransactionManager transactions;
    @Autowired
    private Fetched fetched;
    @Autowired
    private Clock clock;

    private Path left(String name, Duration ago) throws IOException {
        Path file = Files.createDirectories(settings.dataDir().resolve("corpora")).resolve(name);
        Files.writeString(file, "left");
        return Files.setLastModifiedTime(file, FileTime.from(clock.instant().minus(ago)));
    }

    @Test
    void whatAnIntakeLeftThatWasKilledIsSweptAfterADayAndTextsOfAnotherDatabaseStay() throws IOException {
        Path part = left("killed.txt.part", Duration.ofDays(2));
        Path young = left("going-on.txt.part", Duration.ofHours(1));
        Path another = left("another-database.txt", Duration.ofDays(2));
        files.afterSingletonsInstantiated();

        assertThat(part).doesNotExist();
        assertThat(young).exists();
        assertThat(another).as("older than this database").exists();

        Instant since = jdbc.sql("select since from installation").query(java.time.OffsetDateTime.class).single().toInstant();
        jdbc.sql("update installation set since = since - interval '3 days'").update();
        try {
            files.afterSingletonsInstantiated();
            assertThat(another).as("made since there is this database").doesNotExist();
        } finally {
            jdbc.sql("update installation set since = :since").param("since", java.sql.Timestamp.from(since)).update();
            Files.delete(young);
        }
    }

    @Test
    void aTextStaysWhenOnlyTheDatabasesAnswerIsLost() throws IOException {
        Corpora lossy = new Corpora(new CorpusRows(jdbc) {
            @Override
            boolean insert(Corpus corpus) {
                super.insert(corpus);
                throw new DataAccessResourceFailureException("the connection broke after the commit");
            }
        }, files, settings, fetched, transactions, clock);
        Corpora.Label label = new Corpora.Label("lost-answer", "default", "", null);

        assertThatThrownBy(() -> lossy.take(label, new ByteArrayInputStream("a text".getBytes(StandardCharsets.UTF_8)), Corpus.Source.TEXT))
                .isInstanceOf(DataAccessResourceFailureException.class);

        Corpus there = corpora.find("lost-answer", "default").orElseThrow();
        try {
            assertThat(Path.of(there.path())).hasContent("a text");
        } finally {
            corpora.delete(there, _ -> java.util.Optional.empty());
        }
    }
}
