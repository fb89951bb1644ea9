package io.espalier.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import ai.djl.Device;
import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.transformer.Compute.Precision;
import io.espalier.transformer.MemoryPlan.BudgetTooSmallException;
import io.espalier.transformer.MemoryPlan.Work;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Decisions for the shape of Qwen3-30B-A3B, from its configuration alone. */
class MemoryPlanTest {

    private static final long GIB = 1L << 30;
    private static final Work PAPER = new Work(128, 2048, true);

    @Test
    void aLargeBudgetHoldsWholeLayersAndTheResidualStreamInMemory() {
        MemoryPlan plan = plan(PAPER, Precision.FLOAT32, 400 * GIB);
        assertThat(plan.compute().wholeLayers()).isTrue();
        assertThat(plan.compute().ahead()).as("the conversion would take the cores that compute").isFalse();
        assertThat(plan.spill()).isFalse();
        assertThat(plan.compute().headRows()).isEqualTo(151_936);
        assertThat(plan.compute().lanes()).isEqualTo(4);
    }

    @Test
    void aGpuHoldsTwoLayersSoThatOneIsCopiedWhileTheOtherComputes() {
        MemoryPlan plan = MemoryPlan.of(spec(config()), new Work(16, 2048, true), Device.gpu(0), Precision.BFLOAT16, 1, 80 * GIB);
        assertThat(plan.compute().ahead()).isTrue();
        assertThat(plan.compute().device()).isEqualTo(Device.gpu(0));
    }

    @Test
    void theResidualStreamGoesToAFileBeforeLanesAreGivenUp() {
        MemoryPlan plan = plan(PAPER, Precision.FLOAT32, 24 * GIB);
        assertThat(plan.spill()).isTrue();
        assertThat(plan.compute().wholeLayers()).isTrue();
        assertThat(plan.compute().lanes()).isEqualTo(4);
        assertThat(plan.bytes()).isLessThanOrEqualTo(24 * GIB);
    }

    @Test
    void aSmallBudgetReadsExpertsOneByOneAndTheHeadInPieces() {
        MemoryPlan plan = plan(new Work(16, 512, true), Precision.FLOAT32, 2 * GIB);
        assertThat(plan.compute().wholeLayers()).isFalse();
        assertThat(plan.compute().headRows()).isBetween(1000, 100_000);
        assertThat(plan.bytes()).isLessThanOrEqualTo(2 * GIB);
    }

    @Test
    void everyBudgetIsKeptByTheEstimateOrRefusedWithTheSmallestThatWouldDo() {
        BudgetTooSmallException refused = catchThrowableOfType(BudgetTooSmallException.class, () -> plan(PAPER, Precision.FLOAT32, 1000));
        assertThat(refused).hasMessageContaining("memory budget: 1000 bytes (expected: at least " + refused.smallest());
        assertThat(plan(PAPER, Precision.FLOAT32, refused.smallest()).bytes()).isEqualTo(refused.smallest());
        assertThat(plan(PAPER, Precision.FLOAT32, refused.smallest()).tapedLayers()).isZero();
        assertThat(catchThrowableOfType(BudgetTooSmallException.class, () -> plan(PAPER, Precision.FLOAT32, refused.smallest() - 1)))
                .isNotNull();
        for (long budget = refused.smallest(); budget < 64 * GIB; budget *= 2) {
            assertThat(plan(PAPER, Precision.FLOAT32, budget).bytes()).isLessThanOrEqualTo(budget);
        }
    }

    @Test
    void theEstimateDoesNotGrowWithTheNumberOfLayersOnceTheStreamIsInAFile() {
        ObjectNode deep = config();
        deep.put("num_hidden_layers", 480);
        Work work = new Work(8, 2048, true);
        MemoryPlan shallow = MemoryPlan.of(spec(config()), work, Device.cpu(), Precision.BFLOAT16, 2, 3 * GIB);
        MemoryPlan same = MemoryPlan.of(spec(deep), work, Device.cpu(), Precision.BFLOAT16, 2, 3 * GIB);
        assertThat(same.spill()).isTrue();
        assertThat(same.bytes()).isEqualTo(MemoryPlan.of(spec(config()), work, Device.cpu(), Precision.BFLOAT16, 2, same.bytes()).bytes());
        assertThat(shallow.bytes()).isLessThanOrEqualTo(3 * GIB);
    }

    @Test
    void whatIsLeftOfTheBudgetGoesToTapesOfTheLastLayers() {
        Work work = new Work(8, 512, true);
        assertThat(plan(work, Precision.BFLOAT16, 4 * GIB).tapedLayers()).isBetween(1, 46);
        assertThat(plan(work, Precision.BFLOAT16, 400 * GIB).tapedLayers()).as("all but the lowest").isEqualTo(47);
        ObjectNode dense = config();
        dense.putArray("mlp_only_layers").add(0).add(1).add(5);
        MemoryPlan plan = MemoryPlan.of(spec(dense), work, Device.cpu(), Precision.BFLOAT16, 4, 400 * GIB);
        assertThat(plan.tapedLayers()).as("none that is never reversed").isEqualTo(45);
        assertThat(plan.bytes()).isLessThan(plan(work, Precision.BFLOAT16, 400 * GIB).bytes());
        assertThat(plan(new Work(8, 512, false), Precision.BFLOAT16, 400 * GIB).tapedLayers()).isZero();
    }

    @Test
    void theStreamIsKeptAboveTheLowestExpertsOnly() {
        assertThat(ForwardPass.slots(48, 0)).as("47 inputs, the output, and one that turns into the gradient").isEqualTo(49);
        assertThat(ForwardPass.slots(48, 3)).as("44 inputs, the output, and two for the layers below").isEqualTo(47);
        assertThat(ForwardPass.slots(48, 48)).as("nothing is reversed").isEqualTo(2);
        assertThat(ForwardPass.slots(47, 47)).isEqualTo(2);
    }

    /** Attention takes all queries of a key head together: 8 heads of 4096 x 4096 numbers here, three such blocks and a mask. */
    @Test
    void theScoresOfALongSequenceAreCounted() {
        long block = 8L * 4096 * 4096 * Float.BYTES;
        long halved = plan(new Work(1, 2048, true), Precision.FLOAT32, 400 * GIB).bytes();
        assertThat(plan(new Work(1, 4096, true), Precision.FLOAT32, 400 * GIB).bytes()).isGreaterThan(3 * block)
                .isGreaterThan(halved + 2 * block);
    }

    @Test
    void halvingEndsAtOneSequence() {
        MemoryPlan plan = plan(new Work(64, 512, true), Precision.BFLOAT16, 400 * GIB);
        assertThat(plan.sequencesPerBatch()).isEqualTo(4);
        assertThat(plan.halved().sequencesPerBatch()).isEqualTo(2);
        assertThat(plan.halved().halved().halved()).isNull();
    }

    private static MemoryPlan plan(Work work, Precision precision, long budget) {
        return MemoryPlan.of(spec(config()), work, Device.cpu(), precision, 4, budget);
    }

    private static DecoderSpec spec(ObjectNode config) {
        return Architecture.described(config);
    }

    private static ObjectNode config() {
        return (ObjectNode) JsonMapper.shared().readTree("""
                {"model_type": "qwen3_moe", "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
                 "num_hidden_layers": 48, "vocab_size": 151936, "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768,
                 "intermediate_size": 6144, "max_position_embeddings": 40960, "norm_topk_prob": true}""");
    }
}
