package io.espalier.transformer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;

import ai.djl.ndarray.NDArray;
import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.SafetensorsFile;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The decoder against what independent code computed for the same trained models: transformers on PyTorch, float32. */
class DecoderParityTest {

    static List<Fixture> models() {
        return List.of(Fixture.QWEN2_MOE, Fixture.DEEPSEEK_MOE, Fixture.LLAMA);
    }

    @ParameterizedTest
    @MethodSource("models")
    void logitsAndHiddenStatesOfEveryLayerEqualTheReference(Fixture fixture) {
        try (Checkpoint checkpoint = Checkpoint.open(fixture.model());
                SafetensorsFile reference = SafetensorsFile.open(fixture.reference("forward.safetensors"));
                Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, Compute.cpu())) {
            int[] ids = Arrays.stream(reference.longs("input_ids")).mapToInt(id -> (int) id).toArray();
            TokenBatch batch = TokenBatch.of(new int[][]{ids});
            float[] hidden = reference.floats("hidden_states");
            int size = ids.length * decoder.spec().hiddenSize();
            int layers = decoder.spec().layers().size();
            NDArray x = decoder.embed(batch);
            double worst = difference(x, hidden, 0);
            for (int l = 0; l < layers; l++) {
                x = decoder.layer(l).forward(x, batch, ExpertObserver.NONE).y();
                if (l + 1 < layers) {
                    worst = Math.max(worst, difference(x, hidden, (l + 1) * size));
                }
            }
            Head head = decoder.head();
            worst = Math.max(worst, difference(head.normed(x), hidden, layers * size));
            double logits = difference(head.logits(x), reference.floats("logits"), 0);
            System.getLogger("parity").log(System.Logger.Level.INFO,
                    fixture + ": largest difference of hidden states " + worst + ", of logits " + logits);
            assertThat(worst).isLessThan(1e-4);
            assertThat(logits).isLessThan(1e-4);

            float[] nll = reference.floats("nll_per_token");
            double expected = 0;
            for (float each : nll) {
                expected += each;
            }
            NDArray top = x;
            assertThat(new LossPass(decoder, List.of(batch), _ -> top, null, 0).run()[0]).isCloseTo(expected,
                    org.assertj.core.api.Assertions.within(1e-3));
        }
    }

    @ParameterizedTest
    @MethodSource("models")
    void theGreedyContinuationIsTheReferencesTokenForToken(Fixture fixture) {
        JsonNode forward = JsonMapper.shared().readTree(fixture.reference("forward.json").toFile());
        int[] prompt = ints(forward.get("prompt_ids"));
        int[] greedy = ints(forward.get("greedy_ids"));
        assertThat(SlowDecoding.continued(fixture.model(), prompt, greedy.length, Compute.cpu())).isEqualTo(greedy);
    }

    private static double difference(NDArray given, float[] expected, int from) {
        float[] values = given.toFloatArray();
        double worst = 0;
        for (int i = 0; i < values.length; i++) {
            worst = Math.max(worst, Math.abs(values[i] - (double) expected[from + i]));
        }
        return worst;
    }

    private static int[] ints(JsonNode list) {
        return list.valueStream().mapToInt(JsonNode::intValue).toArray();
    }
}
