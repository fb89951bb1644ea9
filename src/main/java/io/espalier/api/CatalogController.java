package io.espalier.api;

import java.time.Instant;

import io.espalier.catalog.Kind;
import io.espalier.catalog.Model;
import io.espalier.catalog.Models;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

@RestController
@RequestMapping(path = "/v1", produces = MediaType.APPLICATION_JSON_VALUE)
final class CatalogController {

    private final Models models;

    CatalogController(Models models) {
        this.models = models;
    }

    @GetMapping("/models")
    Page.Whole<Entry> models() {
        return new Page.Whole<>(models.list().stream().map(Entry::of).toList());
    }

    @GetMapping("/models/{name}")
    Entry model(@PathVariable String name) {
        return models.find(name).map(Entry::of).orElseThrow(
                () -> new ProblemException(ProblemCode.MODEL_NOT_FOUND, "no model is registered as " + Given.printable(name)));
    }

    /** What stands behind a name, but for where it lies on our disk. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Entry(String name, Kind kind, String description, Instant createdAt) {

        static Entry of(Model model) {
            return new Entry(model.name(), model.kind(), model.description(), model.createdAt());
        }
    }
}
