package io.espalier.api;

import java.time.Instant;

import io.espalier.catalog.Corpora;
import io.espalier.catalog.Corpus;
import io.espalier.catalog.Kind;
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

    private final Corpora corpora;

    CatalogController(Corpora corpora) {
        this.corpora = corpora;
    }

    @GetMapping("/corpora")
    Page.Whole<Entry> corpora() {
        return new Page.Whole<>(corpora.list().stream().map(Entry::of).toList());
    }

    @GetMapping("/corpora/{name}")
    Entry corpus(@PathVariable String name) {
        return corpora.find(name).map(Entry::of).orElseThrow(
                () -> new ProblemException(ProblemCode.CORPUS_NOT_FOUND, "no corpus is registered as " + Given.printable(name)));
    }

    /** What stands behind a name, but for where it lies on our disk. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Entry(String name, Kind kind, String description, Instant createdAt) {

        static Entry of(Corpus corpus) {
            return new Entry(corpus.name(), corpus.kind(), corpus.description(), corpus.createdAt());
        }
    }
}
