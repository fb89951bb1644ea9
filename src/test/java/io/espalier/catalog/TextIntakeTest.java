package io.espalier.catalog;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

import io.espalier.recipe.Violation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TextIntakeTest {

    @Test
    void whatComesInIsCopiedAndSummed() throws IOException {
        ByteArrayOutputStream copy = new ByteArrayOutputStream();
        byte[] text = "Ångström\n😀".repeat(20_000).getBytes(StandardCharsets.UTF_8);
        TextIntake.Taken taken = TextIntake.take(new ByteArrayInputStream(text), copy, "text", null, text.length);
        assertThat(copy.toByteArray()).isEqualTo(text);
        assertThat(taken.bytes()).isEqualTo(text.length);
        assertThat(taken.documents()).isEqualTo(1);
        assertThat(TextIntake.take(new ByteArrayInputStream("abc".getBytes(StandardCharsets.UTF_8)), copy, "text", null, 3).sha256())
                .isEqualTo("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    @Test
    void linesWithATextAreCountedAndBlankOnesAreNot() throws IOException {
        assertThat(lines("{\"text\": \"a\"}\r\n\n  \n{\"id\": 1, \"text\": \"\"}\n{\"text\": \"c\"}").documents()).isEqualTo(3);
        assertThat(lines("\uFEFF{\"text\": \"a\"}").documents()).isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"{'text': 1}|line 1: 'text' is NUMBER", "{'text': 'a'}~{'body': 'b'}|line 2: 'text' is missing",
            "{'text': 'a'}~~{'text': |line 3: ", "[1]|line 1: ARRAY", "{'text': 'a'} {'text': 'b'}|line 1: ",
            "{'text': '^u0000'}|line 1: NUL", "{'text': '^ud800'}|line 1: NUL or half of a surrogate pair", "~  ~|without a visible"})
    void aBrokenLineIsNamed(String text, String given) {
        assertThat(refused(() -> lines(text.replace('~', '\n').replace('\'', '"').replace('^', '\\'))).given()).contains(given);
    }

    @ParameterizedTest
    @CsvSource({"0", "1", "65535", "65536", "65537", "200001"})
    void theByteThatIsNoUtf8OrNulIsNamed(int at) {
        byte[] text = "a".repeat(300_000).getBytes(StandardCharsets.UTF_8);
        text[at] = (byte) 0xff;
        assertThat(refused(() -> plain(text)).given()).isEqualTo("byte " + at + " is not UTF-8");
        text[at] = 0;
        assertThat(refused(() -> plain(text)).given()).isEqualTo("byte " + at + " is NUL");
    }

    @Test
    void aCharacterThatEndsTooEarlyIsNoText() {
        byte[] text = "abc€".getBytes(StandardCharsets.UTF_8);
        assertThat(refused(() -> plain(Arrays.copyOf(text, 5))).given()).isEqualTo("byte 3 is not UTF-8");
    }

    @Test
    void nothingIsNoText() {
        assertThat(refused(() -> plain(new byte[0])).given()).isEqualTo("nothing");
        assertThat(refused(() -> plain("\uFEFF \n\t".getBytes(StandardCharsets.UTF_8))).given()).contains("without a visible character");
    }

    @Test
    void oneByteTooManyIsRefused() {
        CorpusException refused = catchThrowableOfType(CorpusException.class,
                () -> TextIntake.take(new ByteArrayInputStream(new byte[]{97, 97, 97}), ByteArrayOutputStream.nullOutputStream(), "", null,
                        2));
        assertThat(refused.reason()).isEqualTo(CorpusException.Reason.TOO_LARGE);
    }

    private interface Taking {
        Object take() throws IOException;
    }

    private static Violation refused(Taking taking) {
        return catchThrowableOfType(CorpusException.class, taking::take).violations().getFirst();
    }

    private static TextIntake.Taken plain(byte[] text) throws IOException {
        return TextIntake.take(new ByteArrayInputStream(text), ByteArrayOutputStream.nullOutputStream(), "text", null, 1 << 20);
    }

    private static TextIntake.Taken lines(String text) throws IOException {
        return TextIntake.take(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)), ByteArrayOutputStream.nullOutputStream(),
                "text", "text", 1 << 20);
    }
}
