package io.espalier.api;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.espalier.catalog.Inspection;
import io.espalier.catalog.Kind;
import io.espalier.catalog.Model;
import io.espalier.catalog.ModelFile;
import io.espalier.catalog.ModelSource;
import io.espalier.catalog.ModelState;
import org.springframework.web.util.UriUtils;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * A model as a client sees it: all but where it lies on our disk.
 *
 * @param files absent in a list
 */
@JsonNaming(SnakeCaseStrategy.class)
record ModelView(String name, String project, Kind kind, String description, Instant createdAt, ModelState state, String reason,
        ModelSource source, String revision, Long bytesTotal, long bytesDone, Inspection inspection,
        @JsonInclude(JsonInclude.Include.NON_NULL) List<ModelFile> files) {

    static ModelView of(Model model) {
        return view(model, model.files());
    }

    static ModelView listed(Model model) {
        return view(model, null);
    }

    private static ModelView view(Model model, List<ModelFile> files) {
        return new ModelView(model.name(), model.project(), model.kind(), model.description(), model.createdAt(), model.state(),
                model.reason(), model.source(), model.revision(), model.bytesTotal(), model.bytesDone(), model.inspection(), files);
    }

    static String href(Model model) {
        return ModelController.PATH + "/" + UriUtils.encodePathSegment(model.name(), StandardCharsets.UTF_8);
    }
}
