package io.espalier.catalog;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.architecture.DecoderSpec.Moe;
import io.espalier.architecture.ParameterCount;
import io.espalier.architecture.UnsupportedModelException;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Tensor;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What a checkpoint is, read from its configuration and the headers of its shards; no weight is read. What only an implemented architecture can say is
 * {@code null} for another.
 *
 * @param architecture {@code model_type} of the configuration; {@code null} when it has none
 * @param supported whether its mathematics is implemented
 * @param prunable whether it is supported and has routed experts
 * @param reasons why it is not prunable; empty when it is
 * @param parameters counted from the tensors
 * @param layers how many
 * @param experts of the layers that have some; {@code null} where none has
 * @param hiddenSize width of the residual stream
 * @param vocabSize rows of the embedding
 * @param maxPositions longest sequence (tokens)
 * @param tiedHead whether the head is the embedding
 * @param dtypes by dtype, how many tensors
 * @param tensors how many
 * @param tensorBytes bytes of all tensors
 * @param tokenizer {@code null} when there is none that is known
 */
@JsonNaming(SnakeCaseStrategy.class)
public record Inspection(String architecture, boolean supported, boolean prunable, List<String> reasons, Parameters parameters,
        Integer layers, Experts experts, Integer hiddenSize, Integer vocabSize, Integer maxPositions, Boolean tiedHead,
        Map<String, Integer> dtypes, int tensors, long tensorBytes, TokenizerKind tokenizer) {

    private static final String NO_EXPERTS = "no layer has routed experts (expected: a Mixture-of-Experts model)";

    /**
     * @param total of all tensors, the scales of FP8 ones aside
     * @param active those that one token meets
     * @param routed those in routed experts
     */
    public record Parameters(long total, Long active, Long routed) {}

    /**
     * @param layers how many layers have routed experts
     * @param routed of a layer; the most, where layers differ
     * @param shared that every token passes beside the routed ones, of a layer
     * @param perToken how many routed ones a token is sent to
     * @param minWidth atoms of the narrowest routed one
     * @param maxWidth atoms of the widest
     * @param sharedWidth atoms of all shared ones of a layer; 0 without
     * @param atoms routed atoms of the whole model
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Experts(int layers, int routed, int shared, int perToken, int minWidth, int maxWidth, int sharedWidth, long atoms) {}

    /**
     * Looks into a directory.
     *
     * @param allowed asked about the real path of every file before it is read
     * @throws io.espalier.checkpoint.MalformedCheckpointException when it holds no checkpoint
     * @throws java.io.UncheckedIOException when it cannot be read
     */
    static Inspection of(Path directory, Predicate<Path> allowed) {
        // why one at a time: an index or a header may have 100 MB of JSON, and strangers name them
        synchronized (Inspection.class) {
            try (Checkpoint checkpoint = Checkpoint.open(directory, allowed)) {
                return of(checkpoint);
            }
        }
    }

    private static Inspection of(Checkpoint checkpoint) {
        String architecture = checkpoint.config().path("model_type").asString(null);
        try {
            DecoderSpec spec = Architecture.specOf(checkpoint);
            return of(checkpoint, architecture, spec);
        } catch (UnsupportedModelException e) {
            return new Inspection(architecture, false, false, e.problems(), new Parameters(checkpoint.parameters(), null, null), null, null,
                    null, null, null, null, dtypes(checkpoint), checkpoint.tensors().size(), checkpoint.tensorBytes(),
                    TokenizerKind.of(checkpoint));
        }
    }

    private static Inspection of(Checkpoint checkpoint, String architecture, DecoderSpec spec) {
        ParameterCount count = ParameterCount.of(spec, checkpoint);
        Experts experts = experts(spec, checkpoint, count);
        return new Inspection(architecture, true, experts != null, experts == null ? List.of(NO_EXPERTS) : List.of(),
                new Parameters(count.total(), count.active(), count.routed()), spec.layers().size(), experts, spec.hiddenSize(),
                spec.vocabSize(), spec.maxPositions(), spec.tiedEmbeddings(), dtypes(checkpoint), checkpoint.tensors().size(),
                checkpoint.tensorBytes(), TokenizerKind.of(checkpoint));
    }

    private static Experts experts(DecoderSpec spec, Checkpoint checkpoint, ParameterCount count) {
        List<Moe> mixtures = new ArrayList<>();
        spec.layers().forEach(layer -> {
            if (layer.mlp() instanceof Moe moe) {
                mixtures.add(moe);
            }
        });
        if (mixtures.isEmpty()) {
            return null;
        }
        List<Integer> widths = spec.experts().stream().map(ExpertTensors::width).sorted().toList();
        Moe first = mixtures.getFirst();
        int shared = first.shared() == null ? 0 : Math.max(1, checkpoint.config().path("n_shared_experts").asInt(1));
        return new Experts(mixtures.size(), mixtures.stream().mapToInt(moe -> moe.experts().size()).max().orElseThrow(), shared,
                first.topK(), widths.isEmpty() ? 0 : widths.getFirst(), widths.isEmpty() ? 0 : widths.getLast(),
                first.shared() == null ? 0 : first.shared().width(), count.atoms());
    }

    private static Map<String, Integer> dtypes(Checkpoint checkpoint) {
        TreeMap<String, Integer> dtypes = new TreeMap<>();
        for (Tensor tensor : checkpoint.tensors().values()) {
            dtypes.merge(tensor.dtype().name(), 1, Integer::sum);
        }
        return dtypes;
    }
}
