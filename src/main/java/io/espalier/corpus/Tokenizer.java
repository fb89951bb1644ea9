package io.espalier.corpus;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Pattern;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Text to token ids and back, by a checkpoint's {@code tokenizer.json}. Nothing is added (no BOS, no EOS), nothing truncated, nothing padded.
 * Safe for use by several threads until it is closed. Needs no network.
 */
public final class Tokenizer implements AutoCloseable {

    static {
        // why: DJL otherwise asks a metadata service and a usage counter over the network when it starts
        System.setProperty("ai.djl.offline", "true");
        System.setProperty("OPT_OUT_TRACKING", "true");
    }

    public static final String FILE = "tokenizer.json";

    /** Tokenizers of other formats. */
    private static final List<String> OTHER_FILES = List.of("tokenizer.model", "spiece.model", "vocab.json", "merges.txt", "vocab.txt");

    /** A line feed and the letter or digit behind it in one token, or a part of such a letter. */
    private static final Pattern ACROSS_LINES = Pattern.compile("\n[\\p{L}\\p{N}\uFFFD]");

    /** Characters that are encoded at once: an encoding takes about a hundred bytes of native memory a character. */
    static final int PIECE = 1 << 20;

    /** Characters that a tokenizer which has to see a text whole is given at most; and of a text in pieces, those of a piece. */
    static final int MAX_WHOLE = 32 << 20;

    private final HuggingFaceTokenizer tokenizer;
    private final String digest;
    private final boolean splitsAtLines;

    private Tokenizer(HuggingFaceTokenizer tokenizer, byte[] file) {
        this.tokenizer = tokenizer;
        this.digest = sha256(file);
        this.splitsAtLines = splitsAtLines(JsonMapper.shared().readTree(file));
    }

    /**
     * Reads {@code tokenizer.json} in a checkpoint's directory.
     *
     * @throws PruningException {@code MALFORMED_CHECKPOINT} when it is missing or no tokenizer
     */
    public static Tokenizer open(Path checkpointDirectory) {
        Path file = checkpointDirectory.resolve(FILE);
        if (!Files.isRegularFile(file)) {
            throw missing(checkpointDirectory);
        }
        try {
            byte[] content = Files.readAllBytes(file);
            // why: without these the default truncates to 512 tokens, silently
            return new Tokenizer(HuggingFaceTokenizer.builder().optTokenizerPath(file).optAddSpecialTokens(false).optTruncation(false)
                    .optPadding(false).build(), content);
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        } catch (RuntimeException broken) {
            throw new PruningException(ErrorCode.MALFORMED_CHECKPOINT,
                    FILE + ": " + broken.getMessage() + " (expected: a tokenizer that Hugging Face tokenizers read)", broken);
        }
    }

    /** What older checkpoints have in its place is not read, but can be turned into it. */
    private static PruningException missing(Path directory) {
        List<String> others = OTHER_FILES.stream().filter(name -> Files.isRegularFile(directory.resolve(name))).toList();
        String made = others.isEmpty()
                ? ""
                : "; AutoTokenizer.from_pretrained(...).save_pretrained(...) of transformers makes it from these, and a corpus of token ids"
                        + " in a .safetensors file needs none";
        return new PruningException(ErrorCode.MALFORMED_CHECKPOINT,
                directory.getFileName() + ": no " + FILE + (others.isEmpty() ? "" : ", only " + String.join(" and ", others))
                        + " (expected: the file that Hugging Face tokenizers save" + made + ")");
    }

    /**
     * Token ids of a text that has no unpaired surrogate.
     *
     * @throws PruningException {@code MALFORMED_CORPUS} when the text is too long for a tokenizer that cannot read it in pieces
     */
    public int[] encode(String text) {
        return encode(text, PIECE);
    }

    /**
     * A long text is encoded in pieces, cut behind a single line feed between a visible character and a letter or digit. Byte-level tokenizers split
     * there anyway: their patterns take a line feed to the characters before it or alone, never to the letter behind it, so pieces give the same ids.
     * Others see the text whole: SentencePiece dialects, which prepend a mark to the text, and those that have a token across such a place.
     */
    int[] encode(String text, int piece) {
        if (!splitsAtLines && text.length() > MAX_WHOLE) {
            throw new PruningException(ErrorCode.MALFORMED_CORPUS,
                    "corpus: " + text.length() + " characters (expected: at most " + MAX_WHOLE
                            + ", because this model's tokenizer has to see the text whole)");
        }
        int[] ids = new int[Math.min(1 << 20, text.length()) + 16];
        int count = 0;
        for (int from = 0; from < text.length();) {
            int to = splitsAtLines ? pieceEnd(text, from, piece) : text.length();
            if (to - from > MAX_WHOLE) {
                throw new PruningException(ErrorCode.MALFORMED_CORPUS, "corpus: " + (to - from) + " characters from character " + from
                        + " on without a line that begins with a letter or digit after a single line feed (expected: at most " + MAX_WHOLE
                        + "; lines that end in CR and LF do not count)");
            }
            long[] encoded = tokenizer.encode(text.substring(from, to), false, false).getIds();
            if (count + encoded.length > ids.length) {
                ids = Arrays.copyOf(ids, Math.max(count + encoded.length, ids.length + ids.length / 2));
            }
            for (long id : encoded) {
                ids[count++] = Math.toIntExact(id);
            }
            from = to;
        }
        return Arrays.copyOf(ids, count);
    }

    private static boolean splitsAtLines(JsonNode file) {
        String splitter = file.path("pre_tokenizer").toString();
        String normalizer = file.path("normalizer").toString();
        return splitter.contains("\"ByteLevel\"") && !splitter.contains("\"add_prefix_space\":true")
                && !normalizer.contains("\"Prepend\"") && !normalizer.contains("\"Strip\"")
                && file.path("model").path("vocab").propertyStream().noneMatch(token -> ACROSS_LINES.matcher(bytes(token.getKey())).find());
    }

    /** What a byte-level token stands for: visible characters are themselves, the other bytes have the characters from 256 on, in order. */
    private static String bytes(String token) {
        byte[] bytes = new byte[token.length()];
        for (int i = 0; i < bytes.length; i++) {
            int c = token.charAt(i);
            bytes[i] = (byte) (c < 0x100 ? c : c < 0x121 ? c - 0x100 : c < 0x143 ? c - 0x121 + 0x7f : 0xad);
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static int pieceEnd(String text, int from, int piece) {
        for (int at = from + piece; at < text.length() - 1; at++) {
            if (text.charAt(at) == '\n' && !Character.isWhitespace(text.charAt(at - 1)) && Character.isLetterOrDigit(text.charAt(at + 1))) {
                return at + 1;
            }
        }
        return text.length();
    }

    /** The text of token ids, special tokens included. */
    public String decode(int... ids) {
        return tokenizer.decode(Arrays.stream(ids).asLongStream().toArray(), false);
    }

    /** SHA-256, hexadecimal, of {@code tokenizer.json}. */
    public String digest() {
        return digest;
    }

    private static String sha256(byte[] content) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
        } catch (NoSuchAlgorithmException everyJdkHasIt) {
            throw new IllegalStateException(everyJdkHasIt);
        }
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
