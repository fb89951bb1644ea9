package io.espalier.calibration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.EnumSet;
import java.util.Random;

import ai.djl.Device;
import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.corpus.TokenWindows;
import io.espalier.recipe.PhaseProgress;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Compute.Precision;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.Dialects;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.MemoryPlan;
import io.espalier.transformer.RandomModel;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Statistics know nothing of the dialect that the weights came in. */
class DialectSweepTest {

    @TempDir
    Path directory;

    @ParameterizedTest
    @CsvSource({"QWEN2_MOE, FLOAT32, true", "QWEN3_MOE, FLOAT32, false", "DEEPSEEK, BFLOAT16, false", "OLMOE, FLOAT32, true",
            "MIXTRAL, FLOAT64, true"})
    void aFusedModelGivesTheBitsOfTheSameModelExpertByExpert(RandomModel model, Precision precision, boolean wholeLayers) {
        Path plain = model.write(directory.resolve("plain"), 5);
        assertSame(statistics(Dialects.fused(plain, directory.resolve("fused"), "mlp"), precision, wholeLayers),
                statistics(plain, precision, wholeLayers));
    }

    @ParameterizedTest
    @CsvSource({"4, FLOAT32, true", "0, FLOAT32, false", "8, BFLOAT16, true"})
    void anFp8ModelGivesTheBitsOfTheNumbersItMeans(int block, Precision precision, boolean wholeLayers) {
        Path fp8 = Dialects.fp8(RandomModel.QWEN2_MOE.write(directory.resolve("plain"), 5), directory.resolve("fp8"), block, DType.BF16);
        assertSame(statistics(fp8, precision, wholeLayers),
                statistics(Dialects.dequantised(fp8, directory.resolve("meant")), precision, wholeLayers));
    }

    private ExpertStatistics statistics(Path model, Precision precision, boolean wholeLayers) {
        Random random = new Random(3);
        int[][] ids = new int[4][];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = random.ints(16, 0, 50).toArray();
        }
        Compute compute = new Compute(Device.cpu(), precision, 1, wholeLayers, false, Integer.MAX_VALUE);
        MemoryPlan plan = new MemoryPlan(compute, ids.length, false, 0, 0);
        try (Checkpoint checkpoint = Checkpoint.open(model);
                Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, compute)) {
            return new Sweep(decoder, TokenWindows.of(ids), EnumSet.allOf(Moment.class), "test", plan, directory)
                    .run(PhaseProgress.IGNORED);
        }
    }

    private static void assertSame(ExpertStatistics given, ExpertStatistics expected) {
        assertThat(given.meanLoss()).isEqualTo(expected.meanLoss());
        assertThat(given.experts()).isEqualTo(expected.experts());
        for (int e = 0; e < expected.experts(); e++) {
            assertThat(given.routedTokens(e)).isEqualTo(expected.routedTokens(e));
            for (Moment moment : Moment.values()) {
                assertThat(given.mean(moment, e)).isEqualTo(expected.mean(moment, e));
            }
        }
    }
}
