package io.espalier.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.architecture.UnsupportedModelException;
import io.espalier.checkpoint.Checkpoint;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** What a stranger may write into {@code config.json}: it is read as the stock class reads it, or refused by name, and never anything else. */
class OddConfigurationTest {

    private static final List<String> KEYS = List.of("hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim",
            "num_hidden_layers", "intermediate_size", "moe_intermediate_size", "shared_expert_intermediate_size", "vocab_size",
            "hidden_act", "max_position_embeddings", "rms_norm_eps", "rope_theta", "rope_scaling", "rope_parameters",
            "partial_rotary_factor",
            "tie_word_embeddings", "num_experts", "num_local_experts", "n_routed_experts", "n_shared_experts", "num_experts_per_tok",
            "norm_topk_prob", "mlp_only_layers", "decoder_sparse_step", "first_k_dense_replace", "moe_layer_freq", "sliding_window",
            "use_sliding_window", "layer_types", "attention_bias", "qkv_bias", "mlp_bias", "clip_qkv", "scoring_func", "topk_method",
            "routed_scaling_factor", "n_group", "quantization_config", "per_layer_config", "espalier");

    private static final List<String> VALUES = List.of("null", "true", "\"x\"", "-1", "0", "1.5", "3", "99999999999", "2147483647", "1e400",
            "NaN", "[]", "[1]", "[99999999999]", "[\"x\"]", "{}", "{\"rope_type\": 3}", "{\"type\": null, \"rope_theta\": \"x\"}",
            "{\"0\": {\"moe_intermediate_size\": 99999999999}}", "{\"expert_widths\": {\"0\": [99999999999, 1]}}",
            "{\"expert_widths\": {\"0\": 3}, \"shared_expert_width\": 99999999999}",
            "{\"quant_method\": \"fp8\", \"weight_block_size\": 3}");

    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(tools.jackson.core.json.JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

    @TempDir
    Path directory;

    @ParameterizedTest
    @EnumSource(RandomModel.class)
    void everyValueOfEveryKeyIsReadOrRefused(RandomModel model) throws IOException {
        Path written = model.write(directory, 1);
        int refused = 0;
        for (String key : KEYS) {
            for (String value : VALUES) {
                ObjectNode config = model.config();
                config.set(key, JSON.readTree(value));
                Files.writeString(written.resolve("config.json"), JSON.writeValueAsString(config).replace("\"NaN\"", "NaN"));
                try (Checkpoint checkpoint = Checkpoint.open(written)) {
                    Architecture.specOf(checkpoint);
                } catch (UnsupportedModelException named) {
                    assertThat(named.problems()).as(key + " " + value).doesNotHaveDuplicates();
                    refused++;
                }
            }
        }
        assertThat(refused).isGreaterThan(100);
    }

    private DecoderSpec read(RandomModel model, String changes) {
        ObjectNode config = model.config();
        config.setAll((ObjectNode) JSON.readTree(changes));
        Path written = model.write(directory, 1);
        try {
            Files.writeString(written.resolve("config.json"), config.toString());
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        try (Checkpoint checkpoint = Checkpoint.open(written)) {
            return Architecture.specOf(checkpoint);
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"{\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 5e5}} | 500000",
            "{\"rope_scaling\": {\"type\": \"default\"}, \"rope_theta\": 7} | 7", "{\"rope_theta\": null} | 10000",
            "{\"rope_scaling\": {}, \"rope_parameters\": null} | 10000"})
    void theBaseOfThePositionsIsReadInBothSpellings(String changes, double theta) {
        assertThat(read(RandomModel.QWEN3_MOE, changes).attention().ropeTheta()).isEqualTo(theta);
    }

    static Stream<String> refusals() {
        return Stream.of(
                "{\"rope_parameters\": {\"rope_theta\": 1e4, \"partial_rotary_factor\": 0.5}} | rope_parameters.partial_rotary_factor",
                "{\"rope_parameters\": {\"rope_theta\": \"1e4\"}} | rope_parameters.rope_theta",
                "{\"rope_parameters\": {\"rope_theta\": -1}} | rope_parameters.rope_theta");
    }

    @ParameterizedTest
    @org.junit.jupiter.params.provider.MethodSource("refusals")
    void positionsThatAreNotTheStockOnesAreRefused(String changesAndName) {
        String[] parts = changesAndName.split(" \\| ");
        assertThatThrownBy(() -> read(RandomModel.QWEN3_MOE, parts[0])).isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("config.json: " + parts[1]);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"QWEN3_MOE | {\"layer_types\": [\"full_attention\", \"linear_attention\"]} | layer_types",
            "DEEPSEEK | {\"topk_method\": \"group_limited_greedy\"} | topk_method",
            "DEEPSEEK | {\"routed_scaling_factor\": 2.5} | routed_scaling_factor",
            "OLMOE | {\"num_hidden_layers\": 2000000000} | num_hidden_layers", "OLMOE | {\"num_experts\": 2147483647} | num_experts"})
    void whatWouldBeAnotherModelIsRefusedByName(RandomModel model, String changes, String named) {
        assertThatThrownBy(() -> read(model, changes)).isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("config.json: " + named + ": ");
    }

    @Test
    void layerTypesThatSayNothingNewAreRead() {
        assertThat(read(RandomModel.QWEN3_MOE, "{\"layer_types\": [\"full_attention\", \"full_attention\", \"full_attention\"]}").layers())
                .hasSize(3);
    }

    /** A {@code num_experts} that is absent is the stock class's default, not a dense model. */
    @ParameterizedTest
    @CsvSource({"QWEN2_MOE, 60", "QWEN3_MOE, 128"})
    void theNumberOfExpertsHasTheStockDefault(RandomModel model, int experts) {
        ObjectNode config = model.config();
        config.remove("num_experts");
        assertThat(Architecture.described(config).experts(Architecture.described(config).layers().getFirst())).hasSize(experts);
    }
}
