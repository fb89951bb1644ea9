package io.espalier.api;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;

import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.plan.ModelShape;
import io.espalier.plan.SourceShape;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.ScoreSummary;

/** Scores of a model that never was: layers 1 and 3, three experts of eight atoms in each, no token reached the last. */
final class ScoreBytes {

    static final int LAYERS = 2;
    static final int EXPERTS = 3;
    static final int WIDTH = 8;
    static final long PARAMETERS = 1000;
    static final long BYTES = 2000;

    private ScoreBytes() {}

    /** A scores file; 6 parameters and 12 bytes an atom. */
    static byte[] file() {
        long[] each = new long[LAYERS * EXPERTS];
        double[] scores = new Random(4).doubles(LAYERS * EXPERTS * WIDTH).toArray();
        Arrays.fill(scores, scores.length - WIDTH, scores.length, Double.POSITIVE_INFINITY);
        List<Long> perExpert = List.of((long) LAYERS, (long) EXPERTS);
        try {
            Path directory = Files.createTempDirectory("scores");
            Path file = directory.resolve("scores.safetensors");
            try (SafetensorsWriter writer = SafetensorsWriter.create(file, List.of(
                    new Declared("scores", DType.F64, List.of((long) LAYERS, (long) EXPERTS, (long) WIDTH)),
                    new Declared("widths", DType.I64, perExpert), new Declared("layer_index", DType.I64, List.of((long) LAYERS)),
                    new Declared("parameters_per_atom", DType.I64, perExpert), new Declared("bytes_per_atom", DType.I64, perExpert),
                    new Declared("bytes_per_block", DType.I64, perExpert),
                    new Declared("parameters_per_expert", DType.I64, perExpert), new Declared("bytes_per_expert", DType.I64, perExpert),
                    new Declared("token_count", DType.I64, perExpert),
                    new Declared("loss_weight", DType.F64, perExpert)),
                    Map.of("method", "heapr", "unit", "nats per routed token", "tokens", "2048", "granularity", "ATOM", "source_block", "1",
                            "top_k", "1", SourceShape.KEY,
                            new SourceShape("qwen2_moe", ModelShape.Dialect.PER_EXPERT, ModelShape.NOT_FP8, false, WIDTH, 0, false)
                                    .toJson(),
                            "model_parameters", String.valueOf(PARAMETERS), "model_bytes", String.valueOf(BYTES)))) {
                writer.begin("scores").doubles(scores);
                writer.begin("widths").longs(filled(each, WIDTH));
                writer.begin("layer_index").longs(1, 3);
                writer.begin("parameters_per_atom").longs(filled(each, 6));
                writer.begin("bytes_per_atom").longs(filled(each, 12));
                writer.begin("bytes_per_block").longs(filled(each, 0));
                writer.begin("parameters_per_expert").longs(filled(each, 2));
                writer.begin("bytes_per_expert").longs(filled(each, 4));
                writer.begin("token_count").longs(100, 50, 30, 20, 10, 0);
                writer.begin("loss_weight").doubles(0.5, 0.25, 0.15, 0.1, 0.05, 0);
                writer.finish();
            }
            byte[] bytes = Files.readAllBytes(file);
            Files.delete(file);
            Files.delete(directory);
            return bytes;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static long[] filled(long[] values, long value) {
        Arrays.fill(values, value);
        return values.clone();
    }

    static ScoreSummary summary() {
        long[] routed = {100, 50, 30, 20, 10, 0};
        return new ScoreSummary(MethodName.HEAPR, "nats per routed token", 2048L, List.of(layer(1, routed, 0), layer(3, routed, EXPERTS)),
                new ScoreSummary.Agreement(List.of(1024L, 1024L), 40, 0.875, List.of(new ScoreSummary.Overlap(0.25, 0.5))));
    }

    private static ScoreSummary.Layer layer(int layer, long[] routed, int from) {
        return new ScoreSummary.Layer(layer, 0.5, 0.0, 1.0, 20L, IntStream.range(0, EXPERTS)
                .mapToObj(e -> new ScoreSummary.Expert(e, routed[from + e], 0.5, 0.0, 1.0, WIDTH, 5)).toList());
    }
}
