package io.espalier.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

import tools.jackson.core.JacksonException;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.core.json.JsonWriteFeature;
import tools.jackson.core.util.DefaultIndenter;
import tools.jackson.core.util.DefaultPrettyPrinter;
import tools.jackson.core.util.Separators;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectWriter;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * One JSON object in a file, in the manner of Hugging Face: keys keep their order, two spaces, a line end at the end. {@code NaN} and
 * {@code Infinity} are read and written bare, as Python does.
 */
public final class JsonFile {

    /** Longest file that is read, in bytes: an index of a million tensors fits. */
    static final long MAX_BYTES = 256L << 20;

    /** Longest {@code config.json}, in bytes: those of published models have some kilobytes. */
    static final long MAX_CONFIG_BYTES = 16L << 20;

    private static final JsonMapper JSON = JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS).build();

    private static final ObjectWriter PRETTY = JSON.writer().with(new DefaultPrettyPrinter(
            Separators.createDefaultInstance().withObjectNameValueSpacing(Separators.Spacing.AFTER).withObjectEmptySeparator("")
                    .withArrayEmptySeparator(""))
            .withObjectIndenter(new DefaultIndenter("  ", "\n")).withArrayIndenter(new DefaultIndenter("  ", "\n")));

    private JsonFile() {}

    /**
     * @throws MalformedCheckpointException when the file is too long, or not a JSON object
     * @throws UncheckedIOException when it cannot be read
     */
    public static ObjectNode read(Path file) {
        return read(file, MalformedCheckpointException.Fault.CONFIG_NOT_AN_OBJECT);
    }

    static ObjectNode read(Path file, MalformedCheckpointException.Fault notAnObject) {
        return read(file, notAnObject, MAX_BYTES);
    }

    static ObjectNode read(Path file, MalformedCheckpointException.Fault notAnObject, long maxBytes) {
        try {
            long size = Files.size(file);
            if (size > maxBytes) {
                throw MalformedCheckpointException.of(MalformedCheckpointException.Fault.JSON_TOO_LONG, file, "bytes", size,
                        "at most " + maxBytes);
            }
            JsonNode root = JSON.readTree(Files.readAllBytes(file));
            if (root instanceof ObjectNode object) {
                return object;
            }
            throw MalformedCheckpointException.of(notAnObject, file, "content", root.getNodeType(), "a JSON object");
        } catch (JacksonException broken) {
            throw MalformedCheckpointException.of(notAnObject, file, "content", broken.getOriginalMessage(), "a JSON object");
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    /** Writes the same bytes for the same object, whatever the machine. */
    public static void write(Path file, ObjectNode object) {
        try {
            Files.write(file, (text(object) + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    static String text(ObjectNode object) {
        return PRETTY.writeValueAsString(object);
    }
}
