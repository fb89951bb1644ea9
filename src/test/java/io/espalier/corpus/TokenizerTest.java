package io.espalier.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;

import io.espalier.checkpoint.SafetensorsFile;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Golden ids: the Hugging Face tokenizers library, see the fixtures' README. */
class TokenizerTest {

    private static final Path DEMO = Path.of("src/main/resources/demo");
    private static final Path FIXTURES = Path.of("src/test/resources/fixtures");

    @TempDir
    private Path directory;

    private static Tokenizer of(String model) {
        return Tokenizer.open(model.equals("tiny-qwen2moe") ? DEMO.resolve(model) : FIXTURES.resolve(model));
    }

    private static int[] ints(JsonNode array) {
        return IntStream.range(0, array.size()).map(i -> array.get(i).intValue()).toArray();
    }

    @ParameterizedTest
    @ValueSource(strings = {"tiny-qwen2moe", "tiny-deepseek-moe-v1", "tiny-llama"})
    void everyCaseIsTokenisedAndReadBackAsTheReferenceDoes(String model) {
        JsonNode cases = JsonMapper.shared().readTree(FIXTURES.resolve(model + "/reference/tokenizer_cases.json")).get("cases");
        assertThat(cases.size()).isGreaterThan(100);
        try (Tokenizer tokenizer = of(model)) {
            for (JsonNode one : cases) {
                int[] ids = ints(one.get("ids"));
                assertThat(tokenizer.encode(one.get("text").stringValue())).as(one.get("text").toString()).containsExactly(ids);
                assertThat(tokenizer.decode(ids)).isEqualTo(one.get("decoded").stringValue());
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"tiny-qwen2moe", "tiny-deepseek-moe-v1", "tiny-llama"})
    void theTestTextGivesTheReferenceWindows(String model) throws IOException {
        String text = Files.readString(DEMO.resolve("text/kjv-test.txt"));
        try (Tokenizer tokenizer = of(model);
                SafetensorsFile reference = SafetensorsFile.open(FIXTURES.resolve(model + "/reference/test_ids.safetensors"))) {
            int windows = (int) reference.tensor("test_ids").dim(0);
            int[][] ids = TokenWindows.strided(tokenizer.encode(text), windows, 256).ids();
            long[] flat = IntStream.range(0, windows * 256).mapToLong(i -> ids[i / 256][i % 256]).toArray();
            assertThat(flat).containsExactly(reference.longs("test_ids"));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"tiny-qwen2moe", "tiny-deepseek-moe-v1"})
    void aLongTextInPiecesGivesTheIdsOfTheWhole(String model) throws IOException {
        String text = Files.readString(DEMO.resolve("text/kjv-train.txt")).substring(0, 300_000)
                + "a\n\nb \n c.\n\n\nd\n\"e\n1\n\u00e9 \n".repeat(500);
        try (Tokenizer tokenizer = of(model)) {
            int[] whole = tokenizer.encode(text, text.length());
            for (int piece : new int[]{1, 100, 4096}) {
                assertThat(tokenizer.encode(text, piece)).isEqualTo(whole);
            }
        }
    }

    @Test
    void truncationAndPaddingOfTheFileAreOff() throws IOException {
        ObjectNode file = (ObjectNode) JsonMapper.shared().readTree(DEMO.resolve("tiny-qwen2moe/tokenizer.json"));
        file.putObject("truncation").put("direction", "Right").put("max_length", 4).put("strategy", "LongestFirst").put("stride", 0);
        file.putObject("padding").put("direction", "Right").put("pad_id", 2045).put("pad_type_id", 0).put("pad_token", "<|endoftext|>")
                .putNull("pad_to_multiple_of").putObject("strategy").put("Fixed", 4000);
        Files.writeString(directory.resolve("tokenizer.json"), file.toString());
        String text = "In the beginning ".repeat(400);
        try (Tokenizer odd = Tokenizer.open(directory); Tokenizer plain = of("tiny-qwen2moe")) {
            assertThat(odd.encode(text)).containsExactly(plain.encode(text)).hasSizeGreaterThan(800);
        }
    }

    @Test
    void aTokenizerThatMarksTheStartOfATextSeesItWhole() throws IOException {
        ObjectNode file = (ObjectNode) JsonMapper.shared().readTree(DEMO.resolve("tiny-qwen2moe/tokenizer.json"));
        file.putObject("normalizer").put("type", "Prepend").put("prepend", "x");
        Files.writeString(directory.resolve("tokenizer.json"), file.toString());
        String text = "one line\n".repeat(100);
        try (Tokenizer marking = Tokenizer.open(directory)) {
            assertThat(marking.decode(marking.encode(text, 10))).isEqualTo("x" + text);
            assertThatThrownBy(() -> marking.encode("a".repeat(Tokenizer.MAX_WHOLE + 1))).hasMessage("corpus: 33554433 characters"
                    + " (expected: at most 33554432, because this model's tokenizer has to see the text whole)");
        }
    }

    /** Its splitter lets words go on over lines, and there is a token that does. */
    @Test
    void aTokenizerWithATokenAcrossLinesSeesTheTextWhole() throws IOException {
        ObjectNode file = (ObjectNode) JsonMapper.shared().readTree(DEMO.resolve("tiny-qwen2moe/tokenizer.json"));
        file.putObject("pre_tokenizer").put("type", "ByteLevel").put("add_prefix_space", false).put("trim_offsets", true).put("use_regex",
                false);
        ObjectNode model = (ObjectNode) file.get("model");
        ((ObjectNode) model.get("vocab")).put("\u010AA", 2048);
        ((ArrayNode) model.get("merges")).insert(0, "\u010A A");
        Files.writeString(directory.resolve("tokenizer.json"), file.toString());
        String text = "one line\nAnd another\n".repeat(20);
        try (Tokenizer across = Tokenizer.open(directory)) {
            assertThat(across.encode(text, 10)).isEqualTo(across.encode(text, text.length())).contains(2048);
        }
    }

    @Test
    void aTokenizerThatStripsTheEndsOfATextSeesItWhole() throws IOException {
        ObjectNode file = (ObjectNode) JsonMapper.shared().readTree(DEMO.resolve("tiny-qwen2moe/tokenizer.json"));
        file.putObject("normalizer").put("type", "Strip").put("strip_left", true).put("strip_right", true);
        Files.writeString(directory.resolve("tokenizer.json"), file.toString());
        String text = "one line\n".repeat(20);
        try (Tokenizer stripping = Tokenizer.open(directory)) {
            assertThat(stripping.encode(text, 10)).isEqualTo(stripping.encode(text, text.length()));
        }
    }

    @Test
    void nulsAndWhatComesAboveTheBasicPlaneAreReadAndReadBack() {
        String text = "a\0b\uD83D\uDE00\uFEFFc\u2028d\r\ne\r f";
        try (Tokenizer tokenizer = of("tiny-qwen2moe")) {
            assertThat(tokenizer.decode(tokenizer.encode(text))).isEqualTo(text);
        }
    }

    @Test
    void aTextThatCannotBeCutAnywhereIsRefusedBeforeItTakesAllMemory() {
        String text = "a line\r\n".repeat(Tokenizer.MAX_WHOLE / 8 + 1);
        try (Tokenizer tokenizer = of("tiny-qwen2moe")) {
            assertThatThrownBy(() -> tokenizer.encode(text)).isInstanceOf(PruningException.class)
                    .hasMessageStartingWith("corpus: 33554440 characters from character 0 on without a line");
        }
    }

    @Test
    void anEmptyTextHasNoTokens() {
        try (Tokenizer tokenizer = of("tiny-qwen2moe")) {
            assertThat(tokenizer.encode("")).isEmpty();
        }
    }

    @Test
    void theDigestIsThatOfTheFile() throws IOException {
        try (Tokenizer tokenizer = of("tiny-llama"); Tokenizer same = of("tiny-deepseek-moe-v1"); Tokenizer other = of("tiny-qwen2moe")) {
            assertThat(tokenizer.digest()).isEqualTo(same.digest()).isNotEqualTo(other.digest())
                    .isEqualTo("a7cfe4f7b6a80a8787d71d788a64b70074af1ffcc4ebe512f227ae4af8159813");
        }
    }

    @Test
    void aMissingTokenizerIsNamed() {
        assertThatThrownBy(() -> Tokenizer.open(directory)).isInstanceOf(PruningException.class)
                .hasMessageContaining("no tokenizer.json (expected: the file that Hugging Face tokenizers save)");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"tokenizer.model | tokenizer.model", "merges.txt vocab.json | vocab.json and merges.txt"})
    void aTokenizerOfAnotherFormatIsNamedWithWhatToDo(String files, String named) throws IOException {
        for (String file : files.split(" ")) {
            Files.writeString(directory.resolve(file), "x");
        }
        assertThatThrownBy(() -> Tokenizer.open(directory)).isInstanceOf(PruningException.class)
                .hasMessageContaining("no tokenizer.json, only " + named + " (expected: ").hasMessageContaining("save_pretrained")
                .hasMessageContaining(".safetensors");
    }

    @Test
    void aBrokenTokenizerIsRefused() throws IOException {
        Files.writeString(directory.resolve("tokenizer.json"), "{\"model\": {\"type\": \"BPE\", \"vocab\": 3}}");
        assertThatThrownBy(() -> Tokenizer.open(directory)).isInstanceOf(PruningException.class).hasMessageStartingWith("tokenizer.json: ")
                .extracting(thrown -> ((PruningException) thrown).code()).isEqualTo(ErrorCode.MALFORMED_CHECKPOINT);
    }
}
