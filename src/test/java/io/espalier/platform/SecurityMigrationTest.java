package io.espalier.platform;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;

import io.espalier.TestDatabase;
import org.flywaydb.core.Flyway;
import org.junit.jupiter.api.Test;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.DriverManagerDataSource;

/** Rows of before security: every one belongs to a project afterwards, and no job refers to what its project cannot see. */
class SecurityMigrationTest {

    private final DriverManagerDataSource database = new DriverManagerDataSource(TestDatabase.fresh(), "postgres", "postgres");
    private final JdbcClient jdbc = JdbcClient.create(database);

    private void migrate(String version) {
        Flyway.configure().dataSource(database).locations("filesystem:migrations").target(version).load().migrate();
    }

    private void job(int number, String project, String set) {
        jdbc.sql(
                """
                        insert into pruning_job (id, created_at, state, recipe, inputs, attempt, percent, phases, last_event, version, score_set_id,
                            slicing, slices)
                        values (:id, now(), 'queued', jsonb_build_object('project', :project::text), '{}', 0, 0, '[]', 0, 0, :set,
                            jsonb_build_object('fingerprint', repeat('f', 64), 'sequences_per_batch', 1, 'sequence_length', 8, 'slices', '[]'::jsonb,
                                'score_set', :set::text), 0)""")
                .param("id", "job_" + "%026d".formatted(number)).param("project", project).param("set", set).update();
    }

    @Test
    void scoresThatSeveralProjectsUseBecomeASetOfEach() {
        migrate("6");
        jdbc.sql("""
                begin;
                insert into score_set (id, job_id, created_at, sha256, bytes, summary, address, origin)
                  values ('scr_1', null, now(), repeat('a', 64), 3, '{}', repeat('b', 64), '{"model": "m"}');
                insert into score_set_chunk (score_set_id, number, content) values ('scr_1', 0, 'abc');
                commit""").update();
        job(1, "blue", "scr_1");
        job(2, "red", "scr_1");
        job(3, "red", "scr_1");

        migrate("10");

        assertThat(jdbc.sql("select project from score_set order by project").query(String.class).list()).containsExactly("blue", "red");
        assertThat(jdbc.sql("select count(*) from pruning_job j join score_set s on s.id = j.score_set_id and s.project = j.project"
                + " and s.id = j.slicing ->> 'score_set'").query(Integer.class).single()).isEqualTo(3);
        assertThat(jdbc.sql("select convert_from(c.content, 'UTF8') from score_set_chunk c join score_set s on s.id = c.score_set_id")
                .query(String.class).list()).isEqualTo(List.of("abc", "abc"));
        assertThat(jdbc.sql("select id from score_set where project = 'blue'").query(String.class).single()).isEqualTo("scr_1");
    }
}
