package io.espalier.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CorpusTest {

    private static final Path MODEL = Path.of("src/main/resources/demo/tiny-qwen2moe");

    @TempDir
    private Path directory;

    private CorpusRef file(String name, String content) throws IOException {
        return CorpusRef.at(Files.writeString(directory.resolve(name), content).toString());
    }

    private CorpusRef ids(DType dtype, List<Long> shape, long... values) {
        Path file = directory.resolve("ids.safetensors");
        try (var writer = SafetensorsWriter.create(file, List.of(new SafetensorsWriter.Declared("ids", dtype, shape)), Map.of())) {
            writer.begin("ids").longs(values).finish();
        }
        return CorpusRef.at(file.toString());
    }

    private static TokenWindows windows(CorpusRef ref, Windowing windowing, int vocabSize) {
        try (Tokenizer tokenizer = Tokenizer.open(MODEL)) {
            return Corpus.windows(ref, tokenizer, windowing, vocabSize);
        }
    }

    private static void refused(ThrowingCallable call, ErrorCode code, String message) {
        assertThatThrownBy(call).hasMessageContaining(message).isInstanceOfSatisfying(PruningException.class,
                thrown -> assertThat(thrown.code()).isEqualTo(code));
    }

    @Test
    void aTextFileIsReadAsItStands() throws IOException {
        String text = "First.\r\n\nSecond: \u00e9\u4e2d\ud83d\ude00\n".repeat(9000);
        assertThat(Corpus.text(file("a.txt", text))).isEqualTo(text);
        assertThat(Corpus.text(file("marked.txt", "\ufeffabc"))).isEqualTo("abc");
    }

    @Test
    void inlineTextIsTheText() {
        assertThat(Corpus.text(CorpusRef.inline("In the beginning"))).isEqualTo("In the beginning");
        refused(() -> Corpus.text(CorpusRef.inline("ab\ud83dcd")), ErrorCode.MALFORMED_CORPUS, "an unpaired surrogate at character 2");
    }

    @Test
    void brokenUtf8IsRefusedWithItsByte() throws IOException {
        byte[] bytes = "x".repeat(100_000).getBytes(StandardCharsets.UTF_8);
        bytes[70_001] = (byte) 0xff;
        Path file = Files.write(directory.resolve("broken.txt"), bytes);
        refused(() -> Corpus.text(CorpusRef.at(file.toString())), ErrorCode.MALFORMED_CORPUS, "broken.txt: byte 70001 is not UTF-8");
        Files.write(file, new byte[]{'a', (byte) 0xe4, (byte) 0xb8});
        refused(() -> Corpus.text(CorpusRef.at(file.toString())), ErrorCode.MALFORMED_CORPUS, "broken.txt: byte 1 is not UTF-8");
    }

    @Test
    void jsonLinesAreJoinedByABlankLine() throws IOException {
        CorpusRef ref = file("a.jsonl", "{\"text\": \"one\\n\", \"id\": 1}\n\n  \n{\"id\": 2, \"text\": \"two\"}\n");
        assertThat(Corpus.text(ref)).isEqualTo("one\n\n\ntwo");
        assertThat(Corpus.text(new CorpusRef(null, file("b.jsonl", "{\"body\": \"b\"}").path(), null, "body"))).isEqualTo("b");
    }

    @Test
    void aLineThatIsNotADocumentIsNamed() throws IOException {
        String expected = " (expected: a JSON object with a string 'text')";
        refused(() -> Corpus.text(file("a.jsonl", "{\"text\": \"one\"}\n\n[1]\n")), ErrorCode.MALFORMED_CORPUS,
                "a.jsonl: line 3: ARRAY" + expected);
        refused(() -> Corpus.text(file("a.jsonl", "{\"txt\": \"one\"}")), ErrorCode.MALFORMED_CORPUS,
                "a.jsonl: line 1: no 'text'" + expected);
        refused(() -> Corpus.text(file("a.jsonl", "{\"text\": 7}")), ErrorCode.MALFORMED_CORPUS, "line 1: 'text' is NUMBER" + expected);
        refused(() -> Corpus.text(file("a.jsonl", "{\"text\": \"a\"} x")), ErrorCode.MALFORMED_CORPUS, "a.jsonl: line 1: ");
        refused(() -> Corpus.text(file("a.jsonl", "{\"text\": \"\\udc00\"}")), ErrorCode.MALFORMED_CORPUS, "unpaired surrogate");
    }

    @Test
    void aMissingFileOrADirectoryIsRefused() {
        refused(() -> Corpus.text(CorpusRef.at(directory.resolve("no.txt").toString())), ErrorCode.INVALID_RECIPE, "no.txt: missing");
        refused(() -> Corpus.text(CorpusRef.at(directory.toString())), ErrorCode.INVALID_RECIPE, "cannot be read");
        refused(() -> windows(CorpusRef.at(directory.resolve("no.safetensors").toString()), new Windowing.Strided(1, 2), 10),
                ErrorCode.INVALID_RECIPE, "no.safetensors: missing");
        refused(() -> Corpus.text(CorpusRef.named("kjv")), ErrorCode.INVALID_RECIPE, "neither path nor text");
    }

    @Test
    void aFileAboveTheLimitIsRefusedUnread() throws IOException {
        Path file = directory.resolve("huge.txt");
        try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
            sparse.setLength(Corpus.MAX_BYTES + 1);
        }
        refused(() -> Corpus.text(CorpusRef.at(file.toString())), ErrorCode.MALFORMED_CORPUS,
                "huge.txt: 536870913 bytes (expected: a text file of at most 536870912)");
    }

    @Test
    void textBecomesSampledWindows() {
        String text = "And God said, Let there be light: and there was light.\n".repeat(50);
        try (Tokenizer tokenizer = Tokenizer.open(MODEL)) {
            TokenWindows windows = Corpus.windows(CorpusRef.inline(text), tokenizer, new Windowing.Sampled(5, 16, 3), 2048);
            assertThat(windows).isEqualTo(TokenWindows.sample(tokenizer.encode(text), 5, 16, 3));
        }
    }

    @Test
    void anIdBeyondTheVocabularyIsRefused() {
        CorpusRef text = CorpusRef.inline("And God said, Let there be light");
        refused(() -> windows(text, new Windowing.Strided(1, 4), 100), ErrorCode.MALFORMED_CORPUS,
                "(expected: 0 to 99, the model's vocabulary)");
        CorpusRef ready = ids(DType.I64, List.of(2L, 2L), 1, 2, 3, 1L << 32);
        refused(() -> windows(ready, new Windowing.Strided(2, 2), 100), ErrorCode.MALFORMED_CORPUS,
                "ids.safetensors: window 1, position 1: token id 4294967296");
    }

    @Test
    void readyIdsAreTakenInTheFilesOrder() {
        CorpusRef ready = ids(DType.I64, List.of(3L, 2L), 1, 2, 3, 4, 5, 6);
        assertThat(windows(ready, new Windowing.Sampled(2, 2, 99), 10)).isEqualTo(TokenWindows.of(new int[][]{{1, 2}, {3, 4}}));
    }

    @Test
    void readyIdsOfAnotherShapeAreRefused() throws IOException {
        CorpusRef ready = ids(DType.I64, List.of(3L, 2L), 1, 2, 3, 4, 5, 6);
        refused(() -> windows(ready, new Windowing.Strided(2, 4), 10), ErrorCode.MALFORMED_CORPUS, "windows of 2 tokens (expected: 4,");
        refused(() -> windows(ready, new Windowing.Strided(4, 2), 10), ErrorCode.TOO_FEW_TOKENS,
                "6 tokens, 3 windows (expected: at least 4 windows)");
        Files.delete(Path.of(ready.path()));
        CorpusRef flat = ids(DType.I64, List.of(2L), 1, 2);
        refused(() -> windows(flat, new Windowing.Strided(1, 2), 10), ErrorCode.MALFORMED_CORPUS,
                "tensors ['ids' I64 [2]] (expected: one integer tensor [windows, length])");
        refused(() -> windows(file("bad.safetensors", "abc"), new Windowing.Strided(1, 2), 10), ErrorCode.MALFORMED_CORPUS,
                "bad.safetensors: file length: 3");
    }
}
