package io.espalier.benchmark;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.stream.IntStream;

import ai.djl.pytorch.jni.JniUtils;
import io.espalier.calibration.ExpertStatistics;
import io.espalier.transformer.Compute;

/** Our sweep against the published procedure, on the same checkpoint and tokens, in one process. */
final class ReferenceProcedure {

    /** Processor seconds that the bar allows where the official code took 336 for the reference shape and eight sequences of 512. */
    private static final double OFFICIAL_BAR = 34;

    private ReferenceProcedure() {}

    /** One side's cost. */
    private record Cost(double wall, double processor, long resident, long anonymous, long anonymousBefore) {}

    public static void main(String[] arguments) throws Exception {
        Options options = Options.of(arguments, "tiny", "only", "sequences", "length", "layers", "batch", "architecture", "threads",
                "quadratic-forms", "precision");
        boolean tiny = options.flag("tiny");
        String only = options.word("only", "both", "both", "ours", "published");
        Compute.Precision precision = options.word("precision", "f32", "f32", "bf16").equals("bf16")
                ? Compute.Precision.BFLOAT16
                : Compute.Precision.FLOAT32;
        boolean qwen3 = options.word("architecture", "qwen2_moe", "qwen2_moe", "qwen3_moe").equals("qwen3_moe");
        ModelShape shape = tiny
                ? qwen3 ? ModelShape.TINY_QWEN3 : ModelShape.TINY_QWEN2
                : qwen3 ? ModelShape.QWEN3_30B.withLayers(2).withVocabulary(8192) : ModelShape.REFERENCE;
        shape = shape.withLayers(options.number("layers", shape.layers()));
        int sequences = options.number("sequences", 8);
        int length = options.number("length", tiny ? 32 : 512);
        int batch = options.number("batch", 4);
        if (sequences % batch != 0) {
            throw new IllegalArgumentException("--sequences=" + sequences + " (expected: a multiple of --batch=" + batch
                    + ", because the published loss is a mean over each batch)");
        }
        Path checkpoint = RandomCheckpoint.in(options.cache(), shape, 1);
        int[][] ids = RandomCheckpoint.tokens(sequences, length, shape.vocabulary(), 2);
        Report report = new Report("ReferenceProcedure", options);
        report.fact("model", shape.toString());
        report.fact("tokens", sequences + " sequences of " + length + ", published procedure in batches of " + batch);

        List<List<Object>> rows = new ArrayList<>();
        double tokens = (double) sequences * length;
        Cost ours = null;
        ExpertStatistics statistics = null;
        if (!only.equals("published")) {
            FutureTask<ExpertStatistics> sweep = new FutureTask<>(() -> EspalierSweep.run(checkpoint, ids, precision));
            ours = measure(sweep);
            statistics = sweep.get();
            rows.add(row("ours", ours, tokens));
        }
        Cost published = null;
        PublishedProcedure.Result result = null;
        if (!only.equals("ours")) {
            int threads = options.number("threads", Machine.cores());
            report.fact("published_threads", threads);
            boolean everyBatch = options.word("quadratic-forms", "batch", "batch", "once").equals("batch");
            FutureTask<PublishedProcedure> load = new FutureTask<>(() -> new PublishedProcedure(checkpoint));
            Cost loading = measure(load);
            rows.add(row("published: loading", loading, Double.NaN));
            try (PublishedProcedure procedure = load.get()) {
                FutureTask<PublishedProcedure.Result> stages = new FutureTask<>(
                        withThreads(threads, () -> procedure.run(ids, batch, everyBatch)));
                published = measure(stages);
                result = stages.get();
            }
            rows.add(row("published", published, tokens));
        }
        if (statistics != null && result != null) {
            compare(report, statistics, result, batch * (length - 1L));
        }
        report.table("cost",
                List.of("side", "wall_s", "cpu_s", "tokens_per_s", "peak_rss_gib", "peak_anonymous_gib", "anonymous_before_gib"),
                rows);
        if (result != null) {
            report.table("published_stages", List.of("part", "wall_s"),
                    List.of(List.of("forward", result.forward()), List.of("backward", result.backward()),
                            List.of("second moments g'g", result.secondMoments()), List.of("second forward", result.secondForward()),
                            List.of("quadratic forms w'Mw", result.quadraticForms())));
        }
        if (ours != null && published != null) {
            report.bar("cpu seconds, published over ours", published.processor() / ours.processor(), ">=", 3);
            report.bar("peak anonymous memory, ours over published", (double) ours.anonymous() / published.anonymous(), "<=", 1.0 / 3);
        }
        if (ours != null && shape.equals(ModelShape.REFERENCE) && tokens == 4096) {
            report.bar("cpu seconds, against the official code's 336", ours.processor(), "<=", OFFICIAL_BAR);
        }
        report.finish();
    }

    /** Both scores on the sum-reduced loss: a mean over n predictions has gradients n times smaller, and scores are of second order. */
    private static void compare(Report report, ExpertStatistics statistics, PublishedProcedure.Result result, long predictions) {
        double scale = (double) predictions * predictions;
        double[][] published = result.scores();
        for (double[] scores : published) {
            for (int k = 0; k < scores.length; k++) {
                scores[k] *= scale;
            }
        }
        long[] tokens = IntStream.range(0, statistics.experts()).mapToLong(statistics::routedTokens).toArray();
        ScoreComparison comparison = ScoreComparison.of(EspalierSweep.scores(statistics), tokens, published, result.routedTokens());
        report.fact("experts_with_other_token_counts", comparison.expertsDiffering() + " of " + statistics.experts());
        report.fact("rank_correlation", comparison.rankCorrelation());
        report.bar("largest relative difference of scores", comparison.largestRelativeDifference(), "<=", 1e-3);
    }

    private static List<Object> row(String side, Cost cost, double tokens) {
        return List.of(side, cost.wall(), cost.processor(), tokens / cost.wall(), cost.resident() / Report.GIB,
                cost.anonymous() / Report.GIB,
                cost.anonymousBefore() / Report.GIB);
    }

    /** Runs on a thread of its own: how many threads the engine uses is a property of the calling thread. */
    private static Cost measure(FutureTask<?> task) throws Exception {
        MemoryWatch.settle();
        try (MemoryWatch memory = MemoryWatch.self()) {
            long before = memory.peakAnonymous();
            long began = System.nanoTime();
            double processor = Machine.processorSeconds();
            Thread thread = Thread.ofPlatform().name("measured").start(task);
            thread.join();
            task.get();
            return new Cost((System.nanoTime() - began) * 1e-9, Machine.processorSeconds() - processor, memory.peakResident(),
                    memory.peakAnonymous(), before);
        }
    }

    private static <T> Callable<T> withThreads(int threads, Callable<T> task) {
        return () -> {
            JniUtils.setNumThreads(threads);
            return task.call();
        };
    }
}
