package io.espalier.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;

import ai.djl.Device;
import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.Checkpoint;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Decoding with kept keys and values, against what transformers said and against decoding that computes everything again. */
class GreedyDecodingTest {

    private static final GreedyDecoding.Watch NOBODY = (_, _, _, _) -> {};

    /** Ways that a layer's weights come into memory, and the head in one piece or in many. */
    private static final List<Compute> WAYS = List.of(Compute.cpu(),
            new Compute(Device.cpu(), Compute.Precision.FLOAT32, 2, false, false, Integer.MAX_VALUE),
            new Compute(Device.cpu(), Compute.Precision.FLOAT32, 1, false, false, 100),
            new Compute(Device.cpu(), Compute.Precision.FLOAT32, 2, true, true, 300));

    @TempDir
    Path directory;

    @ParameterizedTest
    @EnumSource
    void theContinuationIsTheReferencesTokenForTokenHoweverWeightsAreRead(Fixture fixture) {
        JsonNode forward = JsonMapper.shared().readTree(fixture.reference("forward.json").toFile());
        int[] prompt = ints(forward.get("prompt_ids"));
        int[] greedy = ints(forward.get("greedy_ids"));
        int[] other = Arrays.copyOf(prompt, prompt.length - 1);
        for (Compute compute : WAYS) {
            int[][] found = decode(fixture.model(), compute, new int[][]{other, prompt, prompt}, greedy.length, Set.of());
            assertThat(found[1]).as("%s", compute).isEqualTo(greedy);
            assertThat(found[2]).isEqualTo(greedy);
            assertThat(found[0]).isEqualTo(decode(fixture.model(), Compute.cpu(), new int[][]{other}, greedy.length, Set.of())[0]);
        }
    }

    @ParameterizedTest
    @EnumSource
    void everyArchitectureDecodesAsIfEverythingWereComputedAgain(RandomModel model) {
        Path written = model.write(directory.resolve("model"), 11);
        Random random = new Random(3);
        int[][] prompts = IntStream.of(1, 2, 9, 20).mapToObj(length -> random.ints(length, 0, 50).toArray()).toArray(int[][]::new);
        int[][] found = decode(written, Compute.checking(), prompts, 30, Set.of());
        for (int p = 0; p < prompts.length; p++) {
            assertThat(found[p]).as("behind %d tokens", prompts[p].length)
                    .isEqualTo(SlowDecoding.continued(written, prompts[p], 30, Compute.checking()));
        }
    }

    @Test
    void atATokenThatEndsATextNothingFollowsAndTheOthersGoOn() {
        JsonNode forward = JsonMapper.shared().readTree(Fixture.LLAMA.reference("forward.json").toFile());
        int[] prompt = ints(forward.get("prompt_ids"));
        int[] greedy = ints(forward.get("greedy_ids"));
        int[] longer = Arrays.copyOf(prompt, prompt.length + 1);
        longer[prompt.length] = greedy[0];
        int end = greedy[0];
        int[][] found = decode(Fixture.LLAMA.model(), Compute.cpu(), new int[][]{prompt, longer}, 3, Set.of(end));
        assertThat(found[0]).containsExactly(end);
        int[] rest = Arrays.copyOfRange(greedy, 1, 4);
        int at = IntStream.range(0, rest.length).filter(i -> rest[i] == end).findFirst().orElse(rest.length - 1);
        assertThat(found[1]).containsExactly(Arrays.copyOf(rest, at + 1));
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void ofEqualLogitsTheLowestIdIsTaken(boolean inPieces) {
        // a head of zeros: all logits are equal
        Path written = Dialects.changed(RandomModel.LLAMA.write(directory.resolve("plain"), 1), directory.resolve("model"),
                name -> name.equals("lm_head.weight"), java.util.Map.of(
                        new io.espalier.checkpoint.SafetensorsWriter.Declared("lm_head.weight", io.espalier.checkpoint.DType.F32,
                                List.of(50L, 24L)),
                        new byte[50 * 24 * 4]));
        Compute compute = new Compute(Device.cpu(), Compute.Precision.FLOAT32, 1, true, false, inPieces ? 7 : 50);
        assertThat(decode(written, compute, new int[][]{{4, 9}}, 3, Set.of())[0]).containsExactly(0, 0, 0);
    }

    @Test
    void whoeverWatchesHearsOfEveryLayerOfEveryTokenAndCanStop() {
        int[][] heard = new int[1][];
        try (Checkpoint checkpoint = Checkpoint.open(Fixture.QWEN2_MOE.model());
                Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, Compute.cpu());
                GreedyDecoding decoding = new GreedyDecoding(decoder, new int[][]{{5, 6}, {7, 8}}, 5, Set.of())) {
            assertThatThrownBy(() -> decoding.run((token, layer, passed, going) -> {
                heard[0] = new int[]{token, layer, passed, going};
                if (token == 2 && layer == 1 && passed == 2) {
                    throw new IllegalStateException("enough");
                }
            })).hasMessage("enough");
        }
        assertThat(heard[0]).containsExactly(2, 1, 2, 2);
    }

    @Test
    void memoryForDecodingIsThatOfItsKeysAndValuesAndOfTheExpertsAtWork() {
        try (Checkpoint checkpoint = Checkpoint.open(Fixture.QWEN2_MOE.model())) {
            var spec = Architecture.specOf(checkpoint);
            MemoryPlan few = plan(spec, 1, 64);
            MemoryPlan many = plan(spec, 16, 64);
            assertThat(many.bytes() - few.bytes()).isEqualTo(15 * (KeyValues.bytes(spec, 64, 4) + 2L * 64 * spec.hiddenSize() * 4));
            assertThat(many.sequencesPerBatch()).isEqualTo(1);
            assertThat(many.compute().wholeLayers()).isFalse();
            assertThatThrownBy(() -> MemoryPlan.of(spec, new MemoryPlan.Work(16, 640, MemoryPlan.Kind.DECODE), Device.cpu(),
                    Compute.Precision.FLOAT32, 1, 1000)).isInstanceOf(MemoryPlan.BudgetTooSmallException.class);
        }
    }

    private static MemoryPlan plan(io.espalier.architecture.DecoderSpec spec, int sequences, int length) {
        return MemoryPlan.of(spec, new MemoryPlan.Work(sequences, length, MemoryPlan.Kind.DECODE), Device.cpu(), Compute.Precision.FLOAT32,
                2, 1L << 40);
    }

    private static int[][] decode(Path model, Compute compute, int[][] prompts, int tokens, Set<Integer> ends) {
        try (Checkpoint checkpoint = Checkpoint.open(model);
                Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, compute);
                GreedyDecoding decoding = new GreedyDecoding(decoder, prompts, tokens, ends)) {
            return decoding.run(NOBODY);
        }
    }

    private static int[] ints(JsonNode list) {
        return list.valueStream().mapToInt(JsonNode::intValue).toArray();
    }
}
