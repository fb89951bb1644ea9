package io.espalier.worker;

import java.lang.management.ManagementFactory;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import com.sun.management.OperatingSystemMXBean;
import io.espalier.EspalierApplication;
import io.espalier.Orders;
import io.espalier.TestDatabase;
import io.espalier.benchmark.Options;
import io.espalier.benchmark.Report;
import io.espalier.job.JobRecords;
import io.espalier.job.Lease;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJobs;
import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Slicing;
import io.espalier.telemetry.LogLines;
import io.espalier.telemetry.Traces;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.util.FileSystemUtils;

/**
 * What it costs a sweep to be watched: the same slice of the bundled model's calibration set, measured in turn with a progress that nobody hears, and with everything
 * that a worker tells (progress, figures and log lines into PostgreSQL, meters, spans). In this package because they are.
 */
public final class Watched {

    private static final OperatingSystemMXBean SYSTEM = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);

    private Watched() {}

    private record Cost(double wall, double processor) {}

    @FunctionalInterface
    private interface Measured {
        void measure(Progress progress);
    }

    public static void main(String[] arguments) throws Exception {
        Options options = Options.only(arguments, "rounds", "sequences");
        int sequences = options.number("sequences", 128);
        Report report = Report.withoutEngine("Watched", options);
        try (ConfigurableApplicationContext context = new SpringApplicationBuilder(EspalierApplication.class).web(WebApplicationType.NONE)
                .initializers(new TestDatabase())
                .run("--espalier.worker.enabled=false", "--spring.main.banner-mode=off", "--management.tracing.export.enabled=true",
                        "--management.tracing.export.otlp.enabled=false",
                        "--management.opentelemetry.tracing.export.otlp.endpoint=http://127.0.0.1:9/nobody")) {
            run(report, context, options.number("rounds", 8), sequences);
        }
        report.finish();
    }

    private static void run(Report report, ConfigurableApplicationContext context, int rounds, int sequences) throws Exception {
        ResolvedInputs inputs = Orders.inputs();
        PruningRecipe recipe = new PruningRecipe("tiny-qwen2moe", MethodChoice.of(MethodName.HEAPR),
                new Calibration(CorpusRef.named("kjv-train"), sequences, 256, 0L), new Budget(new BigDecimal("0.25"), null), Layout.RAGGED,
                1,
                false, null, null);
        Path work = Files.createTempDirectory(Files.createDirectories(Path.of("target/watched").toAbsolutePath()), "work");
        PruningRun.Inputs given = new PruningRun.Inputs(recipe, Path.of(inputs.modelDirectory()), inputs.calibration(), null);
        List<Cost> alone = new ArrayList<>();
        List<Cost> watched = new ArrayList<>();
        try (PruningRun run = PruningRun.open(given, new ComputeDevice("cpu", 0), Progress.IGNORED)) {
            Slicing slicing = run.slicing(Long.MAX_VALUE, Progress.IGNORED);
            Measured measured = progress -> run.measure(slicing, 0, work, null, progress).toFile().delete();
            measured.measure(Progress.IGNORED);
            for (int round = 0; round < rounds; round++) {
                alone.add(cost(() -> measured.measure(Progress.IGNORED)));
                watched.add(cost(() -> watched(context, recipe, inputs, measured)));
            }
        } finally {
            FileSystemUtils.deleteRecursively(work);
        }
        report.table("seconds", List.of("watched", "wall_median", "processor_median", "wall_least", "processor_least"),
                List.of(row("no", alone), row("yes", watched)));
        report.fact("ratio of processor seconds, least", least(watched, false) / least(alone, false));
        report.fact("ratio of wall seconds, least", least(watched, true) / least(alone, true));
        report.bar("ratio of processor seconds, median", median(watched, false) / median(alone, false), "<=", 1.02);
    }

    private static void watched(ConfigurableApplicationContext context, PruningRecipe recipe, ResolvedInputs inputs, Measured measured) {
        PruningJobs jobs = context.getBean(PruningJobs.class);
        String id = jobs.submit(recipe, inputs).id();
        Lease lease = context.getBean(Leases.class).claim(id + "/0/1", "benchmark", "cpu").orElseThrow();
        Recording recording = new Recording(context.getBean(JobRecords.class), context.getBean(LogLines.class),
                context.getBean(Traces.class),
                new WorkerMeters(context.getBean(MeterRegistry.class)));
        try (PieceRecord record = recording.begin(lease, "benchmark", "cpu");
                WatchedProgress progress = new WatchedProgress(context.getBean(PieceReports.class), lease, record,
                        () -> Progress.Answer.GO_ON)) {
            measured.measure(progress);
        }
        jobs.cancel(id);
    }

    private static Cost cost(Runnable work) {
        long wall = System.nanoTime();
        long processor = SYSTEM.getProcessCpuTime();
        work.run();
        return new Cost((System.nanoTime() - wall) * 1e-9, (SYSTEM.getProcessCpuTime() - processor) * 1e-9);
    }

    private static List<Object> row(String watched, List<Cost> costs) {
        return List.of(watched, median(costs, true), median(costs, false), least(costs, true), least(costs, false));
    }

    private static double[] sorted(List<Cost> costs, boolean wall) {
        return costs.stream().mapToDouble(cost -> wall ? cost.wall : cost.processor).sorted().toArray();
    }

    private static double median(List<Cost> costs, boolean wall) {
        double[] sorted = sorted(costs, wall);
        return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
    }

    private static double least(List<Cost> costs, boolean wall) {
        return sorted(costs, wall)[0];
    }
}
