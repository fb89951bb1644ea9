package io.espalier.catalog;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.time.Clock;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Predicate;

import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/** All models that have a name. A name is a project's; those of bundled models are everybody's. */
@Component
@Transactional
public class Models {

    private static final JsonMapper JSON = JsonMapper.builder().build();
    private static final String LEASE = "interval '20 seconds'";
    private static final String MINE = " where id = :id and lease = :lease";

    private final JdbcClient jdbc;
    private final Clock clock;

    Models(JdbcClient jdbc, Clock clock) {
        this.jdbc = jdbc;
        this.clock = clock;
    }

    /** What a project means by a name: its own model, or a bundled one. */
    @Transactional(readOnly = true)
    public Optional<Model> find(String project, String name) {
        return jdbc.sql("select * from model where name = :name and (project = :project or kind = 'demo') order by kind = 'demo' limit 1")
                .param("name", name).param("project", project).query(Models::row).optional();
    }

    @Transactional(readOnly = true)
    Optional<Model> find(UUID id) {
        return jdbc.sql("select * from model where id = :id").param("id", id).query(Models::row).optional();
    }

    /** Keeps what a project means by a name from being removed until the caller's transaction ends. */
    void hold(String project, String name) {
        jdbc.sql("select 1 from model where name = :name and (project = :project or kind = 'demo') for key share")
                .param("name", name).param("project", project).query((_, _) -> 1).list();
    }

    /** The place of a model in the list. */
    public record Place(String name, String project) {}

    /**
     * Models by name, and by project where several have one of that name.
     *
     * @param project only its own and the bundled ones; {@code null}: of all projects
     * @param after only those behind this one; {@code null}: from the first
     * @param limit at most so many
     */
    @Transactional(readOnly = true)
    public List<Model> list(String project, Place after, int limit) {
        return jdbc.sql("""
                select * from model where (:project::text is null or project = :project or kind = 'demo')
                  and (:name::text is null or (name, project) > (:name, :after)) order by name, project limit :limit""")
                .param("project", project, Types.VARCHAR).param("name", after == null ? null : after.name(), Types.VARCHAR)
                .param("after", after == null ? null : after.project(), Types.VARCHAR).param("limit", limit).query(Models::row).list();
    }

    /** Registers a name. @return whether it was free: of two that want it at once one gets it */
    boolean add(Model model) {
        return jdbc
                .sql("""
                        insert into model (id, project, name, path, kind, description, created_at, state, source, bytes_total, bytes_done, inspection,
                          files)
                        select :id, :project, :name, :path, :kind, :description, :created, :state, :source::jsonb, :total, :done, :inspection::jsonb,
                          :files::jsonb
                        where not exists (select 1 from model where name = :name and kind = 'demo') on conflict do nothing""")
                .param("id", model.id()).param("project", model.project()).param("name", model.name()).param("path", model.path())
                .param("kind", model.kind().json()).param("description", model.description())
                .param("created", java.sql.Timestamp.from(clock.instant().truncatedTo(ChronoUnit.MICROS)))
                .param("state", model.state().json()).param("source", json(model.source()), Types.VARCHAR)
                .param("total", model.bytesTotal(), Types.BIGINT).param("done", model.bytesDone())
                .param("inspection", json(model.inspection()), Types.VARCHAR).param("files", json(model.files())).update() == 1;
    }

    /** Registers a bundled model, or lets its name stand for something else. */
    void bundle(String project, String name, String path, String description, Inspection inspection, List<ModelFile> files) {
        long bytes = files.stream().mapToLong(ModelFile::bytes).sum();
        jdbc.sql(
                """
                        insert into model (project, name, path, kind, description, created_at, inspection, files, bytes_total, bytes_done, summed)
                        values (:project, :name, :path, 'demo', :description, :created, :inspection::jsonb, :files::jsonb, :bytes, :bytes, true)
                        on conflict (name, project) do update set path = excluded.path, kind = 'demo', description = excluded.description,
                          created_at = excluded.created_at, inspection = excluded.inspection, files = excluded.files, state = 'ready', source = null,
                          bytes_total = excluded.bytes_total, bytes_done = excluded.bytes_done, summed = true, reason = null
                        where (model.path, model.kind) is distinct from (excluded.path, 'demo') or model.inspection is distinct from excluded.inspection
                          or model.files is distinct from excluded.files""")
                .param("project", project).param("name", name).param("path", path).param("description", description)
                .param("created", java.sql.Timestamp.from(clock.instant().truncatedTo(ChronoUnit.MICROS)))
                .param("inspection", json(inspection)).param("files", json(files)).param("bytes", bytes).update();
    }

    /**
     * Moves a model that nobody works at.
     *
     * @return whether it was in that state
     */
    boolean move(UUID id, ModelState from, ModelState to) {
        return jdbc.sql("update model set state = :to, reason = null where id = :id and state = :from and lease is null")
                .param("id", id).param("from", from.json()).param("to", to.json()).update() == 1;
    }

    /**
     * Takes the next model that there is something to do for, which nobody else works at.
     *
     * @return empty when there is none
     */
    Optional<Model> claim(UUID lease) {
        return jdbc.sql("update model set lease = :lease, lease_until = clock_timestamp() + " + LEASE + """
                where id = (select id from model
                  where (state in ('verifying', 'fetching') or state = 'ready' and not summed)
                    and (lease_until is null or lease_until < clock_timestamp())
                  order by state = 'ready', created_at limit 1 for update skip locked) returning *""")
                .param("lease", lease).query(Models::row).optional();
    }

    /** Says that work goes on, and how far it is. @return whether the lease is still good */
    boolean renew(UUID id, UUID lease, long bytesDone, Long bytesTotal) {
        return jdbc.sql("update model set lease_until = clock_timestamp() + " + LEASE
                + ", bytes_done = case when state = 'ready' then bytes_done else :done end, bytes_total = coalesce(:total, bytes_total)"
                + MINE)
                .param("done", bytesDone).param("total", bytesTotal, Types.BIGINT).param("id", id).param("lease", lease).update() == 1;
    }

    /** Gives a model back as it stands, to be taken again at once. */
    void release(UUID id, UUID lease) {
        jdbc.sql("update model set lease = null, lease_until = null" + MINE).param("id", id).param("lease", lease).update();
    }

    /** The files are where {@link Model#path} says. */
    void ready(UUID id, UUID lease, Inspection inspection, List<ModelFile> files, String revision) {
        long bytes = files.stream().mapToLong(ModelFile::bytes).sum();
        jdbc.sql(
                """
                        update model set state = 'ready', reason = null, inspection = :inspection::jsonb, files = :files::jsonb, revision = :revision,
                          bytes_total = :bytes, bytes_done = :bytes, summed = true, lease = null, lease_until = null"""
                        + MINE)
                .param("inspection", json(inspection)).param("files", json(files)).param("revision", revision, Types.VARCHAR)
                .param("bytes", bytes).param("id", id).param("lease", lease).update();
    }

    /** The sums of a registered model's files are known, or never will be. */
    void summed(UUID id, UUID lease, List<ModelFile> files) {
        jdbc.sql("update model set files = :files::jsonb, summed = true, lease = null, lease_until = null" + MINE)
                .param("files", json(files)).param("id", id).param("lease", lease).update();
    }

    /** @param state {@link ModelState#FAILED}, or {@link ModelState#UPLOADING} when something is to be sent again */
    void stop(UUID id, UUID lease, ModelState state, String reason, long bytesDone) {
        jdbc.sql("update model set state = :state, reason = :reason, bytes_done = :done, lease = null, lease_until = null" + MINE)
                .param("state", state.json()).param("reason", reason).param("done", bytesDone).param("id", id).param("lease", lease)
                .update();
    }

    /**
     * Forgets a model.
     *
     * @param needed whether somebody needs the directory at a path; asked while the row is held
     * @return whether it is gone: {@code false} when it is needed
     */
    boolean remove(UUID id, Predicate<String> needed) {
        Optional<Model> held = jdbc.sql("select * from model where id = :id for update").param("id", id).query(Models::row).optional();
        if (held.isPresent() && needed.test(held.get().path())) {
            return false;
        }
        jdbc.sql("delete from model where id = :id").param("id", id).update();
        return true;
    }

    private static String json(Object value) {
        return value == null ? null : JSON.writeValueAsString(value);
    }

    private static Model row(ResultSet row, int number) throws SQLException {
        String source = row.getString("source");
        String inspection = row.getString("inspection");
        long total = row.getLong("bytes_total");
        return new Model(row.getObject("id", UUID.class), row.getString("project"), row.getString("name"), row.getString("path"),
                Kind.of(row.getString("kind")), row.getString("description"), row.getTimestamp("created_at").toInstant(),
                ModelState.valueOf(row.getString("state").toUpperCase(java.util.Locale.ROOT)),
                source == null ? null : JSON.readValue(source, ModelSource.class), row.getString("reason"),
                row.getObject("bytes_total") == null ? null : total, row.getLong("bytes_done"), row.getString("revision"),
                inspection == null ? null : JSON.readValue(inspection, Inspection.class),
                JSON.readValue(row.getString("files"), new TypeReference<List<ModelFile>>() {
                }));
    }
}
