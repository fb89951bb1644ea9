package io.espalier.catalog;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.MalformedCheckpointException;
import io.espalier.checkpoint.Tensor;
import io.espalier.recipe.Violation;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What the headers of a checkpoint say.
 *
 * @param modelType as {@code config.json} says it; {@code null} when it does not
 * @param files weight files
 * @param tensors in them
 * @param bytes of all tensors
 * @param dtypes by name, ascending
 */
@JsonNaming(SnakeCaseStrategy.class)
public record ModelFacts(String modelType, int files, int tensors, long bytes, List<Stored> dtypes) {

    /** What is stored in one dtype. */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Stored(String dtype, int tensors, long bytes) {}

    /**
     * Reads config, index and headers.
     *
     * @param found takes what the checkpoint breaks of its own format
     * @return {@code null} when it does
     */
    public static ModelFacts of(Path directory, List<Violation> found) {
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            Map<String, List<Tensor>> stored = checkpoint.tensors().values().stream()
                    .collect(Collectors.groupingBy(tensor -> tensor.dtype().name(), TreeMap::new, Collectors.toList()));
            return new ModelFacts(checkpoint.config().path("model_type").stringValue(null), checkpoint.shards().size(),
                    checkpoint.tensors().size(), checkpoint.tensorBytes(), stored.entrySet().stream().map(each -> new Stored(each.getKey(),
                            each.getValue().size(), each.getValue().stream().mapToLong(Tensor::length).sum())).toList());
        } catch (MalformedCheckpointException broken) {
            found.add(Violation.said("model", broken.getMessage()));
            return null;
        }
    }
}
