package io.espalier.api;

import io.espalier.job.PruningJob;
import io.espalier.webhook.JobDocument;
import org.springframework.stereotype.Component;
import tools.jackson.databind.json.JsonMapper;

/** A job as a webhook is told of it: what a GET of it answers. */
@Component
final class ToldJob implements JobDocument {

    private final JsonMapper json;

    ToldJob(JsonMapper json) {
        this.json = json;
    }

    @Override
    public String of(PruningJob job) {
        return json.writeValueAsString(JobView.of(job));
    }
}
