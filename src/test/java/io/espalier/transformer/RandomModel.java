package io.espalier.transformer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SequencedMap;

import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** A small random checkpoint of every architecture, float32, with each architecture's own switches turned on. */
public enum RandomModel {

    QWEN2_MOE("""
            {"model_type": "qwen2_moe", "num_key_value_heads": 4, "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 10,
             "shared_expert_intermediate_size": 14, "norm_topk_prob": false, "mlp_only_layers": [1]}"""), QWEN2_MOE_STEPPED(
            """
                    {"model_type": "qwen2_moe", "num_key_value_heads": 2, "num_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 10,
                     "shared_expert_intermediate_size": 14, "norm_topk_prob": true, "decoder_sparse_step": 2, "tie_word_embeddings": true}"""), QWEN3_MOE(
                    """
                            {"model_type": "qwen3_moe", "num_key_value_heads": 2, "head_dim": 12, "num_experts": 6, "num_experts_per_tok": 2,
                             "moe_intermediate_size": 10, "norm_topk_prob": true}"""), DEEPSEEK(
                            """
                                    {"model_type": "deepseek", "num_key_value_heads": 4, "n_routed_experts": 6, "n_shared_experts": 2, "num_experts_per_tok": 3,
                                     "moe_intermediate_size": 10, "first_k_dense_replace": 1, "norm_topk_prob": true}"""), OLMOE(
                                    """
                                            {"model_type": "olmoe", "num_key_value_heads": 2, "num_experts": 6, "num_experts_per_tok": 2, "intermediate_size": 10,
                                             "norm_topk_prob": false}"""), MIXTRAL(
                                            """
                                                    {"model_type": "mixtral", "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 10}"""), LLAMA(
                                                    """
                                                            {"model_type": "llama", "num_key_value_heads": 2, "attention_bias": true}""");

    private static final JsonMapper JSON = JsonMapper.shared();

    private final String config;

    RandomModel(String config) {
        this.config = config;
    }

    /** The configuration, complete. */
    public ObjectNode config() {
        ObjectNode complete = (ObjectNode) JSON.readTree(
                """
                        {"hidden_size": 24, "num_attention_heads": 4, "num_hidden_layers": 3, "intermediate_size": 20, "vocab_size": 50, "hidden_act": "silu",
                         "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": false}""");
        complete.setAll((ObjectNode) JSON.readTree(config));
        return complete;
    }

    /** Writes the model; the same seed gives the same bytes. */
    public Path write(Path directory, long seed) {
        return write(directory, config(), seed);
    }

    /** Writes a model of another configuration of the same architecture. */
    public static Path write(Path directory, ObjectNode config, long seed) {
        SequencedMap<String, long[]> tensors = Architecture.described(config).tensors();
        List<Declared> declared = new ArrayList<>();
        tensors.forEach((name, shape) -> declared.add(new Declared(name, DType.F32, Arrays.stream(shape).boxed().toList())));
        Random random = new Random(seed);
        try {
            Files.createDirectories(directory);
            Files.writeString(directory.resolve("config.json"), JSON.writeValueAsString(config));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        try (SafetensorsWriter writer = SafetensorsWriter.create(directory.resolve("model.safetensors"), declared,
                Map.of("format", "pt"))) {
            tensors.forEach((name, shape) -> {
                float[] values = new float[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
                boolean norm = name.endsWith("norm.weight");
                for (int i = 0; i < values.length; i++) {
                    values[i] = (float) (norm ? 1 + 0.1 * random.nextGaussian() : 0.3 * random.nextGaussian());
                }
                writer.begin(name).floats(values);
            });
            writer.finish();
        }
        return directory;
    }
}
