package io.espalier.catalog;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

import io.espalier.checkpoint.Checkpoint;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.json.JsonMapper;

/**
 * A checkpoint's tokenizer.
 *
 * @param file that it is in
 * @param type {@code bpe}, {@code unigram}, {@code wordpiece}, {@code sentencepiece}; {@code unknown} where the file does not say
 */
public record TokenizerKind(String file, String type) {

    /** The one that this service reads texts with. */
    private static final String FAST = "tokenizer.json";
    private static final String SENTENCEPIECE = "tokenizer.model";
    private static final String VOCABULARY = "vocab.json";
    private static final JsonMapper JSON = JsonMapper.builder().build();

    /** The first that is known; {@code null} when there is none. */
    static TokenizerKind of(Checkpoint checkpoint) {
        Path directory = checkpoint.directory();
        if (Files.isRegularFile(directory.resolve(FAST))) {
            return new TokenizerKind(FAST, type(directory.resolve(FAST)));
        }
        if (Files.isRegularFile(directory.resolve(SENTENCEPIECE))) {
            return new TokenizerKind(SENTENCEPIECE, "sentencepiece");
        }
        return Files.isRegularFile(directory.resolve(VOCABULARY)) ? new TokenizerKind(VOCABULARY, "bpe") : null;
    }

    /** {@code model.type}; the rest of the file, megabytes of vocabulary, is skipped. */
    private static String type(Path file) {
        try (JsonParser parser = JSON.createParser(file)) {
            return parser.nextToken() == JsonToken.START_OBJECT && enter(parser, "model") && parser.nextToken() == JsonToken.START_OBJECT
                    && enter(parser, "type") && parser.nextToken() == JsonToken.VALUE_STRING
                            ? known(parser.getString())
                            : "unknown";
        } catch (JacksonException broken) {
            return "unknown";
        }
    }

    /** Goes on to a field of the object it stands in. */
    private static boolean enter(JsonParser parser, String field) {
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            if (name.equals(field)) {
                return true;
            }
            parser.nextToken();
            parser.skipChildren();
        }
        return false;
    }

    private static String known(String type) {
        return type.matches("[A-Za-z]{1,20}") ? type.toLowerCase(Locale.ROOT) : "unknown";
    }
}
