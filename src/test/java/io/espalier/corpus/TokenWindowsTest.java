package io.espalier.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.stream.IntStream;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;
import org.junit.jupiter.api.Test;

class TokenWindowsTest {

    private static final int[] STREAM = IntStream.range(0, 43).toArray();

    @Test
    void aSampleTakesWholeWindowsInTheOrderDrawn() {
        // random.seed(0); random.sample(range(10), 3) is [6, 9, 0]
        assertThat(TokenWindows.sample(STREAM, 3, 4, 0).ids()).isDeepEqualTo(new int[][]{{24, 25, 26, 27}, {36, 37, 38, 39}, {0, 1, 2, 3}});
    }

    @Test
    void askingForAllWindowsPermutesThem() {
        int[][] ids = TokenWindows.sample(STREAM, 10, 4, 0).ids();
        assertThat(Arrays.stream(ids).mapToInt(window -> window[0] / 4)).containsExactly(6, 9, 0, 2, 4, 3, 5, 1, 8, 7);
    }

    @Test
    void stridedWindowsSpreadEvenlyFromTheFirst() {
        int[][] ids = TokenWindows.strided(STREAM, 4, 4).ids();
        assertThat(Arrays.stream(ids).mapToInt(window -> window[0] / 4)).containsExactly(0, 3, 6, 9);
        assertThat(TokenWindows.strided(STREAM, 1, 4).ids()).isDeepEqualTo(new int[][]{{0, 1, 2, 3}});
        assertThat(TokenWindows.strided(STREAM, 10, 4).ids()[9]).containsExactly(36, 37, 38, 39);
    }

    @Test
    void tooFewTokensAreRefusedWithTheFigures() {
        assertThatThrownBy(() -> TokenWindows.sample(STREAM, 11, 4, 0))
                .hasMessage("corpus: 43 tokens, 10 windows of 4 (expected: at least 11 windows, 44 tokens)")
                .extracting(thrown -> ((PruningException) thrown).code()).isEqualTo(ErrorCode.TOO_FEW_TOKENS);
        assertThatThrownBy(() -> TokenWindows.strided(STREAM, 1, 44)).isInstanceOf(PruningException.class)
                .hasMessageContaining("0 windows of 44");
    }

    @Test
    void theDigestKnowsShapeOrderAndIds() {
        String digest = TokenWindows.of(new int[][]{{1, 2}, {3, 4}}).digest();
        // python: hashlib.sha256(struct.pack('<6i', 2, 2, 1, 2, 3, 4)).hexdigest()
        assertThat(digest).isEqualTo("137c0226e82696b3223d40c097d74a5f25f743753407a27edfcf302a2b97c117");
        assertThat(TokenWindows.of(new int[][]{{1, 2, 3, 4}}).digest()).isNotEqualTo(digest);
        assertThat(TokenWindows.of(new int[][]{{3, 4}, {1, 2}}).digest()).isNotEqualTo(digest);
    }

    @Test
    void windowsOfDifferentLengthsAreRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> TokenWindows.of(new int[][]{{1, 2}, {3}}))
                .withMessage("a window of 1 tokens (expected: 2 like the first)");
        assertThatIllegalArgumentException().isThrownBy(() -> TokenWindows.of(new int[0][]));
    }
}
