package io.espalier.catalog;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

import io.espalier.recipe.Violation;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A text as it comes in: copied, summed and checked at once, with a fixed amount of memory. What passes here a run can read: UTF-8 without NUL, not blank,
 * and as JSON Lines an object with the text on every line that is not blank.
 */
final class TextIntake {

    /**
     * What came in.
     *
     * @param documents lines with a text; 1 for plain text; {@code null} where none was counted
     * @param sha256 64 hex digits
     */
    record Taken(Long bytes, Long documents, String sha256) {}

    /** A document is parsed whole. */
    private static final int LONGEST_LINE = 16 << 20;

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final String at;
    private final String field;
    private final long maxBytes;
    private final CharsetDecoder utf8 = StandardCharsets.UTF_8.newDecoder();
    private final CharBuffer chars = CharBuffer.allocate(1 << 16);
    private final ByteBuffer undecoded = ByteBuffer.allocate((1 << 16) + 8);
    private final ByteArrayOutputStream line = new ByteArrayOutputStream();
    private long decoded;
    private long bytes;
    private long lines;
    private long documents;
    private boolean visible;

    private TextIntake(String at, String field, long maxBytes) {
        this.at = at;
        this.field = field;
        this.maxBytes = maxBytes;
    }

    /**
     * Takes a text in.
     *
     * @param at what a violation is said of
     * @param field of the text in each line of JSON Lines; {@code null} for plain text
     * @throws CorpusException naming the byte or the line, when the text cannot be used or is longer than is allowed
     * @throws IOException of either stream
     */
    static Taken take(InputStream in, OutputStream out, String at, String field, long maxBytes) throws IOException {
        return new TextIntake(at, field, maxBytes).take(in, out);
    }

    private Taken take(InputStream in, OutputStream out) throws IOException {
        MessageDigest sha256 = sha256();
        byte[] buffer = new byte[1 << 16];
        for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
            if (bytes + read > maxBytes) {
                throw new CorpusException(CorpusException.Reason.TOO_LARGE,
                        "the text is longer than " + maxBytes + " bytes (espalier.corpora.max-bytes)");
            }
            decode(buffer, read, false);
            if (field != null) {
                split(buffer, read);
            }
            bytes += read;
            sha256.update(buffer, 0, read);
            out.write(buffer, 0, read);
        }
        decode(buffer, 0, true);
        if (field != null && line.size() > 0) {
            lineEnds();
        }
        if (!visible || field != null && documents == 0) {
            throw refused(bytes == 0 ? "nothing" : bytes + " bytes without a visible character", "a text");
        }
        return new Taken(bytes, field == null ? 1L : documents, HexFormat.of().formatHex(sha256.digest()));
    }

    private void decode(byte[] buffer, int length, boolean end) {
        undecoded.put(buffer, 0, length).flip();
        CoderResult result;
        do {
            int before = undecoded.position();
            result = utf8.decode(undecoded, chars, end);
            decoded += undecoded.position() - before;
            if (result.isError()) {
                throw refused("byte " + decoded + " is not UTF-8", "UTF-8 text");
            }
            look(chars.flip());
            chars.clear();
        } while (result.isOverflow());
        undecoded.compact();
    }

    private void look(CharBuffer text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == 0) {
                String before = text.subSequence(i, text.length()).toString();
                throw refused("byte " + (decoded - before.getBytes(StandardCharsets.UTF_8).length) + " is NUL", "text without NUL");
            }
            visible |= !Character.isWhitespace(c) && c != '\uFEFF';
        }
    }

    private void split(byte[] buffer, int length) {
        int from = 0;
        for (int i = 0; i < length; i++) {
            if (buffer[i] == '\n') {
                line.write(buffer, from, i - from);
                lineEnds();
                from = i + 1;
            }
        }
        line.write(buffer, from, length - from);
        if (line.size() > LONGEST_LINE) {
            throw refused("line " + (lines + 1) + " is longer than " + LONGEST_LINE + " bytes", "a document a line");
        }
    }

    private void lineEnds() {
        lines++;
        String text = line.toString(StandardCharsets.UTF_8);
        line.reset();
        if (lines == 1 && text.startsWith("\uFEFF")) {
            text = text.substring(1);
        }
        if (text.isBlank()) {
            return;
        }
        JsonNode node;
        try {
            node = JSON.readTree(text);
        } catch (JacksonException broken) {
            throw refused("line " + lines + ": " + broken.getOriginalMessage(), "a JSON object with a string '" + field + "'");
        }
        JsonNode document = node.path(field);
        if (!node.isObject() || !document.isString()) {
            String given = !node.isObject()
                    ? String.valueOf(node.getNodeType())
                    : node.has(field) ? document.getNodeType().toString() : "missing";
            throw refused("line " + lines + ": " + (node.isObject() ? "'" + field + "' is " : "") + given,
                    "a JSON object with a string '" + field + "'");
        }
        if (!storable(document.stringValue())) {
            throw refused("line " + lines + ": NUL or half of a surrogate pair", "Unicode text");
        }
        documents++;
    }

    private static boolean storable(String text) {
        return StandardCharsets.UTF_8.newEncoder().canEncode(text) && text.indexOf(0) < 0;
    }

    private CorpusException refused(String given, String expected) {
        return new CorpusException(List.of(new Violation(at, given, expected)));
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }
}
