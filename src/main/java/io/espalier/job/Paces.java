package io.espalier.job;

import java.sql.Types;
import java.util.List;
import java.util.Locale;

import io.espalier.recipe.MethodName;
import io.espalier.recipe.Precision;
import io.espalier.recipe.PruningResult;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;
import tools.jackson.databind.json.JsonMapper;

/** How long a job would take, by the jobs that have succeeded here. */
@Component
public class Paces {

    /** The newest so many jobs are looked at: machines and versions change. */
    private static final int LOOKED_AT = 50;

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final JdbcClient jdbc;

    Paces(JdbcClient jdbc) {
        this.jdbc = jdbc;
    }

    /**
     * Seconds, {@code null} where no job that could tell has succeeded here.
     *
     * @param continueSeconds of decoding continuations; 0 when none are ordered
     * @param totalSeconds of the four; opening, scoring and publishing come on top
     * @param basis {@code same_model}, or {@code other_models}: by the parameters that work for a token
     * @param jobs that were looked at
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Estimate(Double calibrateSeconds, Double cutSeconds, Double checkSeconds, Double continueSeconds,
            Double totalSeconds, String basis, int jobs) {}

    /**
     * What a job would do.
     *
     * @param modelDirectory real path
     * @param activeParameters of the model; {@code null} when not known
     * @param calibrated tokens that are measured; 0 when none is
     * @param checked tokens that pass a model in the check
     * @param decoded tokens that are found behind prompts, by all models
     * @param written bytes of all outputs; {@code null} when not known
     */
    public record Ahead(String modelDirectory, MethodName method, Precision precision, Long activeParameters, long calibrated, long checked,
            long decoded, Long written) {}

    /** @param project only by its jobs; {@code null}: by those of all projects */
    @Transactional(readOnly = true)
    public Estimate estimate(String project, Ahead ahead) {
        // why column by column: an order may hold a text of megabytes
        List<Pace.Done> done = jdbc.sql("""
                select inputs ->> 'model_directory' as model, recipe -> 'method' ->> 'name' as method, recipe ->> 'precision' as precision,
                  coalesce((recipe -> 'evaluation' ->> 'random_control')::boolean, false) as control, phases, result
                from pruning_job where state = 'succeeded' and (:project::text is null or project = :project)
                order by id desc limit :limit""").param("project", project, Types.VARCHAR).param("limit", LOOKED_AT)
                .query((row, number) -> new Pace.Done(row.getString("model"),
                        MethodName.valueOf(row.getString("method").toUpperCase(Locale.ROOT)),
                        Precision.valueOf(row.getString("precision").toUpperCase(Locale.ROOT)), row.getBoolean("control"),
                        JSON.readValue(row.getString("phases"), new TypeReference<List<PhaseTimes>>() {
                        }),
                        JSON.readValue(row.getString("result"), PruningResult.class)))
                .list();
        return new Pace(done).estimate(ahead);
    }
}
