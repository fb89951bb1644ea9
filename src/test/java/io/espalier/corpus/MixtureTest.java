package io.espalier.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.PruningException;
import org.junit.jupiter.api.Test;

class MixtureTest {

    private static final Path DEMO = Path.of("src/main/resources/demo");

    @Test
    void whatIsLeftOverGoesToTheGreatestRemainders() {
        assertThat(Mixture.shares(parts("1", "1", "1"), 8)).containsExactly(3, 3, 2);
        assertThat(Mixture.shares(parts("3", "1"), 8)).containsExactly(6, 2);
        assertThat(Mixture.shares(parts("0.5", "0.3", "0.2"), 7)).containsExactly(4, 2, 1);
        assertThat(Mixture.shares(parts("1000000", "1"), 1_000_001)).containsExactly(1_000_000, 1);
        assertThat(Mixture.shares(parts("0.1"), 3)).containsExactly(3);
    }

    @Test
    void aPartThatGetsNothingIsRefusedAndNotForgotten() {
        assertThatThrownBy(() -> Mixture.shares(parts("1000000", "0.000001"), 128)).isInstanceOf(PruningException.class)
                .hasMessageContaining("part 2 of the mixture gets 0 of 128 windows");
    }

    @Test
    void thePartsTakeTurnsByTheSeedAndKeepTheirOwnOrder() {
        List<TokenWindows> parts = List.of(windows(0, 50), windows(1, 50));
        TokenWindows mixed = Mixture.interleaved(parts, 7);
        assertThat(mixed).isEqualTo(Mixture.interleaved(parts, 7)).isNotEqualTo(Mixture.interleaved(parts, 8));
        for (int part = 0; part < 2; part++) {
            int owner = part;
            assertThat(Arrays.stream(mixed.ids()).filter(window -> window[0] == owner).mapToInt(window -> window[1]))
                    .containsExactly(IntStream.range(0, 50).boxed().toArray(Integer[]::new));
        }
        long early = Arrays.stream(mixed.ids()).limit(50).filter(window -> window[0] == 0).count();
        assertThat(early).isBetween(10L, 40L);
    }

    @Test
    void aMixtureOfTextsIsItsPartsWindowsByTheSameSeed() {
        CorpusRef train = CorpusRef.at(DEMO.resolve("text/kjv-test.txt").toAbsolutePath().toString());
        CorpusRef other = CorpusRef.inline("In the beginning God created the heaven and the earth. ".repeat(50));
        CorpusRef mix = CorpusRef.mixed(List.of(new CorpusRef.Part(train, new BigDecimal(3)), new CorpusRef.Part(other, BigDecimal.ONE)));
        Windowing.Sampled windowing = new Windowing.Sampled(8, 16, 5);
        try (Tokenizer tokenizer = Tokenizer.open(DEMO.resolve("tiny-qwen2moe"))) {
            TokenWindows mixed = Corpus.windows(mix, tokenizer, windowing, Integer.MAX_VALUE);
            assertThat(Arrays.stream(mixed.ids()).map(Arrays::toString)).containsExactlyInAnyOrder(Stream.concat(
                    Arrays.stream(Corpus.windows(train, tokenizer, windowing.with(6), Integer.MAX_VALUE).ids()),
                    Arrays.stream(Corpus.windows(other, tokenizer, windowing.with(2), Integer.MAX_VALUE).ids())).map(Arrays::toString)
                    .toArray(String[]::new));
            assertThat(mixed.digest())
                    .isEqualTo(Corpus.windows(CorpusRef.mixed(mix.mix()), tokenizer, windowing, Integer.MAX_VALUE).digest());
            CorpusRef nested = CorpusRef.mixed(List.of(new CorpusRef.Part(mix, BigDecimal.ONE), new CorpusRef.Part(other, BigDecimal.ONE)));
            assertThat(Corpus.windows(nested, tokenizer, windowing, Integer.MAX_VALUE).windows()).isEqualTo(8);
            assertThat(Corpus.tokens(nested, tokenizer)).isEqualTo(Corpus.tokens(mix, tokenizer) + Corpus.tokens(other, tokenizer));
            assertThatThrownBy(() -> Corpus.windows(mix, tokenizer, new Windowing.Strided(400, 16), Integer.MAX_VALUE))
                    .isInstanceOf(PruningException.class).hasMessageContaining("at least 100 windows");
        }
    }

    private static List<CorpusRef.Part> parts(String... weights) {
        return Stream.of(weights).map(weight -> new CorpusRef.Part(CorpusRef.inline("x"), new BigDecimal(weight))).toList();
    }

    private static TokenWindows windows(int part, int count) {
        return new TokenWindows(IntStream.range(0, count).mapToObj(i -> new int[]{part, i}).toArray(int[][]::new));
    }
}
