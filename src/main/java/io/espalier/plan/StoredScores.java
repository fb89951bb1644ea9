package io.espalier.plan;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

import io.espalier.checkpoint.SafetensorsFile;
import io.espalier.plan.Allocation.Granularity;
import io.espalier.plan.Allocation.ModelSize;
import io.espalier.recipe.Protections;
import io.espalier.recipe.PruningRecipe;

/**
 * A scores file, read for planning. What it lacks is any weight: the file says what an atom weighs.
 *
 * @param ranked the scores, sorted when they are first asked
 * @param scores the same as the file has them, an array an expert
 * @param lossWeights what a score is multiplied with to be an expected change of the mean negative log-likelihood of a token (nats), an expert; {@code
 *     null} where the method is not in units of loss
 * @param model what the whole model weighs
 * @param router what its routers look like
 * @param routedTokens calibration tokens that reached each expert; {@code null} for methods that see none
 * @param tokens calibration tokens; {@code null} for methods that see none
 * @param shape of the model, for the engines; {@code null} in a file of before it was kept
 * @param metadata the file's: {@code method}, {@code unit}, {@code model_sha256} and others
 */
public record StoredScores(RankedScores ranked, double[][] scores, double[] lossWeights, ModelSize model, RouterShape router,
        long[] routedTokens, Long tokens, SourceShape shape, Map<String, String> metadata) {

    /**
     * Reads what {@code ScoreFile} of the room {@code method} wrote.
     *
     * @throws io.espalier.checkpoint.MalformedCheckpointException when the file is none
     */
    public static StoredScores read(Path file) {
        try (SafetensorsFile stored = SafetensorsFile.open(file)) {
            long[] layers = stored.longs("layer_index");
            long[] widths = stored.longs("widths");
            long[] parameters = stored.longs("parameters_per_atom");
            long[] bytes = stored.longs("bytes_per_atom");
            long[] shared = stored.longs("bytes_per_block");
            double[] all = stored.doubles("scores");
            int perLayer = widths.length / layers.length;
            List<ExpertScores> experts = new ArrayList<>(widths.length);
            double[][] scores = new double[widths.length][];
            int at = 0;
            for (int e = 0; e < widths.length; e++) {
                int width = Math.toIntExact(widths[e]);
                scores[e] = Arrays.copyOfRange(all, at, at + width);
                at += width;
                experts.add(new ExpertScores(Math.toIntExact(layers[e / perLayer]), e % perLayer, scores[e], parameters[e], bytes[e],
                        shared[e]));
            }
            Map<String, String> metadata = Map.copyOf(stored.metadata());
            boolean tokens = stored.tensors().containsKey("token_count");
            return new StoredScores(RankedScores.of(experts, Integer.parseInt(metadata.get("source_block"))), scores,
                    stored.tensors().containsKey("loss_weight") ? stored.doubles("loss_weight") : null,
                    new ModelSize(Long.parseLong(metadata.get("model_parameters")), Long.parseLong(metadata.get("model_bytes"))),
                    new RouterShape(Integer.parseInt(metadata.get("top_k")), stored.longs("parameters_per_expert"),
                            stored.longs("bytes_per_expert")),
                    tokens ? stored.longs("token_count") : null, tokens ? Long.valueOf(metadata.get("tokens")) : null,
                    metadata.containsKey(SourceShape.KEY) ? SourceShape.fromJson(metadata.get(SourceShape.KEY)) : null, metadata);
        }
    }

    /** The allocation that an order would ask for over these scores. */
    public Allocation allocation(PruningRecipe order) {
        int narrowest = ranked.experts().stream().mapToInt(expert -> expert.scores().length).min().orElse(1);
        return new Allocation(order.budget(), order.layout(), ChosenAlignment.of(order, narrowest, ranked.sourceBlock()).atoms(),
                order.allowEmptyExperts(), order.method().scope(), Granularity.valueOf(metadata.get("granularity")), ranked.sourceBlock(),
                new EngineDemands(order.tensorParallel(), router.topK()),
                order.protections() == null ? Protections.NONE : order.protections());
    }

    /** About how much memory this takes once it was planned from. */
    public long bytes() {
        return ranked.bytes();
    }
}
