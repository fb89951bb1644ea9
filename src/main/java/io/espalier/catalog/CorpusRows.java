package io.espalier.catalog;

import java.math.BigDecimal;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/** The corpora's tables. */
@Component
class CorpusRows {

    private static final String SELECT = """
            select c.*, coalesce((select jsonb_agg(jsonb_build_object('corpus', p.name, 'weight', m.weight) order by m.position)
                from corpus_part m join corpus p on p.id = m.part where m.corpus = c.id), '[]') as mix,
              coalesce((select jsonb_agg(jsonb_build_object('tokenizer_sha256', t.tokenizer_sha256, 'tokens', t.tokens, 'counted_at',
                to_char(t.counted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) order by t.counted_at)
                from corpus_tokens t where t.corpus = c.id), '[]') as tokens
            from corpus c
            """;
    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final JdbcClient jdbc;

    CorpusRows(JdbcClient jdbc) {
        this.jdbc = jdbc;
    }

    Optional<Corpus> find(String name, String project) {
        return jdbc.sql(SELECT + "where c.name = :name and (c.project = :project or c.kind = 'demo') order by c.kind limit 1")
                .param("name", name).param("project", project).query(CorpusRows::row).optional();
    }

    /** @param project {@code null}: of all */
    List<Corpus> list(String project) {
        return jdbc.sql(SELECT + "where :project::text is null or c.project = :project or c.kind = 'demo' order by c.name, c.project")
                .param("project", project, Types.VARCHAR).query(CorpusRows::row).list();
    }

    /** Parts of a mixture, in order. */
    List<Corpus> parts(Corpus mix) {
        return jdbc.sql(SELECT + "join corpus_part own on own.part = c.id where own.corpus = :id order by own.position")
                .param("id", UUID.fromString(mix.id())).query(CorpusRows::row).list();
    }

    /** Names of the mixtures that have a corpus as a part. */
    List<String> mixturesOf(Corpus part) {
        return jdbc.sql("select distinct c.name from corpus c join corpus_part m on m.corpus = c.id where m.part = :id order by c.name")
                .param("id", UUID.fromString(part.id())).query(String.class).list();
    }

    /** @return whether the name was free */
    boolean insert(Corpus corpus) {
        return jdbc.sql("""
                insert into corpus (id, name, project, path, kind, source, description, field, bytes, documents, sha256, created_at)
                select :id, :name, :project, :path, 'registered', :source, :description, :field, :bytes, :documents, :sha256, :at
                where not exists (select 1 from corpus where name = :name and kind = 'demo') on conflict do nothing""")
                .param("id", UUID.fromString(corpus.id())).param("name", corpus.name()).param("project", corpus.project())
                .param("path", corpus.path(), Types.VARCHAR).param("source", corpus.source().json())
                .param("description", corpus.description()).param("field", corpus.field(), Types.VARCHAR)
                .param("bytes", corpus.bytes(), Types.BIGINT).param("documents", corpus.documents(), Types.BIGINT)
                .param("sha256", corpus.sha256()).param("at", Timestamp.from(corpus.createdAt())).update() == 1;
    }

    void insertPart(Corpus mix, int position, Corpus part, BigDecimal weight) {
        jdbc.sql("insert into corpus_part (corpus, position, part, weight) values (:mix, :position, :part, :weight)")
                .param("mix", UUID.fromString(mix.id())).param("position", position).param("part", UUID.fromString(part.id()))
                .param("weight", weight).update();
    }

    /** Registers a bundled corpus, or lets its name stand for something else. */
    void bundle(Corpus corpus) {
        jdbc.sql("""
                insert into corpus as c (name, path, kind, source, description, bytes, documents, sha256, created_at)
                values (:name, :path, 'demo', 'path', :description, :bytes, :documents, :sha256, :at)
                on conflict (name, project) do update set path = excluded.path, description = excluded.description, bytes = excluded.bytes,
                  documents = excluded.documents, sha256 = excluded.sha256, created_at = excluded.created_at
                where c.kind = 'demo' and (c.path <> excluded.path or c.sha256 is distinct from excluded.sha256)""")
                .param("name", corpus.name()).param("path", corpus.path()).param("description", corpus.description())
                .param("bytes", corpus.bytes()).param("documents", corpus.documents()).param("sha256", corpus.sha256())
                .param("at", Timestamp.from(corpus.createdAt())).update();
    }

    /** Since when this database is. */
    Instant since() {
        return jdbc.sql("select since from installation").query(OffsetDateTime.class).single().toInstant();
    }

    /** Keeps what a project means by a name from being deleted until the caller's transaction ends. */
    void hold(String project, String name) {
        jdbc.sql("select 1 from corpus where name = :name and (project = :project or kind = 'demo') for key share")
                .param("name", name).param("project", project).query((_, _) -> 1).list();
    }

    /** Waits for whoever holds it. */
    void lock(Corpus corpus) {
        jdbc.sql("select 1 from corpus where id = :id for update").param("id", UUID.fromString(corpus.id())).query((_, _) -> 1).list();
    }

    void delete(Corpus corpus) {
        jdbc.sql("delete from corpus where id = :id").param("id", UUID.fromString(corpus.id())).update();
    }

    void counted(Corpus corpus, Corpus.Counted counted) {
        jdbc.sql("""
                insert into corpus_tokens (corpus, tokenizer_sha256, tokens, counted_at)
                select id, :tokenizer, :tokens, :at from corpus where id = :id on conflict do nothing""")
                .param("id", UUID.fromString(corpus.id())).param("tokenizer", counted.tokenizerSha256()).param("tokens", counted.tokens())
                .param("at", Timestamp.from(counted.countedAt())).update();
    }

    private static Corpus row(ResultSet row, int number) throws SQLException {
        Instant at = row.getTimestamp("created_at").toInstant();
        return new Corpus(row.getString("id"), row.getString("name"), row.getString("project"), row.getString("path"),
                Kind.valueOf(row.getString("kind").toUpperCase(java.util.Locale.ROOT)),
                Corpus.Source.valueOf(row.getString("source").toUpperCase(java.util.Locale.ROOT)), row.getString("description"),
                row.getString("field"), row.getObject("bytes", Long.class), row.getObject("documents", Long.class),
                row.getString("sha256"), JSON.readValue(row.getString("mix"), new TypeReference<List<Corpus.Part>>() {
                }),
                JSON.readValue(row.getString("tokens"), new TypeReference<List<Corpus.Counted>>() {
                }), at);
    }
}
