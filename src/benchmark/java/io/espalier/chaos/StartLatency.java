package io.espalier.chaos;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Random;

import io.espalier.benchmark.Options;
import io.espalier.benchmark.Report;

/** From the moment a client sends its order until the job runs, over real HTTP, on a worker process that has nothing else to do. */
public final class StartLatency {

    private static final String ORDER = """
            {"model": "tiny-qwen2moe", "method": "magnitude", "budget": {"ratio": 0.25}}""";

    private StartLatency() {}

    public static void main(String[] arguments) throws Exception {
        Options options = Options.only(arguments, "samples", "seed", "directory");
        Random random = new Random(options.number("seed", 1));
        Path directory = Files.createTempDirectory(Files.createDirectories(options.path("directory", Path.of("target", "chaos"))
                .toAbsolutePath()), "latency-");
        Report report = Report.withoutEngine("StartLatency", options);
        Figures started = new Figures();
        Figures answered = new Figures();
        Figures ended = new Figures();
        try (Fleet fleet = new Fleet(directory, 1)) {
            // why two first: a process's first job loads classes
            for (int i = 0; i < options.number("samples", 120) + 2; i++) {
                // why a pause: the worker looks at regular intervals, and orders do not come at its beat
                Thread.sleep(random.nextInt(600));
                Instant sent = Instant.now();
                String job = fleet.order(ORDER);
                Instant answer = Instant.now();
                fleet.awaitEnd(job, Duration.ofMinutes(1));
                if (i >= 2) {
                    List<Fleet.Event> events = fleet.events(job);
                    answered.add(sent, answer);
                    started.add(sent, events.stream().filter(event -> event.is("running")).findFirst().orElseThrow().at());
                    ended.add(sent, events.getLast().at());
                }
            }
        }
        report.fact("samples", started.count());
        report.table("seconds", List.of("from sending the order", "p50", "p99", "max"), List.of(row("until it is answered", answered),
                row("until the job runs", started), row("until it has succeeded", ended)));
        report.bar("p99 until the job runs, seconds", started.quantile(0.99), "<=", 1);
        report.finish();
    }

    private static List<Object> row(String name, Figures figures) {
        return List.of(name, figures.quantile(0.5), figures.quantile(0.99), figures.max());
    }
}
