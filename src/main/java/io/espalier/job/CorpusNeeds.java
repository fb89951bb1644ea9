package io.espalier.job;

import java.sql.Types;
import java.util.Optional;

import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/** Whether jobs that have not ended need a text. */
@Component
public class CorpusNeeds {

    private final JdbcClient jdbc;

    CorpusNeeds(JdbcClient jdbc) {
        this.jdbc = jdbc;
    }

    /**
     * A job of the corpus' project that has not ended and was ordered on it, or reads its file as part of a mixture. Nobody is told of jobs of another project
     * that happen to read the same file.
     *
     * @param path of its file; {@code null} for a mixture
     */
    @Transactional(readOnly = true)
    public Optional<String> liveJob(String project, String name, String path) {
        return jdbc
                .sql("""
                        select id from pruning_job where state not in ('succeeded', 'failed', 'cancelled') and project = :project and (
                          :name in (recipe -> 'calibration' -> 'corpus' ->> 'name', recipe -> 'evaluation' -> 'corpus' ->> 'name')
                          or :path::text is not null and (jsonb_path_exists(inputs -> 'calibration', '$.**.path ? (@ == $path)', jsonb_build_object('path', :path::text))
                            or jsonb_path_exists(inputs -> 'evaluation', '$.**.path ? (@ == $path)', jsonb_build_object('path', :path::text))))
                        order by id limit 1""")
                .param("project", project).param("name", name).param("path", path, Types.VARCHAR).query(String.class)
                .optional();
    }
}
