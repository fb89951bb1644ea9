package io.espalier.catalog;

import java.math.BigDecimal;
import java.time.Instant;
import java.util.List;
import java.util.Locale;

import com.fasterxml.jackson.annotation.JsonValue;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * A text with a name that jobs can use.
 *
 * @param id of the row
 * @param name unique within its project
 * @param project whose it is; a bundled one is everybody's
 * @param path absolute path of the file; {@code null} for a mixture
 * @param source where it came from
 * @param description a sentence for a person
 * @param field that holds the text of each line; {@code null} unless it is JSON Lines
 * @param bytes of the file, of a mixture those of its parts; {@code null} for one of before that was counted
 * @param documents lines with a text, 1 for plain text; {@code null} for token ids, and where it was not counted
 * @param sha256 of the file; of a mixture over parts and weights (64 hex digits); {@code null} where it was not computed
 * @param mix parts of a mixture, in order; empty for others
 * @param tokens as far as they were counted
 * @param createdAt when it was registered, to the microsecond
 */
public record Corpus(String id, String name, String project, String path, Kind kind, Source source, String description, String field,
        Long bytes, Long documents, String sha256, List<Part> mix, List<Counted> tokens, Instant createdAt) {

    /** Where a corpus came from. */
    public enum Source {
        /** A file of somebody else's, which stays where it is. */
        PATH,
        /** A text in the request. */
        TEXT,
        /** A request's whole body. */
        UPLOAD,
        /** An address, fetched once. */
        URL,
        /** Other corpora, by weight. */
        MIX;

        /** As it travels and is stored. */
        @JsonValue
        public String json() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** @param corpus name of the part; @param weight its share, only the ratio counts */
    public record Part(String corpus, BigDecimal weight) {}

    /** @param tokenizerSha256 of {@code tokenizer.json} */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Counted(String tokenizerSha256, long tokens, Instant countedAt) {}

    /** Whether the file is ours to delete. */
    public boolean isCopy() {
        return source == Source.TEXT || source == Source.UPLOAD || source == Source.URL;
    }
}
