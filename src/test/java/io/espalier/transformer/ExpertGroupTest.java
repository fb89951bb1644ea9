package io.espalier.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.IntStream;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.ExpertTensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Experts computed several at a time against the same experts one by one. */
class ExpertGroupTest {

    private static final int HIDDEN = 12;
    private static final int TOP_K = 2;

    @Test
    void everyTokenIsInOneGroupOnceWithItsExpertAndItsSlot() {
        Random random = new Random(1);
        int experts = 40;
        int[] selected = random.ints(300 * TOP_K, -1, experts).toArray();
        List<ExpertGroup> groups = ExpertGroup.of(selected, TOP_K, experts, e -> e % 7 == 0 ? 5 : 3, HIDDEN, 5L * 3 * 5 * HIDDEN);
        int[] seen = new int[selected.length];
        java.util.Arrays.fill(seen, -1);
        int last = -1;
        for (ExpertGroup group : groups) {
            int at = 0;
            for (int i = 0; i < group.experts().length; i++) {
                assertThat(group.experts()[i]).isGreaterThan(last);
                last = group.experts()[i];
                for (int token = 0; token < group.counts()[i]; token++, at++) {
                    assertThat(group.rows()[at]).isEqualTo(group.slots()[at] / TOP_K);
                    seen[(int) group.slots()[at]] = last;
                }
            }
            assertThat(at).isEqualTo(group.rows().length).isLessThanOrEqualTo(300);
        }
        assertThat(seen).isEqualTo(selected);
        assertThat(groups.stream().mapToInt(group -> group.experts().length)).allMatch(size -> size <= 8).anyMatch(size -> size > 3);
    }

    @Test
    void expertsOfAnotherWidthAndLargeOnesStandAlone() {
        int[] selected = IntStream.range(0, 8).flatMap(row -> IntStream.of(row % 4, 4 + row % 2)).toArray();
        assertThat(sizes(selected, _ -> 3, 1L << 20)).containsExactly(4, 2);
        assertThat(sizes(selected, _ -> 3, 2 * 3 * 3 * HIDDEN)).containsExactly(2, 2, 2);
        assertThat(sizes(selected, _ -> 3, -1)).containsExactly(1, 1, 1, 1, 1, 1);
        assertThat(sizes(selected, e -> e, 1L << 20)).containsExactly(1, 1, 1, 1, 1, 1);
    }

    private static int[] sizes(int[] selected, java.util.function.IntUnaryOperator width, long weightsAtOnce) {
        return ExpertGroup.of(selected, TOP_K, 6, width, HIDDEN, weightsAtOnce).stream().mapToInt(group -> group.experts().length)
                .toArray();
    }

    @ParameterizedTest
    @CsvSource({"FLOAT32, 9, 50", "FLOAT32, 1, 7", "FLOAT64, 16, 200", "BFLOAT16, 32, 64", "FLOAT32, 0, 20"})
    void togetherTheyGiveTheNumbersOfOneByOne(Compute.Precision precision, int width, int tokens) {
        try (NDManager manager = NDManager.newBaseManager(Device.cpu()); Scratch _ = new Scratch()) {
            Random random = new Random(width);
            Lent experts = new Lent(manager, random, precision, 10, width);
            NDArray router = gaussian(manager, random, precision, 10, HIDDEN);
            NDArray x = gaussian(manager, random, precision, tokens, HIDDEN);
            NDArray dy = gaussian(manager, random, precision, tokens, HIDDEN);
            int[][] ids = {new int[tokens]};
            TokenBatch batch = new TokenBatch(ids, new int[]{tokens - 2});
            List<double[]> alone = run(block(router, experts, -1), x, dy, batch, false);
            assertThat(experts.most).isEqualTo(1);
            for (boolean taped : new boolean[]{false, true}) {
                experts.most = 0;
                List<double[]> together = run(block(router, experts, ExpertGroup.WEIGHTS_AT_ONCE), x, dy, batch, taped);
                assertThat(experts.most).isGreaterThan(2);
                assertThat(together).hasSameSizeAs(alone);
                for (int i = 0; i < alone.size(); i++) {
                    assertClose(together.get(i), alone.get(i), precision);
                }
            }
        }
    }

    /** Where an array begins decides how its ends are rounded, so the last bit may differ. */
    private static void assertClose(double[] given, double[] expected, Compute.Precision precision) {
        double tolerance = switch (precision) {
            case FLOAT64 -> 1e-14;
            case FLOAT32 -> 1e-6;
            case BFLOAT16 -> 1e-2;
        };
        double largest = java.util.Arrays.stream(expected).map(Math::abs).max().orElse(0);
        for (int k = 0; k < expected.length; k++) {
            assertThat(given[k]).isCloseTo(expected[k], within(tolerance * largest));
        }
    }

    /** y, dx, and then for each expert that had tokens the sums of squares of a (forward), a and da (reverse). */
    private static List<double[]> run(MoeBlock block, NDArray x, NDArray dy, TokenBatch batch, boolean taped) {
        List<double[]> all = new ArrayList<>();
        double[][] forward = new double[10][];
        double[][] reverse = new double[20][];
        ExpertObserver observer = new ExpertObserver() {
            @Override
            public void forward(ExpertRows a) {
                put(forward, 0, a);
            }

            @Override
            public void backward(ExpertRows a, ExpertRows da) {
                put(reverse, 0, a);
                put(reverse, 10, da);
            }

            @Override
            public void gradient(ExpertRows da) {
                put(reverse, 10, da);
            }

            private void put(double[][] into, int from, ExpertRows rows) {
                double[][] sums = rows.sumsOfSquares();
                for (int i = 0; i < sums.length; i++) {
                    into[from + rows.experts()[i]] = sums[i];
                }
            }
        };
        try (Tapes tapes = new Tapes(0)) {
            Tapes.Slot slot = taped ? tapes.slot(0, 0) : null;
            DecoderLayer.Result result = block.forward(x, batch, observer, slot);
            all.add(doubles(result.y()));
            all.add(doubles(block.backward(x, dy, result.selected(), observer, slot)));
            double[][] whole = java.util.Arrays.copyOfRange(reverse, 10, 20);
            java.util.Arrays.fill(reverse, 10, 20, null);
            block.backwardToExperts(dy, result.selected(), result.routerWeights(), observer);
            assertThat(java.util.Arrays.copyOfRange(reverse, 10, 20)).as("da of a reverse that goes no further").isDeepEqualTo(whole);
        }
        for (double[][] sums : List.of(forward, reverse)) {
            java.util.Arrays.stream(sums).filter(java.util.Objects::nonNull).forEach(all::add);
        }
        return all;
    }

    private static double[] doubles(NDArray x) {
        return x.toType(ai.djl.ndarray.types.DataType.FLOAT64, true).toDoubleArray();
    }

    private static MoeBlock block(NDArray router, MoeBlock.Experts experts, long weightsAtOnce) {
        List<ExpertTensors> names = java.util.Collections.nCopies(10, null);
        return new MoeBlock(router, null, new DecoderSpec.Moe("router", TOP_K, true, 0, names, null, null), experts, null, null, 0,
                weightsAtOnce);
    }

    /** Random experts, and the most that were lent at once. */
    private static final class Lent implements MoeBlock.Experts {

        private final List<GatedMlp> experts = new ArrayList<>();
        private final int width;
        private int most;

        private Lent(NDManager manager, Random random, Compute.Precision precision, int count, int width) {
            this.width = width;
            for (int e = 0; e < count; e++) {
                NDArray gate = gaussian(manager, random, precision, width, HIDDEN);
                NDArray up = gaussian(manager, random, precision, width, HIDDEN);
                NDArray down = gaussian(manager, random, precision, HIDDEN, width);
                experts.add(precision == Compute.Precision.BFLOAT16
                        ? new GatedMlp(Kernels.bfloat16(gate), Kernels.bfloat16(up), Kernels.bfloat16(down))
                        : new GatedMlp(gate, up, down));
            }
        }

        @Override
        public int width(int expert) {
            return width;
        }

        @Override
        public void use(int[] some, Consumer<List<GatedMlp>> borrower) {
            most = Math.max(most, some.length);
            borrower.accept(IntStream.of(some).mapToObj(experts::get).toList());
        }
    }

    private static NDArray gaussian(NDManager manager, Random random, Compute.Precision precision, int rows, int columns) {
        double[] values = new double[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextGaussian();
        }
        return manager.create(values, new Shape(rows, columns)).toType(precision.activations(), true);
    }
}
