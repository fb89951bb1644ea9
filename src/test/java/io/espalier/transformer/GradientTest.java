package io.espalier.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.List;
import java.util.Random;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.Checkpoint;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every hand-written backward against central differences, in float64. */
class GradientTest {

    private static final double STEP = 1e-5;

    @Test
    void theExpertsBackwardEqualsFiniteDifferencesElementByElement() {
        Random random = new Random(7);
        try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
            int hidden = 7;
            int width = 5;
            int tokens = 3;
            GatedMlp expert = new GatedMlp(gaussian(manager, random, width, hidden), gaussian(manager, random, width, hidden),
                    gaussian(manager, random, hidden, width));
            NDArray x = gaussian(manager, random, tokens, hidden);
            NDArray de = gaussian(manager, random, tokens, hidden);
            NDArray r = gaussian(manager, random, tokens, 1);
            GatedMlp.Reverse reverse = expert.reverse(x, de, r, null, 0);
            double[] dx = reverse.dx().toDoubleArray();
            double[] values = x.toDoubleArray();
            double worst = 0;
            for (int i = 0; i < values.length; i++) {
                double difference = (along(expert, values, i, STEP, de, r) - along(expert, values, i, -STEP, de, r)) / (2 * STEP);
                worst = Math.max(worst, Math.abs(difference - dx[i]) / (1 + Math.abs(dx[i])));
            }
            assertThat(worst).isLessThan(1e-8);
            // dr = dE . E
            assertThat(reverse.dr().toDoubleArray()).containsExactly(expert.forward(x).mul(de).sum(new int[]{1}).toDoubleArray(),
                    within(1e-12));
        }
    }

    /** The slow twin: every atom as an MLP of its own. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aWideMlpIsTheSumOfItsPieces(boolean taped) {
        Random random = new Random(8);
        int hidden = 6;
        int width = 2 * GatedMlp.ATOMS_AT_ONCE + 3;
        try (NDManager manager = NDManager.newBaseManager(Device.cpu()); Scratch _ = new Scratch(); Tapes tapes = new Tapes(0)) {
            Tapes.Slot slot = taped ? tapes.slot(0, 0) : null;
            GatedMlp wide = new GatedMlp(gaussian(manager, random, width, hidden), gaussian(manager, random, width, hidden),
                    gaussian(manager, random, hidden, width));
            NDArray x = gaussian(manager, random, 5, hidden);
            NDArray dy = gaussian(manager, random, 5, hidden);
            NDArray r = gaussian(manager, random, 5, 1);
            NDArray y = x.zerosLike();
            NDArray dx = x.zerosLike();
            NDArray dr = r.zerosLike();
            for (int atom = 0; atom < width; atom++) {
                NDIndex row = Head.rows(atom, atom + 1);
                NDIndex column = new NDIndex().addAllDim().addSliceDim(atom, atom + 1);
                GatedMlp one = new GatedMlp(wide.gate().get(row), wide.up().get(row), wide.down().get(column));
                y.addi(one.forward(x));
                GatedMlp.Reverse reverse = one.reverse(x, dy, r, null, 0);
                dx.addi(reverse.dx());
                dr.addi(reverse.dr());
            }
            assertThat(wide.forward(x, slot, 0).toDoubleArray()).containsExactly(y.toDoubleArray(), within(1e-10));
            GatedMlp.Reverse reverse = wide.reverse(x, dy, r, slot, 0);
            assertThat(reverse.dx().toDoubleArray()).containsExactly(dx.toDoubleArray(), within(1e-10));
            assertThat(reverse.dr().toDoubleArray()).containsExactly(dr.toDoubleArray(), within(1e-10));
        }
    }

    private static double along(GatedMlp expert, double[] values, int i, double step, NDArray de, NDArray r) {
        double[] moved = values.clone();
        moved[i] += step;
        NDArray x = de.getManager().create(moved, de.getShape());
        return expert.forward(x).mul(r).mul(de).sum().getDouble();
    }

    @ParameterizedTest
    @EnumSource(RandomModel.class)
    void everyLayersBackwardEqualsFiniteDifferences(RandomModel model, @TempDir Path directory) {
        try (Checkpoint checkpoint = Checkpoint.open(model.write(directory, 11));
                Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, Compute.checking())) {
            Random random = new Random(3);
            TokenBatch batch = TokenBatch.of(new int[][]{ids(random, 9), ids(random, 9)});
            int hidden = decoder.spec().hiddenSize();
            for (int l = 0; l < decoder.spec().layers().size(); l++) {
                DecoderLayer layer = decoder.layer(l);
                NDArray x = gaussian(decoder.manager(), random, 18, hidden);
                NDArray dy = gaussian(decoder.manager(), random, 18, hidden);
                NDArray direction = gaussian(decoder.manager(), random, 18, hidden);
                int[] selected = layer.forward(x, batch, ExpertObserver.NONE).selected();
                double analytic = layer.backward(x, dy, batch, selected, ExpertObserver.NONE).mul(direction).sum().getDouble();
                double step = 1e-6;
                double ahead = layer.forward(x.add(direction.mul(step)), batch, ExpertObserver.NONE).y().mul(dy).sum().getDouble();
                double behind = layer.forward(x.sub(direction.mul(step)), batch, ExpertObserver.NONE).y().mul(dy).sum().getDouble();
                double difference = (ahead - behind) / (2 * step);
                assertThat(difference).as("layer %d", l).isCloseTo(analytic, within(1e-6 * (1 + Math.abs(analytic))));
            }
            NDArray x = gaussian(decoder.manager(), random, 18, hidden);
            NDArray direction = gaussian(decoder.manager(), random, 18, hidden);
            double analytic = lossGradient(decoder, batch, x, directory).mul(direction).sum().getDouble();
            double difference = (loss(decoder, batch, x.add(direction.mul(STEP))) - loss(decoder, batch, x.sub(direction.mul(STEP))))
                    / (2 * STEP);
            assertThat(difference).as("head").isCloseTo(analytic, within(1e-6 * (1 + Math.abs(analytic))));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 25, 49})
    void aHeadThatComesInPiecesGivesTheLossAndGradientOfTheWhole(int rows, @TempDir Path directory) {
        try (Checkpoint checkpoint = Checkpoint.open(RandomModel.QWEN2_MOE_STEPPED.write(directory, 11))) {
            Random random = new Random(3);
            TokenBatch batch = new TokenBatch(new int[][]{ids(random, 9), ids(random, 9)}, new int[]{9, 4});
            DecoderSpec spec = Architecture.specOf(checkpoint);
            Compute inPieces = new Compute(Device.cpu(), Compute.Precision.FLOAT64, 2, true, false, rows);
            try (Decoder whole = Decoder.open(checkpoint, spec, KeptAtoms.ALL, Compute.checking());
                    Decoder pieces = Decoder.open(checkpoint, spec, KeptAtoms.ALL, inPieces)) {
                NDArray x = gaussian(whole.manager(), random, 18, spec.hiddenSize());
                assertThat(loss(pieces, batch, x)).isCloseTo(loss(whole, batch, x), within(1e-10));
                assertThat(lossGradient(pieces, batch, x, directory).toDoubleArray())
                        .containsExactly(lossGradient(whole, batch, x, directory).toDoubleArray(), within(1e-12));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(RandomModel.class)
    void inBfloat16EveryProjectionOfAttentionIsAMatrixOfThatType(RandomModel model, @TempDir Path directory) {
        Compute compute = Compute.cpu(Compute.Precision.BFLOAT16);
        try (Checkpoint checkpoint = Checkpoint.open(model.write(directory, 11));
                Weights weights = new Weights(checkpoint, KeptAtoms.ALL, compute, new Lanes(1))) {
            DecoderSpec spec = Architecture.specOf(checkpoint);
            weights.begin(spec.commonTensors(spec.layers().getFirst()), List.of());
            Attention attention = Attention.load(weights, spec.layers().getFirst().prefix(), spec.attention(), 1e-6);
            // DJL has no name for bfloat16
            assertThat(List.of(attention.q(), attention.k(), attention.v(), attention.o()))
                    .allMatch(w -> w.getDataType() == DataType.UNKNOWN);
        }
    }

    private static double loss(Decoder decoder, TokenBatch batch, NDArray x) {
        return new LossPass(decoder, List.of(batch), _ -> x, null, 0).run()[0];
    }

    private static NDArray lossGradient(Decoder decoder, TokenBatch batch, NDArray x, Path directory) {
        int rows = (int) x.getShape().get(0);
        int hidden = decoder.spec().hiddenSize();
        try (HiddenStates states = HiddenStates.create(1, rows, hidden, DataType.FLOAT64, false, directory)) {
            new LossPass(decoder, List.of(batch), _ -> x, states, 0).run();
            return states.get(0, 0, rows, hidden, decoder.manager()).duplicate();
        }
    }

    private static int[] ids(Random random, int length) {
        return random.ints(length, 0, 50).toArray();
    }

    private static NDArray gaussian(NDManager manager, Random random, int rows, int columns) {
        double[] values = new double[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextGaussian();
        }
        return manager.create(values, new Shape(rows, columns));
    }
}
