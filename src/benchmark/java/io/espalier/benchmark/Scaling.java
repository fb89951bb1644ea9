package io.espalier.benchmark;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;

import io.espalier.calibration.ExpertStatistics;
import io.espalier.checkpoint.DType;
import io.espalier.transformer.Compute;

/**
 * How the cost of a sweep grows, one thing at a time, from a small model: with tokens and with layers it should grow in proportion; with experts, a token
 * still going to as many, only the reading grows; lanes should divide it; workers side by side, as many cores as before between them, should get as much
 * done together as one.
 */
final class Scaling {

    /** Large enough that products count more than calls do, small enough for a minute. */
    private static final ModelShape SMALL = new ModelShape("qwen2_moe", 512, 2, 16, 4, 352, 1408, 8, 8, 64, 2048, DType.BF16, false);

    /** So that there is a micro-batch for every lane. */
    private static final int SEQUENCES_A_CORE = 8;

    private final Options options;
    private final int repetitions;
    private final int length;
    private final List<List<Object>> rows = new ArrayList<>();

    private Scaling(Options options) {
        this.options = options;
        this.repetitions = options.number("repetitions", 2);
        this.length = options.number("length", options.flag("tiny") ? 32 : 256);
    }

    public static void main(String[] arguments) throws Exception {
        Options options = Options.of(arguments, "tiny", "repetitions", "length", "sequences");
        Report report = new Report("Scaling", options);
        ModelShape shape = options.flag("tiny") ? ModelShape.TINY_QWEN2 : SMALL;
        int sequences = options.number("sequences", SEQUENCES_A_CORE * Machine.cores());
        report.fact("model", shape.toString());
        ScoreComparison.onTinyModel(report, options);
        new Scaling(options).all(report, shape, sequences);
        report.finish();
    }

    private void all(Report report, ModelShape shape, int sequences) throws Exception {
        report.fact("tokens", sequences + " sequences of " + length + ", best of " + repetitions);
        Compute compute = options.compute();
        measure(shape, sequences, compute, 1);
        double one = Double.NaN;
        for (int factor : new int[]{1, 2, 4}) {
            double seconds = measure(shape, sequences * factor, compute, 1);
            one = factor == 1 ? seconds : one;
            add("tokens", (long) sequences * factor * length, seconds, one * factor);
        }
        for (int factor : new int[]{1, 2, 4}) {
            double seconds = measure(shape.withLayers(shape.layers() * factor), sequences, compute, 1);
            one = factor == 1 ? seconds : one;
            add("layers", shape.layers() * factor, seconds, one * factor);
        }
        for (int factor : new int[]{1, 2, 4}) {
            double seconds = measure(shape.withExperts(shape.experts() * factor), sequences, compute, 1);
            one = factor == 1 ? seconds : one;
            add("experts", shape.experts() * factor, seconds, one);
        }
        for (int lanes = 1; lanes <= Machine.cores(); lanes *= 2) {
            double seconds = measure(shape, sequences, lanes(compute, lanes), 1);
            one = lanes == 1 ? seconds : one;
            add("lanes", lanes, seconds, one / lanes);
        }
        for (int workers = 1; workers <= Machine.cores(); workers *= 2) {
            double seconds = measure(shape, sequences, lanes(compute, Math.max(1, Machine.cores() / workers)), workers);
            one = workers == 1 ? seconds : one;
            add("workers", workers, seconds, one * workers);
        }
        report.table("scaling", List.of("what", "count", "wall_s", "expected_wall_s", "ratio_to_expected"), rows);
    }

    private void add(String what, long count, double seconds, double expected) {
        rows.add(List.of(what, count, seconds, expected, seconds / expected));
    }

    private static Compute lanes(Compute compute, int lanes) {
        return new Compute(compute.device(), compute.precision(), lanes, compute.wholeLayers(), compute.ahead(), compute.headRows());
    }

    /** Seconds until every worker, each with a model of its own opened from the same files, has swept the same tokens; the best of several. */
    private double measure(ModelShape shape, int sequences, Compute compute, int workers) throws Exception {
        Path checkpoint = RandomCheckpoint.in(options.cache(), shape, 1);
        int[][] ids = RandomCheckpoint.tokens(sequences, length, shape.vocabulary(), 2);
        double best = Double.POSITIVE_INFINITY;
        for (int repetition = 0; repetition < repetitions; repetition++) {
            try (ExecutorService threads = Executors.newFixedThreadPool(workers)) {
                long began = System.nanoTime();
                List<Future<ExpertStatistics>> running = IntStream.range(0, workers)
                        .mapToObj(_ -> threads.submit(() -> EspalierSweep.run(checkpoint, ids, compute))).toList();
                for (Future<ExpertStatistics> one : running) {
                    one.get();
                }
                best = Math.min(best, (System.nanoTime() - began) * 1e-9);
            }
        }
        return best;
    }
}
