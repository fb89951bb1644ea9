package io.espalier.api;

import java.time.Instant;
import java.util.List;

import io.espalier.catalog.Corpus;
import io.espalier.catalog.Kind;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/** A corpus, but for where it lies on our disk. */
@JsonNaming(SnakeCaseStrategy.class)
record CorpusView(String name, String project, Kind kind, Corpus.Source source, String description, String field, Long bytes,
        Long documents,
        String sha256, List<Corpus.Part> mix, List<Corpus.Counted> tokens, Instant createdAt) {

    /** @param caller who does not see which tokenizers others counted a bundled corpus by, unless he sees every project */
    static CorpusView of(Corpus corpus, Caller caller) {
        boolean everybodys = corpus.kind() == Kind.DEMO && !caller.seesAll();
        return new CorpusView(corpus.name(), corpus.project(), corpus.kind(), corpus.source(), corpus.description(), corpus.field(),
                corpus.bytes(), corpus.documents(), corpus.sha256(), corpus.mix(), everybodys ? List.of() : corpus.tokens(),
                corpus.createdAt());
    }

    /**
     * Tokens by one tokenizer.
     *
     * @param model as asked
     * @param tokens {@code null} when they are not known here
     * @param why they are not
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Tokens(String corpus, String model, String tokenizerSha256, Long tokens, Instant countedAt, String why) {}
}
