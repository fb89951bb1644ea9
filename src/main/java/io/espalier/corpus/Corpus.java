package io.espalier.corpus;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.MalformedCheckpointException;
import io.espalier.checkpoint.SafetensorsFile;
import io.espalier.checkpoint.Tensor;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A text, wherever it stands, and the token windows it gives. */
public final class Corpus {

    /** Longest text file that is read, in bytes: 512 MiB. */
    public static final long MAX_BYTES = 512L << 20;

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private Corpus() {}

    /** Windows, and how many tokens the text has that they were taken from. */
    public record Read(TokenWindows windows, long tokens) {}

    /**
     * The windows of the corpus that {@code ref} holds by path or text; a name is resolved before. A {@code .safetensors} file holds ready ids, of
     * which the first windows are taken in the file's order; anything else is tokenised in one piece. Of a mixture every part gives its share, see
     * {@link Mixture}.
     *
     * @param vocabSize of the model; every id is below it
     * @throws PruningException {@code INVALID_RECIPE}, {@code MALFORMED_CORPUS} or {@code TOO_FEW_TOKENS}
     */
    public static TokenWindows windows(CorpusRef ref, Tokenizer tokenizer, Windowing windowing, int vocabSize) {
        return read(ref, tokenizer, windowing, vocabSize).windows();
    }

    /** The same, and the tokens that were there. */
    public static Read read(CorpusRef ref, Tokenizer tokenizer, Windowing windowing, int vocabSize) {
        if (ref.mix() != null) {
            int[] shares = Mixture.shares(ref.mix(), windowing.windows());
            List<Read> parts = new ArrayList<>();
            for (int i = 0; i < shares.length; i++) {
                parts.add(read(ref.mix().get(i).corpus(), tokenizer, windowing.with(shares[i]), vocabSize));
            }
            return new Read(Mixture.interleaved(parts.stream().map(Read::windows).toList(), windowing.seed()),
                    parts.stream().mapToLong(Read::tokens).sum());
        }
        Read read;
        if (ref.isReady()) {
            read = ready(Path.of(ref.path()), windowing);
        } else {
            int[] stream = tokenizer.encode(text(ref));
            read = new Read(windowing.of(stream), stream.length);
        }
        int[][] ids = read.windows().ids();
        for (int i = 0; i < ids.length; i++) {
            for (int j = 0; j < ids[i].length; j++) {
                if (ids[i][j] < 0 || ids[i][j] >= vocabSize) {
                    throw malformed(where(ref) + ": window " + i + ", position " + j + ": token id " + ids[i][j],
                            "0 to " + (vocabSize - 1) + ", the model's vocabulary");
                }
            }
        }
        return read;
    }

    /**
     * How many tokens the corpus has, read to its end.
     *
     * @param tokenizer may be {@code null} where {@link CorpusRef#isReady}
     */
    public static long tokens(CorpusRef ref, Tokenizer tokenizer) {
        return ref.leaves().mapToLong(leaf -> {
            if (!leaf.isReady()) {
                return tokenizer.encode(text(leaf)).length;
            }
            try (SafetensorsFile ids = SafetensorsFile.open(Path.of(leaf.path()))) {
                return onlyTensor(Path.of(leaf.path()), ids).elements();
            } catch (MalformedCheckpointException broken) {
                throw new PruningException(ErrorCode.MALFORMED_CORPUS, broken.getMessage(), broken);
            }
        }).sum();
    }

    /** Bytes of the longest of its texts: what has to be read at once. */
    public static long longest(CorpusRef ref) {
        return ref.leaves().filter(leaf -> !leaf.isReady())
                .mapToLong(leaf -> leaf.path() != null
                        ? Path.of(leaf.path()).toFile().length()
                        : leaf.text() == null ? 0 : leaf.text().length())
                .max().orElse(0);
    }

    /**
     * How many tokens a part at the beginning of a single text has: whole lines within so many bytes.
     *
     * @throws PruningException as {@link #text}
     */
    public static long tokensOfBeginning(CorpusRef ref, Tokenizer tokenizer, int bytes) {
        if (ref.path() == null) {
            String text = ref.text();
            int end = Math.min(text.length(), bytes);
            return tokenizer.encode(whole(text.substring(0, Character.isHighSurrogate(text.charAt(end - 1)) ? end - 1 : end))).length;
        }
        Path file = Path.of(ref.path());
        try (InputStream in = Files.newInputStream(file)) {
            byte[] beginning = in.readNBytes(bytes);
            int end = beginning.length;
            while (end > 0 && beginning[end - 1] != '\n') {
                end--;
            }
            String text = decode(file, Channels.newChannel(new ByteArrayInputStream(beginning, 0, end)), end);
            return tokenizer.encode(
                    ref.path().endsWith(".jsonl") ? documents(file, text, ref.field() == null ? "text" : ref.field()) : text).length;
        } catch (IOException cause) {
            throw new PruningException(ErrorCode.IO_ERROR,
                    file.getFileName() + ": " + cause.getMessage() + " (expected: a readable text file)", cause);
        }
    }

    /**
     * The whole text of a corpus given by path or text: a {@code .jsonl} file's documents joined by blank lines, any other file as it stands.
     *
     * @throws PruningException {@code INVALID_RECIPE} or {@code MALFORMED_CORPUS}
     */
    public static String text(CorpusRef ref) {
        if (ref.text() != null) {
            return whole(ref.text());
        }
        if (ref.path() == null) {
            throw new PruningException(ErrorCode.INVALID_RECIPE,
                    "corpus: neither path nor text (expected: a name is resolved to one of them)");
        }
        Path file = Path.of(ref.path());
        String text = read(file);
        return ref.path().endsWith(".jsonl") ? documents(file, text, ref.field() == null ? "text" : ref.field()) : text;
    }

    private static String where(CorpusRef ref) {
        return ref.path() == null ? "corpus text" : Path.of(ref.path()).getFileName().toString();
    }

    private static PruningException malformed(String given, String expected) {
        return new PruningException(ErrorCode.MALFORMED_CORPUS, given + " (expected: " + expected + ")");
    }

    /** JSON can spell half a character; no tokenizer can read one. */
    private static String whole(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (Character.isHighSurrogate(text.charAt(i)) && i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))) {
                i++;
            } else if (Character.isSurrogate(text.charAt(i))) {
                throw malformed("corpus text: an unpaired surrogate at character " + i, "whole Unicode characters");
            }
        }
        return text;
    }

    private static String read(Path file) {
        if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
            throw new PruningException(ErrorCode.INVALID_RECIPE,
                    file.getFileName() + ": " + (Files.exists(file) ? "cannot be read" : "missing") + " (expected: a readable text file)");
        }
        try (FileChannel channel = FileChannel.open(file)) {
            if (channel.size() > MAX_BYTES) {
                throw malformed(file.getFileName() + ": " + channel.size() + " bytes", "a text file of at most " + MAX_BYTES);
            }
            return decode(file, channel, channel.size());
        } catch (IOException cause) {
            throw new PruningException(ErrorCode.IO_ERROR,
                    file.getFileName() + ": " + cause.getMessage() + " (expected: a readable text file)",
                    cause);
        }
    }

    private static String decode(Path file, ReadableByteChannel channel, long size) throws IOException {
        CharsetDecoder utf8 = StandardCharsets.UTF_8.newDecoder();
        ByteBuffer bytes = ByteBuffer.allocate(1 << 16);
        CharBuffer chars = CharBuffer.allocate(1 << 16);
        StringBuilder text = new StringBuilder((int) size);
        long before = 0;
        boolean end = false;
        while (!end) {
            end = channel.read(bytes) < 0;
            bytes.flip();
            CoderResult result = utf8.decode(bytes, chars, end);
            before += bytes.position();
            if (result.isError()) {
                throw malformed(file.getFileName() + ": byte " + before + " is not UTF-8", "UTF-8 text");
            }
            text.append(chars.flip());
            chars.clear();
            bytes.compact();
        }
        // why: a byte order mark says how the file is written, it is not text
        return text.isEmpty() || text.charAt(0) != '\uFEFF' ? text.toString() : text.substring(1);
    }

    private static String documents(Path file, String text, String field) {
        StringBuilder documents = new StringBuilder(text.length());
        int number = 0;
        for (String line : (Iterable<String>) text.lines()::iterator) {
            number++;
            if (!line.isBlank()) {
                String document = document(file.getFileName() + ": line " + number, line, field);
                documents.append(documents.isEmpty() ? "" : "\n\n").append(whole(document));
            }
        }
        return documents.toString();
    }

    private static String document(String where, String line, String field) {
        JsonNode node;
        try {
            node = JSON.readTree(line);
        } catch (JacksonException broken) {
            throw malformed(where + ": " + broken.getOriginalMessage(), "a JSON object with a string '" + field + "'");
        }
        if (!node.isObject() || !node.path(field).isString()) {
            String given = node.isObject()
                    ? (node.has(field) ? "'" + field + "' is " + node.get(field).getNodeType() : "no '" + field + "'")
                    : node.getNodeType().toString();
            throw malformed(where + ": " + given, "a JSON object with a string '" + field + "'");
        }
        return node.get(field).stringValue();
    }

    private static Read ready(Path file, Windowing windowing) {
        if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
            throw new PruningException(ErrorCode.INVALID_RECIPE,
                    file.getFileName() + ": " + (Files.exists(file) ? "cannot be read" : "missing")
                            + " (expected: a readable safetensors file)");
        }
        try (SafetensorsFile ids = SafetensorsFile.open(file)) {
            Tensor tensor = onlyTensor(file, ids);
            if (tensor.dim(1) != windowing.length()) {
                throw malformed(file.getFileName() + ": windows of " + tensor.dim(1) + " tokens",
                        windowing.length() + ", the sequence length asked for");
            }
            if (tensor.dim(0) < windowing.windows()) {
                throw new PruningException(ErrorCode.TOO_FEW_TOKENS,
                        file.getFileName() + ": " + tensor.elements() + " tokens, " + tensor.dim(0)
                                + " windows (expected: at least " + windowing.windows() + " windows)");
            }
            return new Read(rows(file.getFileName().toString(), ids.longs(tensor.name()), windowing), tensor.elements());
        } catch (MalformedCheckpointException broken) {
            throw new PruningException(ErrorCode.MALFORMED_CORPUS, broken.getMessage(), broken);
        }
    }

    private static Tensor onlyTensor(Path file, SafetensorsFile ids) {
        Tensor tensor = ids.tensors().size() == 1 ? ids.tensors().firstEntry().getValue() : null;
        if (tensor == null || tensor.rank() != 2 || !integer(tensor.dtype())) {
            throw malformed(file.getFileName() + ": tensors "
                    + ids.tensors().values().stream().map(t -> "'" + t.name() + "' " + t.dtype() + " " + t.shape()).toList(),
                    "one integer tensor [windows, length]");
        }
        return tensor;
    }

    private static TokenWindows rows(String where, long[] ids, Windowing windowing) {
        int[][] rows = new int[windowing.windows()][windowing.length()];
        for (int i = 0; i < rows.length; i++) {
            for (int j = 0; j < rows[i].length; j++) {
                long id = ids[i * windowing.length() + j];
                if (id != (int) id) {
                    throw malformed(where + ": window " + i + ", position " + j + ": token id " + Long.toUnsignedString(id),
                            "an id of the model's vocabulary");
                }
                rows[i][j] = (int) id;
            }
        }
        return new TokenWindows(rows);
    }

    private static boolean integer(DType dtype) {
        return Arrays.asList(DType.I64, DType.I32, DType.I16, DType.I8, DType.U64, DType.U32, DType.U16, DType.U8).contains(dtype);
    }
}
