package io.espalier.calibration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.corpus.TokenWindows;
import io.espalier.recipe.PhaseProgress;
import io.espalier.transformer.AutogradTwin;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.MemoryPlan;
import io.espalier.transformer.RandomModel;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Models that nobody publishes and every rule allows, against whole-graph autograd. */
class OddModelTest {

    @TempDir
    Path directory;

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "one expert of width one | QWEN3_MOE | {'hidden_size': 23, 'num_attention_heads': 5, 'num_key_value_heads': 1, 'head_dim': 2,"
                    + " 'num_experts': 1, 'num_experts_per_tok': 1, 'moe_intermediate_size': 1}",
            "every expert for every token | QWEN2_MOE | {'hidden_size': 18, 'num_attention_heads': 3, 'num_key_value_heads': 3,"
                    + " 'num_experts_per_tok': 6, 'norm_topk_prob': true, 'shared_expert_intermediate_size': 1, 'qkv_bias': false}",
            "all layers dense but the last | QWEN2_MOE | {'mlp_only_layers': [0, 1, 7], 'num_experts_per_tok': 1, 'norm_topk_prob': true}",
            "one expert a token, told to normalise | DEEPSEEK | {'num_experts_per_tok': 1, 'norm_topk_prob': true, 'attention_bias': true}",
            "a mixture in every other layer | DEEPSEEK | {'moe_layer_freq': 2, 'n_shared_experts': 3, 'num_hidden_layers': 4}",
            "no shared expert | DEEPSEEK | {'n_shared_experts': null, 'first_k_dense_replace': 0, 'norm_topk_prob': false}",
            "norms over several heads | OLMOE | {'num_attention_heads': 6, 'num_key_value_heads': 3, 'norm_topk_prob': true,"
                    + " 'num_experts_per_tok': 5, 'attention_bias': true, 'rope_theta': 3.5, 'rms_norm_eps': 0.1}",
            "a single expert | MIXTRAL | {'num_local_experts': 1, 'num_experts_per_tok': 1, 'head_dim': 10, 'tie_word_embeddings': true}",
            "one layer | MIXTRAL | {'num_hidden_layers': 1, 'num_key_value_heads': 4, 'intermediate_size': 3}"})
    void everyMomentIsTheTwins(String what, RandomModel model, String changes) {
        ObjectNode config = model.config();
        config.setAll((ObjectNode) JsonMapper.shared().readTree(changes.replace('\'', '"')));
        for (int length : new int[]{2, 9}) {
            assertTwins(RandomModel.write(directory.resolve(String.valueOf(length)), config, 7), length);
        }
    }

    private void assertTwins(Path model, int length) {
        int[] ids = new Random(3).ints(length, 0, 50).toArray();
        Compute compute = new Compute(Device.cpu(), Compute.Precision.FLOAT64, 1, true, false, 50);
        try (Checkpoint checkpoint = Checkpoint.open(model);
                NDManager manager = NDManager.newBaseManager(Device.cpu());
                Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, compute)) {
            Map<String, AutogradTwin.Seen> seen = new HashMap<>();
            double loss = new AutogradTwin(checkpoint, manager).run(ids, seen);
            ExpertStatistics swept = new Sweep(decoder, TokenWindows.of(new int[][]{ids}), EnumSet.allOf(Moment.class), "test",
                    new MemoryPlan(compute, 1, false, 0, 0), directory).run(PhaseProgress.IGNORED);
            assertThat(swept.meanLoss() * (length - 1)).isCloseTo(loss, within(1e-10 * loss));
            List<ExpertTensors> experts = decoder.spec().experts();
            assertThat(experts).isNotEmpty().hasSameSizeAs(seen.keySet());
            for (int e = 0; e < experts.size(); e++) {
                AutogradTwin.Seen twins = seen.get(experts.get(e).layer() + ":" + experts.get(e).expert());
                assertThat(swept.routedTokens(e)).isEqualTo(twins.a().size());
                for (int k = 0; k < experts.get(e).width() && !twins.a().isEmpty(); k++) {
                    assertClose(swept.mean(Moment.ACTIVATION_SQUARED, e)[k], twins.a(), k);
                    assertClose(swept.mean(Moment.GRADIENT_SQUARED, e)[k], twins.da(), k);
                }
            }
        }
    }

    private static void assertClose(double given, List<double[]> rows, int k) {
        double expected = rows.stream().mapToDouble(row -> row[k] * row[k]).average().orElseThrow();
        assertThat(given).isCloseTo(expected, within(1e-9 * expected + 1e-25));
    }
}
