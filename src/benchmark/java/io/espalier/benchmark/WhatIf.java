package io.espalier.benchmark;

import java.io.IOException;
import java.math.BigDecimal;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

import io.espalier.EspalierApplication;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.job.PruningJobs;
import io.espalier.plan.ModelShape;
import io.espalier.plan.SourceShape;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Precision;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreShelf;
import io.espalier.recipe.ScoreSummary;
import org.springframework.boot.SpringApplication;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;
import org.springframework.util.FileSystemUtils;

/**
 * How long the service takes to say what an order would do: plans and curves over HTTP, from a score set of Qwen3-30B-A3B's shape whose scores are random.
 * The service runs in this process with a database of its own and no worker.
 */
final class WhatIf {

    private static final double BAR_MILLIS = 500;
    private static final long HIDDEN = 2048;
    private static final double GAP = 0.9;

    private final int layers;
    private final int experts;
    private final int width;
    private final Random random = new Random(1);
    private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private WhatIf(int layers, int experts, int width) {
        this.layers = layers;
        this.experts = experts;
        this.width = width;
    }

    public static void main(String[] arguments) throws Exception {
        Options options = Options.of(arguments, "tiny", "requests", "curves");
        WhatIf shape = options.flag("tiny") ? new WhatIf(4, 16, 96) : new WhatIf(48, 128, 768);
        Report report = new Report("WhatIf", options);
        Path data = Files.createTempDirectory("espalier-what-if-");
        try (ConfigurableApplicationContext service = SpringApplication.run(EspalierApplication.class, "--espalier.worker.enabled=false",
                "--espalier.data-dir=" + data, "--server.port=0")) {
            shape.measure(report, service, data, options.number("requests", 200), options.number("curves", 20));
        } finally {
            FileSystemUtils.deleteRecursively(data);
        }
        report.finish();
    }

    private void measure(Report report, ConfigurableApplicationContext service, Path data, int requests, int curves) throws Exception {
        report.fact("atoms", (long) layers * experts * width);
        Path file = scores(data.resolve("scores.safetensors"));
        keep(service, file);
        String set = "http://127.0.0.1:" + service.getEnvironment().getProperty("local.server.port") + "/v1/score-sets/scr_bench";
        report.fact("first_plan_ms", millis(() -> post(set + "/plans", "{\"budget\": {\"ratio\": 0.3}}")));

        Map<String, IntFunction<String>> kinds = new LinkedHashMap<>();
        kinds.put("ragged, ratio", i -> "{\"budget\": {\"ratio\": " + ratio() + "}}");
        kinds.put("ragged, target_bytes", i -> "{\"budget\": {\"target_bytes\": " + (long) (bytes() * (1 - GAP * ratio())) + "}}");
        kinds.put("ragged by layer, alignment 64",
                i -> "{\"budget\": {\"ratio\": " + ratio() + "}, \"scope\": \"layer\", \"alignment\": 64}");
        kinds.put("ragged, whole layers and widths protected", i -> "{\"budget\": {\"ratio\": " + ratio() / 2
                + "}, \"protections\": {\"min_width\": 64, \"layers\": [0, " + (layers - 1) + "]}}");
        kinds.put("ragged, atoms protected", i -> "{\"budget\": {\"ratio\": " + ratio()
                + "}, \"protections\": {\"experts\": [{\"layer\": 1, \"expert\": " + i % experts + ", \"atoms\": [0, 1, 2]}]}}");
        kinds.put("uniform, alignment 32", i -> "{\"budget\": {\"ratio\": " + ratio() + "}, \"layout\": \"uniform\", \"alignment\": 32}");
        List<List<Object>> rows = new ArrayList<>();
        List<Double> all = new ArrayList<>();
        kinds.forEach((name, question) -> {
            double[] took = repeated(requests, i -> millis(() -> post(set + "/plans", question.apply(i))));
            rows.add(row(name, took));
            Arrays.stream(took).forEach(all::add);
        });
        double[] curve = repeated(curves, i -> millis(() -> get(set + "/curve")));
        rows.add(row("curve of all layouts, 101 points", curve));
        report.table("milliseconds over HTTP, one at a time", List.of("question", "requests", "p50", "p99", "max"), rows);
        report.bar("plans_p99_ms", percentile(all.stream().mapToDouble(x -> x).toArray(), 0.99), "<=", BAR_MILLIS);
        report.bar("curve_p99_ms", percentile(curve, 0.99), "<=", BAR_MILLIS);
    }

    private double ratio() {
        return Math.round(random.nextDouble(0.02, GAP) * 1e4) / 1e4;
    }

    private long bytes() {
        return (long) layers * experts * width * HIDDEN * 3 * 2;
    }

    private Path scores(Path file) {
        long all = (long) layers * experts;
        List<Long> each = List.of((long) layers, (long) experts);
        long[] filled = new long[(int) all];
        double[] weights = new double[(int) all];
        try (SafetensorsWriter writer = SafetensorsWriter.create(file,
                List.of(new Declared("scores", DType.F64, List.of((long) layers, (long) experts, (long) width)),
                        new Declared("widths", DType.I64, each), new Declared("layer_index", DType.I64, List.of((long) layers)),
                        new Declared("parameters_per_atom", DType.I64, each), new Declared("bytes_per_atom", DType.I64, each),
                        new Declared("bytes_per_block", DType.I64, each), new Declared("token_count", DType.I64, each),
                        new Declared("loss_weight", DType.F64, each),
                        new Declared("parameters_per_expert", DType.I64, each), new Declared("bytes_per_expert", DType.I64, each)),
                Map.of("method", "heapr", "unit", "nats per routed token", "tokens", "262144", "granularity", "ATOM", "source_block", "1",
                        "top_k", "8", SourceShape.KEY,
                        new SourceShape("qwen3_moe", ModelShape.Dialect.PER_EXPERT, ModelShape.NOT_FP8, false, width, 0, false).toJson(),
                        "model_parameters", String.valueOf(bytes() / 2 + 1_000_000_000L), "model_bytes",
                        String.valueOf(bytes() + 2_000_000_000L)))) {
            writer.begin("scores");
            for (int e = 0; e < all; e++) {
                double scale = Math.exp(random.nextGaussian());
                // why a power: real scores lie over many orders of magnitude
                writer.doubles(random.doubles(width).map(x -> scale * 1e-6 * Math.pow(x, 6)).toArray());
                weights[e] = random.nextDouble();
            }
            Arrays.fill(filled, width);
            writer.begin("widths").longs(filled);
            writer.begin("layer_index").longs(LongStream.range(0, layers).toArray());
            Arrays.fill(filled, 3 * HIDDEN);
            writer.begin("parameters_per_atom").longs(filled);
            Arrays.fill(filled, 6 * HIDDEN);
            writer.begin("bytes_per_atom").longs(filled);
            Arrays.fill(filled, 0);
            writer.begin("bytes_per_block").longs(filled);
            Arrays.fill(filled, 1000);
            writer.begin("token_count").longs(filled);
            writer.begin("loss_weight").doubles(weights);
            Arrays.fill(filled, HIDDEN);
            writer.begin("parameters_per_expert").longs(filled);
            Arrays.fill(filled, 2 * HIDDEN);
            writer.begin("bytes_per_expert").longs(filled);
            writer.finish();
        }
        return file;
    }

    /** A score set needs a job that refers to it. */
    private void keep(ConfigurableApplicationContext service, Path file) {
        PruningRecipe recipe = new PruningRecipe("bench", MethodChoice.of(MethodName.HEAPR),
                new Calibration(CorpusRef.named("bench"), null, null, null),
                new Budget(BigDecimal.ONE.movePointLeft(1), null), null, null, null, null, null);
        String job = service.getBean(PruningJobs.class).submit(recipe, new ResolvedInputs("/bench", null, null)).id();
        new TransactionTemplate(service.getBean(PlatformTransactionManager.class)).executeWithoutResult(
                status -> service.getBean(ScoreShelf.class).keep("scr_bench", job, file, new ScoreSummary(MethodName.HEAPR,
                        "nats per routed token", 262_144L, summary()),
                        new ScoreOrigin("b".repeat(64), "f".repeat(64), "bench", "a".repeat(64), "c".repeat(64),
                                MethodChoice.of(MethodName.HEAPR), Precision.F32)));
    }

    /** As long as a real one. */
    private List<ScoreSummary.Layer> summary() {
        List<ScoreSummary.Expert> line = IntStream.range(0, experts)
                .mapToObj(e -> new ScoreSummary.Expert(e, 1000L, 1.2345678e-7, 1.2345678e-12, 1.2345678e-3, width, width)).toList();
        return IntStream.range(0, layers)
                .mapToObj(layer -> new ScoreSummary.Layer(layer, 1.2345678e-7, 1.2345678e-12, 1.2345678e-3, 1L, line)).toList();
    }

    private static double[] repeated(int times, IntFunction<Double> measured) {
        // why: what the first requests of a kind take is the compiler's
        int warmUp = Math.max(2, times / 10);
        double[] took = new double[times];
        for (int i = -warmUp; i < times; i++) {
            double millis = measured.apply(Math.abs(i));
            if (i >= 0) {
                took[i] = millis;
            }
        }
        return took;
    }

    private static double millis(Runnable request) {
        long start = System.nanoTime();
        request.run();
        return (System.nanoTime() - start) * 1e-6;
    }

    private void post(String address, String body) {
        answered(HttpRequest.newBuilder(URI.create(address)).header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body)).build(), body);
    }

    private void get(String address) {
        answered(HttpRequest.newBuilder(URI.create(address)).build(), "");
    }

    private void answered(HttpRequest request, String body) {
        try {
            HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() != 200) {
                throw new IllegalStateException(request.uri() + " " + body + ": " + answer.body());
            }
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static List<Object> row(String name, double[] took) {
        return List.of(name, took.length, percentile(took, 0.5), percentile(took, 0.99), percentile(took, 1));
    }

    private static double percentile(double[] took, double share) {
        double[] sorted = took.clone();
        Arrays.sort(sorted);
        return sorted[Math.max(0, (int) Math.ceil(share * sorted.length) - 1)];
    }
}
