package io.espalier.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.recipe.Precision;
import io.espalier.transformer.Compute;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Prunes a checkpoint that is much larger than the memory it is given, twice: with half the layers, then with all of them. Each run is a process of its
 * own, watched from here and ended when its anonymous memory passes the limit; {@code --hard} also makes the kernel refuse it more.
 */
final class LargerThanMemory {

    private static final long WATCH_MILLISECONDS = 20;

    /** What a process takes beside the budget of weights and activations: Java's heap and own memory, and the engine's. */
    private static final long BESIDE_THE_BUDGET = 900L << 20;

    private LargerThanMemory() {}

    /** One run's findings; {@code found} is {@code null} when it was ended. */
    private record Held(ModelShape shape, double wall, long anonymous, long resident, long data, JsonNode found) {

        double seconds(String phase) {
            return found.get("seconds").path(phase).doubleValue(Double.NaN);
        }

        double read() {
            return found.get("read_bytes").doubleValue() / Report.GIB;
        }
    }

    public static void main(String[] arguments) throws Exception {
        Options options = Options.of(arguments, "tiny", "size", "layers", "sequences", "length", "limit", "heap", "hard", "keep", "warm",
                "large-tensors");
        boolean tiny = options.flag("tiny");
        ModelShape shape = tiny ? ModelShape.TINY_QWEN3 : options.flag("large-tensors") ? ModelShape.LARGE_TENSORS : ModelShape.QWEN3_30B;
        int fitting = (int) ((options.gibibytes("size", 12) - shape.withLayers(0).bytes()) / shape.layerBytes());
        int layers = options.number("layers", tiny ? 4 : Math.min(48, fitting));
        if (layers < 2) {
            throw new IllegalArgumentException("layers: " + layers + " (expected: at least 2; give a larger --size)");
        }
        int sequences = options.number("sequences", 8);
        int length = options.number("length", tiny ? 32 : 512);
        long limit = options.gibibytes("limit", 3);
        Report report = new Report("LargerThanMemory", options);
        report.fact("model", shape.toString());
        report.fact("tokens", sequences + " sequences of " + length);
        report.fact("limit_gib", limit / Report.GIB);
        ScoreComparison.onTinyModel(report, options);
        List<Held> runs = new ArrayList<>();
        for (int count : new int[]{layers / 2, layers}) {
            runs.add(run(options, shape.withLayers(count), sequences, length, limit));
            if (runs.getLast().found() == null) {
                break;
            }
        }
        report(report, runs, shape, limit);
        report.finish();
    }

    private static void report(Report report, List<Held> runs, ModelShape whole, long limit) {
        report.table("memory", List.of("layers", "model_gib", "peak_anonymous_gib", "peak_rss_gib", "peak_data_gib", "ended"),
                runs.stream().map(run -> Arrays.<Object>asList(run.shape().layers(), run.shape().bytes() / Report.GIB,
                        run.anonymous() / Report.GIB, run.resident() / Report.GIB, run.data() / Report.GIB,
                        run.found() == null ? "yes" : "no"))
                        .toList());
        for (Held run : runs) {
            report.bar("peak anonymous GiB with " + run.shape().layers() + " layers", run.anonymous() / Report.GIB, "<=",
                    limit / Report.GIB);
        }
        List<Held> done = runs.stream().filter(run -> run.found() != null).toList();
        report.table("time",
                List.of("layers", "wall_s", "cpu_s", "open_s", "calibrate_s", "cut_s", "check_s", "calibrate_s_per_layer", "read_gib"),
                done.stream().map(run -> Arrays.<Object>asList(run.shape().layers(), run.wall(), run.found().get("cpu_s").doubleValue(),
                        run.seconds("open"),
                        run.seconds("calibrate"), run.seconds("cut"), run.seconds("check"), run.seconds("calibrate") / run.shape().layers(),
                        run.read())).toList());
        if (done.size() == 2) {
            Held half = done.getFirst();
            Held full = done.getLast();
            report.bar("peak anonymous memory, all layers over half of them", (double) full.anonymous() / half.anonymous(), "<=", 1.1);
            int more = full.shape().layers() - half.shape().layers();
            double calibrate = (full.seconds("calibrate") - half.seconds("calibrate")) / more;
            double wall = (full.wall() - half.wall()) / more;
            int rest = whole.layers() - full.shape().layers();
            report.table("extrapolation", List.of("layers", "model_gib", "calibrate_s", "whole_run_s"),
                    List.of(List.of("one more", whole.layerBytes() / Report.GIB, calibrate, wall), List.of(String.valueOf(whole.layers()),
                            whole.bytes() / Report.GIB, full.seconds("calibrate") + calibrate * rest, full.wall() + wall * rest)));
        }
    }

    private static Held run(Options options, ModelShape shape, int sequences, int length, long limit) throws Exception {
        Path checkpoint = RandomCheckpoint.in(options.cache(), shape, 1);
        Path work = Files.createTempDirectory(options.cache(), "pruned-");
        try {
            if (work.toFile().getUsableSpace() < shape.bytes()) {
                throw new IllegalStateException(work.getParent() + ": " + work.toFile().getUsableSpace() + " bytes free (expected: "
                        + shape.bytes() + " for the pruned model)");
            }
            Path tokens = work.resolve("tokens.safetensors");
            writeTokens(tokens, RandomCheckpoint.tokens(sequences, length, shape.vocabulary(), 2));
            Path found = work.resolve("found.json");
            if (!options.flag("warm")) {
                forgetPages(checkpoint);
            }
            List<String> command = command(options, limit);
            command.addAll(List.of(HeldRun.class.getName(), checkpoint.toAbsolutePath().toString(), tokens.toAbsolutePath().toString(),
                    String.valueOf(sequences), String.valueOf(length), work.resolve("run").toString(), found.toString(),
                    options.precision() == Compute.Precision.BFLOAT16 ? Precision.BF16.name() : Precision.F32.name(),
                    String.valueOf(Math.max(1 << 20, limit - BESIDE_THE_BUDGET))));
            System.out.println("  " + shape.layers() + " layers, " + "%.2f GiB".formatted(shape.bytes() / Report.GIB));
            long began = System.nanoTime();
            Process process = new ProcessBuilder(command).inheritIO().start();
            try (MemoryWatch memory = MemoryWatch.of(process.pid())) {
                while (!process.waitFor(WATCH_MILLISECONDS, TimeUnit.MILLISECONDS)) {
                    if (memory.peakAnonymous() > limit) {
                        System.out.println("    ended: anonymous memory passed the limit");
                        process.destroyForcibly().waitFor();
                    }
                }
                double wall = (System.nanoTime() - began) * 1e-9;
                if (process.exitValue() != 0 && memory.peakAnonymous() <= limit) {
                    throw new IllegalStateException(
                            "the run failed with status " + process.exitValue() + " (expected: 0; its words are above)");
                }
                JsonNode findings = process.exitValue() == 0 ? JsonMapper.shared().readTree(found.toFile()) : null;
                return new Held(shape, wall, memory.peakAnonymous(), memory.peakResident(), memory.peakData(), findings);
            } finally {
                process.destroyForcibly();
            }
        } finally {
            RandomCheckpoint.delete(work);
            if (!options.flag("keep")) {
                RandomCheckpoint.delete(checkpoint);
            }
        }
    }

    /** This process's own JVM and class path, with a small heap. */
    private static List<String> command(Options options, long limit) {
        List<String> command = new ArrayList<>();
        if (options.flag("hard")) {
            // why: what the kernel counts as data holds anonymous memory and what is mapped for it but not yet touched
            command.addAll(List.of("sh", "-c", "ulimit -d " + (limit >> 10) + " && exec \"$@\"", "held"));
        }
        command.add(ProcessHandle.current().info().command().orElse("java"));
        command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Xmx" + options.number("heap", 256) + "m", "-XX:+UseSerialGC"));
        for (String property : List.of("logback.configurationFile", "ai.djl.offline", "OPT_OUT_TRACKING")) {
            if (System.getProperty(property) != null) {
                command.add("-D" + property + "=" + System.getProperty(property));
            }
        }
        command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        return command;
    }

    private static void writeTokens(Path file, int[][] ids) {
        Declared declared = new Declared("input_ids", DType.I32, List.of((long) ids.length, (long) ids[0].length));
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, List.of(declared), Map.of())) {
            writer.begin(declared.name()).ints(Arrays.stream(ids).flatMapToInt(Arrays::stream).toArray());
            writer.finish();
        }
    }

    private static void forgetPages(Path checkpoint) throws IOException {
        try (Stream<Path> files = Files.list(checkpoint)) {
            files.forEach(MemoryWatch::forgetPages);
        }
    }
}
