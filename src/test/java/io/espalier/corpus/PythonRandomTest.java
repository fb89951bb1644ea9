package io.espalier.corpus;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.stream.IntStream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Golden values: {@code random.seed(seed); random.sample(range(n), k)} of CPython 3.11.7. */
class PythonRandomTest {

    private record Drawn(String seed, int n, int[] sample) {}

    private static final Drawn[] DRAWN = {
            new Drawn("0", 10, new int[]{6, 9, 0}),
            new Drawn("0", 10, new int[]{6, 9, 0, 2, 4, 3, 5, 1, 8, 7}),
            new Drawn("777", 1000, new int[]{234, 456, 377, 589, 276}),
            new Drawn("-5", 50, new int[]{39, 16, 47, 22, 44, 41, 33}),
            new Drawn("12345678901234567890", 100000, new int[]{67111, 71669, 84189, 58660, 42815, 46403}),
            new Drawn("1267650600228229401496703205383", 1000000, new int[]{436251, 86414, 342637, 560963, 583711, 367297, 762339, 795164}),
            new Drawn("0", 22, new int[]{12, 13}),
            new Drawn("1", 200,
                    new int[]{34, 145, 195, 16, 65, 30, 126, 115, 120, 166, 97, 53, 24, 124, 7, 99, 110, 155, 0, 178, 114, 68, 58, 151, 26,
                            81, 185, 5, 6, 190, 138, 2}),
            new Drawn("3", 1, new int[]{0}),
            new Drawn("42", 2147483647, new int[]{1373158606, 239081663, 53710184, 1592467581, 590620971, 525901256}),
            new Drawn("9", 278,
                    new int[]{237, 191, 136, 70, 95, 3, 173, 257, 41, 171, 20, 194, 86, 231, 216, 80, 121, 26, 56, 67, 259, 32, 196, 52,
                            149, 104, 114, 215, 44, 107, 203, 143}),
    };

    @ParameterizedTest
    @FieldSource("DRAWN")
    void aSampleIsTheOneThatPythonDraws(Drawn drawn) {
        PythonRandom random = new PythonRandom(new BigInteger(drawn.seed));
        assertThat(random.sample(drawn.n, drawn.sample.length)).containsExactly(drawn.sample);
    }

    @Test
    void theSmallestLongSeedsLikeItsMagnitude() {
        assertThat(new PythonRandom(Long.MIN_VALUE).sample(1000, 9))
                .containsExactly(new PythonRandom(BigInteger.TWO.pow(63)).sample(1000, 9));
    }

    @Test
    void theCalibrationWindowsOfTheOfficialCodeAreDrawn() throws IOException {
        // the fixture does not say how many windows there were; any number from 4780 to 4930 draws the same
        JsonNode run = JsonMapper.shared().readTree(Path.of("src/test/resources/fixtures/tiny-qwen2moe/reference/heapr.json"));
        int[] official = IntStream.range(0, 32).map(i -> run.get("window_indices").get(i).intValue()).toArray();
        assertThat(new PythonRandom(0).sample(4908, 32)).containsExactly(official);
    }
}
