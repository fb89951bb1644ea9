package io.espalier.pruning;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

import io.espalier.calibration.ExpertStatistics;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.method.Criterion;
import io.espalier.method.Evidence;
import io.espalier.method.ScoreFile;
import io.espalier.method.Scores;
import io.espalier.plan.Allocation;
import io.espalier.plan.ExpertScores;
import io.espalier.plan.Halves;
import io.espalier.plan.SourceShape;
import io.espalier.plan.StoredScores;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningResult.Coverage;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreSummary.Agreement;
import io.espalier.recipe.Slicing;
import io.espalier.recipe.Violation;

/**
 * The scores of a run and what stands behind them: measured just now, or as they were stored when somebody measured the same.
 *
 * @param file safetensors
 * @param values a score for every atom, [expert ordinal][atom]
 * @param lossWeight as {@link Scores} has it, or {@code null}
 * @param unit what a value is, as a phrase
 * @param tokens calibration tokens; {@code null} for methods that see none
 * @param routedTokens that reached each expert; {@code null} for methods that see none
 * @param agreement of two halves of the calibration; {@code null} when there was one slice only, or the scores were stored: it depends on the slices,
 *     and the file does not
 * @param calibrationDigest of the calibration token ids; {@code null} for methods that see none
 */
record Scored(Path file, double[][] values, double[] lossWeight, String unit, Long tokens, long[] routedTokens, Agreement agreement,
        String calibrationDigest) {

    /**
     * Scores what was measured.
     *
     * @param statistics merged; {@code null} when the method sees no tokens
     * @param merge gives the statistics of some of the slices
     */
    static Scored measured(OpenedRun run, ExpertStatistics statistics, Slicing slicing, Merge merge, ScoreOrigin origin, Path file) {
        Scores scores = score(run, statistics);
        Agreement agreement = agreement(run, slicing, merge);
        Map<String, String> metadata = new TreeMap<>();
        metadata.put("model_sha256", origin.modelSha256());
        metadata.put("method_identity", origin.method().identity());
        metadata.put("granularity", OpenedRun.granularity(run.recipe()).name());
        metadata.put("model_parameters", String.valueOf(run.checkpoint().parameters()));
        metadata.put("model_bytes", String.valueOf(run.checkpoint().tensorBytes()));
        metadata.put("top_k", String.valueOf(run.router().topK()));
        metadata.put("source_block", String.valueOf(Allocation.sourceBlock(run.checkpoint(), run.spec().experts())));
        metadata.put(SourceShape.KEY, WrittenShape.source(run.checkpoint(), run.spec()).toJson());
        if (origin.calibrationSha256() != null) {
            metadata.put("calibration_sha256", origin.calibrationSha256());
        }
        ScoreFile.write(file, run.recipe().method(), scores, evidence(run, statistics), weights(run, scores.values()), metadata);
        return new Scored(file, scores.values(), scores.lossWeight(), scores.unit(), statistics == null ? null : statistics.tokens(),
                statistics == null ? null : IntStream.range(0, statistics.experts()).mapToLong(statistics::routedTokens).toArray(),
                agreement, origin.calibrationSha256());
    }

    /** Merges the statistics of the slices from one place in the slicing to another. */
    @FunctionalInterface
    interface Merge {
        ExpertStatistics of(int from, int to);
    }

    /** @throws PruningException {@code INVALID_RECIPE} when the scores are another model's or another method's */
    static Scored stored(OpenedRun run, Path file, String modelDigest) {
        StoredScores stored = StoredScores.read(file);
        Map<String, String> metadata = stored.metadata();
        MethodChoice method = run.recipe().method();
        List<Violation> wrong = new ArrayList<>();
        if (!modelDigest.equals(metadata.get("model_sha256"))) {
            wrong.add(new Violation("model", "SHA-256 " + modelDigest, "SHA-256 " + metadata.get("model_sha256")
                    + ", the model that the score set was measured on"));
        }
        if (!method.identity().equals(metadata.get("method_identity"))) {
            wrong.add(new Violation("method", method.identity(), metadata.get("method_identity") + ", as the score set was measured"));
        }
        if (!wrong.isEmpty()) {
            throw new PruningException(ErrorCode.INVALID_RECIPE, wrong);
        }
        return new Scored(file, stored.scores(), stored.lossWeights(), metadata.get("unit"), stored.tokens(), stored.routedTokens(), null,
                metadata.get("calibration_sha256"));
    }

    private static Evidence evidence(OpenedRun run, ExpertStatistics statistics) {
        return new Evidence(run.checkpoint(), run.spec().experts(), statistics);
    }

    private static Scores score(OpenedRun run, ExpertStatistics statistics) {
        return Criterion.of(run.recipe().method()).score(evidence(run, statistics));
    }

    /** The first half of the slices by itself against the others; one half's statistics in memory at a time. */
    private static Agreement agreement(OpenedRun run, Slicing slicing, Merge merge) {
        int slices = slicing.slices().size();
        if (slices < 2) {
            return null;
        }
        double[][][] scores = new double[2][][];
        boolean[] reached = new boolean[run.spec().experts().size()];
        Arrays.fill(reached, true);
        List<Long> tokens = new ArrayList<>();
        for (int half = 0; half < 2; half++) {
            ExpertStatistics statistics = merge.of(half == 0 ? 0 : slices / 2, half == 0 ? slices / 2 : slices);
            scores[half] = score(run, statistics).values();
            tokens.add(statistics.tokens());
            for (int e = 0; e < reached.length; e++) {
                reached[e] &= statistics.routedTokens(e) > 0;
            }
        }
        return Halves.agreement(scores[0], scores[1], reached, tokens);
    }

    private static ScoreFile.Weights weights(OpenedRun run, double[][] values) {
        List<ExpertScores> weighed = OpenedRun.weighed(run.spec(), run.checkpoint(), values);
        return new ScoreFile.Weights(weighed.stream().mapToLong(ExpertScores::parametersPerAtom).toArray(),
                weighed.stream().mapToLong(ExpertScores::bytesPerAtom).toArray(),
                weighed.stream().mapToLong(ExpertScores::bytesPerBlock).toArray(), run.router().parametersPerExpert(),
                run.router().bytesPerExpert());
    }

    /** {@code null} when the method sees no tokens. */
    Coverage coverage(List<ExpertTensors> experts) {
        if (routedTokens == null) {
            return null;
        }
        long[] routed = Arrays.stream(routedTokens).sorted().toArray();
        int half = routed.length / 2;
        double median = routed.length % 2 == 1 ? routed[half] : (routed[half - 1] + routed[half]) / 2.0;
        return new Coverage(tokens, routed[0], median, RunNotes.unrouted(experts, e -> routedTokens[e]));
    }
}
