package io.espalier.transformer;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.ExpertTensors;

/** One mixture block, forward and reverse with its counting, on random numbers and one thread. In this package because its brick is. */
public final class BlockTiming implements AutoCloseable {

    private final NDManager manager = NDManager.newBaseManager(Device.cpu());
    private final Scratch scratch = new Scratch();
    private final NDArray x;
    private final NDArray dy;
    private final TokenBatch batch;
    private final MoeBlock[] blocks;

    /** @param skew how unequal the experts' shares are: logits of a constant of this deviation an expert are added to the tokens' own, of deviation 1 */
    public BlockTiming(Compute.Precision precision, int hidden, int experts, int topK, int width, int tokens, double skew) {
        Torch.start();
        manager.getEngine().setRandomSeed(1);
        x = manager.randomNormal(new Shape(tokens, hidden));
        dy = manager.randomNormal(new Shape(tokens, hidden));
        // why: a constant feature lets the router have a favourite without a bias
        x.set(new ai.djl.ndarray.index.NDIndex(":, 0"), 1f);
        NDArray router = manager.randomNormal(new Shape(experts, hidden)).muli(1 / Math.sqrt(hidden));
        router.set(new ai.djl.ndarray.index.NDIndex(":, 0"), array -> array.muli(skew * Math.sqrt(hidden)));
        batch = TokenBatch.of(new int[][]{new int[tokens]});
        Loaded loaded = new Loaded(manager, precision, experts, width, hidden);
        DecoderSpec.Moe spec = new DecoderSpec.Moe("router", topK, true, 0, Collections.<ExpertTensors>nCopies(experts, null), null, null);
        blocks = Longs.of(-1, ExpertGroup.WEIGHTS_AT_ONCE).map(most -> new MoeBlock(router, null, spec, loaded, null, null, 0, most));
    }

    private record Loaded(List<GatedMlp> experts, int width) implements MoeBlock.Experts {

        private Loaded(NDManager manager, Compute.Precision precision, int count, int width, int hidden) {
            this(new ArrayList<>(), width);
            for (int e = 0; e < count; e++) {
                experts.add(new GatedMlp(matrix(manager, precision, width, hidden), matrix(manager, precision, width, hidden),
                        matrix(manager, precision, hidden, width)));
            }
        }

        private static NDArray matrix(NDManager manager, Compute.Precision precision, int rows, int columns) {
            NDArray matrix = manager.randomNormal(new Shape(rows, columns)).muli(1 / Math.sqrt(columns));
            return precision == Compute.Precision.BFLOAT16 ? Kernels.bfloat16(matrix) : matrix;
        }

        @Override
        public int width(int expert) {
            return width;
        }

        @Override
        public void use(int[] some, Consumer<List<GatedMlp>> borrower) {
            borrower.accept(IntStream.of(some).mapToObj(experts::get).toList());
        }
    }

    private record Longs(long[] values) {

        static Longs of(long... values) {
            return new Longs(values);
        }

        MoeBlock[] map(java.util.function.LongFunction<MoeBlock> each) {
            return java.util.Arrays.stream(values).mapToObj(each).toArray(MoeBlock[]::new);
        }
    }

    /** Seconds of one pass, experts one by one or together. */
    public double seconds(boolean together) {
        double[] sum = new double[1];
        ExpertObserver counter = new ExpertObserver() {
            @Override
            public void backward(ExpertRows a, ExpertRows da) {
                for (ExpertRows rows : List.of(a, da)) {
                    for (double[] sums : rows.sumsOfSquares()) {
                        sum[0] += sums[0];
                    }
                }
            }
        };
        MoeBlock block = blocks[together ? 1 : 0];
        long began = System.nanoTime();
        try (Scratch _ = new Scratch()) {
            DecoderLayer.Result result = block.forward(x, batch, counter, null);
            block.backward(x, dy, result.selected(), counter, null);
        }
        if (Double.isNaN(sum[0])) {
            throw new IllegalStateException("sums of squares: NaN (expected: numbers)");
        }
        return (System.nanoTime() - began) * 1e-9;
    }

    @Override
    public void close() {
        scratch.close();
        manager.close();
    }
}
