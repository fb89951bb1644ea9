package io.espalier.benchmark;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDScope;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import io.espalier.transformer.Scratch;

/**
 * HEAPr as its paper writes it (arXiv 2509.22299), plainly, from the mathematics; what our sweep is measured against.
 *
 * <pre>
 *   stage 1   loss = mean cross entropy of a batch, backward through everything, weights' gradients included and then thrown away;
 *             at every expert's output E(x), g = dloss/dE:   G += g' g   [hidden, hidden], float32
 *   stage 2   forward again:   s_k += (sum over tokens of a_k^2) * (w_k' M w_k),   M = G / tokens
 *   score     s_k / tokens
 * </pre>
 */
final class PublishedProcedure implements AutoCloseable {

    /**
     * What the procedure costs, in seconds on the wall.
     *
     * @param scores by expert in (layer, expert) order, of the mean-reduced loss; NaN where no token came
     * @param routedTokens by expert
     */
    record Result(double[][] scores, long[] routedTokens, double forward, double backward, double secondMoments, double secondForward,
            double quadraticForms) {}

    private final PlainModel model;

    /** Loads the whole model. */
    PublishedProcedure(Path directory) {
        this.model = new PlainModel(directory);
    }

    /**
     * Both stages.
     *
     * @param ids [sequences][length]
     * @param batch sequences a batch
     * @param everyBatch whether the quadratic forms are computed anew for each batch of stage 2, as published, or once at its end
     */
    Result run(int[][] ids, int batch, boolean everyBatch) {
        List<int[][]> batches = new ArrayList<>();
        for (int from = 0; from < ids.length; from += batch) {
            batches.add(Arrays.copyOfRange(ids, from, Math.min(ids.length, from + batch)));
        }
        try (NDScope _ = new NDScope()) {
            model.positions(ids[0].length);
            return new Stages(everyBatch).run(batches);
        } finally {
            JniUtils.setGradMode(false);
        }
    }

    private final class Stages {

        private final boolean everyBatch;
        private final NDArray[] secondMoments = new NDArray[model.layers * model.experts];
        private final NDArray[] sums = new NDArray[model.layers * model.experts];
        private final long[] tokens = new long[model.layers * model.experts];
        private double forward;
        private double backward;
        private double moments;
        private double secondForward;
        private double forms;

        private Stages(boolean everyBatch) {
            this.everyBatch = everyBatch;
        }

        private Result run(List<int[][]> batches) {
            batches.forEach(this::stageOne);
            batches.forEach(this::stageTwo);
            double[][] scores = new double[sums.length][];
            for (int e = 0; e < sums.length; e++) {
                scores[e] = new double[model.config.get("moe_intermediate_size").intValue()];
                Arrays.fill(scores[e], Double.NaN);
                if (tokens[e] > 0) {
                    NDArray sum = everyBatch ? sums[e] : sums[e].mul(quadraticForm(e));
                    float[] values = sum.toFloatArray();
                    for (int k = 0; k < values.length; k++) {
                        scores[e][k] = (double) values[k] / tokens[e];
                    }
                }
            }
            return new Result(scores, tokens, forward, backward, moments, secondForward, forms);
        }

        private void stageOne(int[][] ids) {
            Map<Integer, NDArray> probes = new HashMap<>();
            try (Scratch _ = new Scratch()) {
                JniUtils.setGradMode(true);
                Map<String, NDArray> current = new HashMap<>();
                model.weights.forEach((name, weight) -> {
                    // why: gradients hang on these and go away with them at the end of the batch
                    NDArray learnt = weight.stopGradient();
                    learnt.setRequiresGradient(true);
                    current.put(name, learnt);
                });
                model.use(current, (ordinal, a, down) -> {
                    NDArray output = PlainModel.linear(a, down);
                    NDArray probe = output.zerosLike();
                    probe.setRequiresGradient(true);
                    NDScope.unregister(probe);
                    probes.put(ordinal, probe);
                    return output.add(probe);
                });
                long began = System.nanoTime();
                NDArray loss = model.loss(ids);
                forward += since(began);
                began = System.nanoTime();
                JniUtils.backward((PtNDArray) loss, (PtNDArray) loss.onesLike(), false, false);
                backward += since(began);
                JniUtils.setGradMode(false);
                long counted = System.nanoTime();
                probes.forEach((ordinal, probe) -> {
                    try (Scratch _ = new Scratch()) {
                        NDArray g = probe.getGradient();
                        NDArray gg = g.transpose().matMul(g);
                        tokens[ordinal] += g.getShape().get(0);
                        if (secondMoments[ordinal] == null) {
                            NDScope.unregister(gg);
                            secondMoments[ordinal] = gg;
                        } else {
                            secondMoments[ordinal].addi(gg);
                        }
                    }
                    probe.close();
                });
                moments += since(counted);
            }
        }

        private void stageTwo(int[][] ids) {
            try (Scratch _ = new Scratch()) {
                double formsBefore = forms;
                model.use(model.weights, (ordinal, a, down) -> {
                    try (Scratch inner = new Scratch()) {
                        NDArray sum = a.square().sum(new int[]{0});
                        NDArray addend = everyBatch ? sum.mul(quadraticForm(ordinal)) : sum;
                        if (sums[ordinal] == null) {
                            sums[ordinal] = addend == sum ? sum.duplicate() : addend;
                            NDScope.unregister(sums[ordinal]);
                        } else {
                            sums[ordinal].addi(addend);
                        }
                        return inner.keep(PlainModel.linear(a, down));
                    }
                });
                long began = System.nanoTime();
                model.loss(ids);
                secondForward += since(began) - (forms - formsBefore);
            }
        }

        /** {@code w_k' M w_k} for every atom k, [width]. */
        private NDArray quadraticForm(int ordinal) {
            long began = System.nanoTime();
            String down = "model.layers." + ordinal / model.experts + ".mlp.experts." + ordinal % model.experts + ".down_proj.weight";
            NDArray w = model.weights.get(down);
            NDArray m = secondMoments[ordinal].div(tokens[ordinal]);
            NDArray form = m.matMul(w).mul(w).sum(new int[]{0});
            forms += since(began);
            return form;
        }
    }

    private static double since(long began) {
        return (System.nanoTime() - began) * 1e-9;
    }

    @Override
    public void close() {
        model.close();
    }
}
