package io.espalier.evaluation;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import io.espalier.corpus.TokenWindows;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Progress;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.ExpertObserver;
import io.espalier.transformer.ForwardPass;
import io.espalier.transformer.HiddenStates;
import io.espalier.transformer.LossPass;
import io.espalier.transformer.MemoryPlan;
import io.espalier.transformer.TokenBatch;

/**
 * {@code exp(sum of negative log-likelihoods / predicted tokens)} over windows that are each read alone: the first token of a window is not predicted.
 *
 * @param negativeLogLikelihood summed (nats)
 * @param predictedTokens how many
 */
public record Perplexity(double negativeLogLikelihood, long predictedTokens) {

    public double value() {
        return Math.exp(negativeLogLikelihood / predictedTokens);
    }

    /**
     * Measures, with one layer's weights in memory at a time.
     *
     * @param plan how the decoder was opened, how long a micro-batch is, and whether the residual stream goes to a file
     * @param workDirectory of that file
     */
    public static Perplexity measure(Decoder decoder, TokenWindows windows, MemoryPlan plan, Path workDirectory, PhaseProgress progress) {
        List<TokenBatch> batches = batches(windows, plan.sequencesPerBatch());
        int layers = decoder.spec().layers().size();
        long tokens = (long) windows.windows() * windows.length();
        long began = System.nanoTime();
        try (HiddenStates states = HiddenStates.create(ForwardPass.slots(layers, layers), tokens, decoder.spec().hiddenSize(),
                decoder.compute().precision().activations(),
                plan.spill(),
                workDirectory);
                ForwardPass forward = new ForwardPass(decoder, batches, states)) {
            int[] done = new int[1];
            forward.run(ExpertObserver.NONE, (layer, _) -> {
                double share = ++done[0] / (layers * (double) batches.size());
                progress.at(share, layer, layers, share * tokens / ((System.nanoTime() - began) * 1e-9));
            });
            double[] losses = new LossPass(decoder, batches, forward::output, null, 0).run();
            // summed in order, so that the digits do not depend on which lane was first
            double sum = java.util.Arrays.stream(losses).sum();
            long predicted = batches.stream().mapToLong(TokenBatch::predictedTokens).sum();
            Perplexity measured = new Perplexity(sum, predicted);
            progress.progress().figure(Progress.Figure.PERPLEXITY, measured.value());
            return measured;
        }
    }

    private static List<TokenBatch> batches(TokenWindows windows, int each) {
        List<TokenBatch> batches = new ArrayList<>();
        for (int from = 0; from < windows.windows(); from += each) {
            batches.add(TokenBatch.of(java.util.Arrays.copyOfRange(windows.ids(), from, Math.min(windows.windows(), from + each))));
        }
        return batches;
    }
}
