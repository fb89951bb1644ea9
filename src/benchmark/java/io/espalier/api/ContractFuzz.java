package io.espalier.api;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.function.BiConsumer;

import io.espalier.EspalierApplication;
import io.espalier.TestDatabase;
import io.espalier.artifact.Artifacts;
import io.espalier.benchmark.Options;
import io.espalier.benchmark.Report;
import io.espalier.catalog.ScoreSets;
import io.espalier.job.JobError;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJobs;
import io.espalier.recipe.ErrorCode;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ApplicationContext;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * Tens of thousands of requests, made from the contract with something wrong in each, to a service in this process with a database of its own and no
 * worker. In this package because its answers are held to the contract as in the tests.
 */
public final class ContractFuzz {

    private ContractFuzz() {}

    public static void main(String[] arguments) throws Exception {
        Options options = Options.only(arguments, "requests", "seed");
        Report report = Report.withoutEngine("ContractFuzz", options);
        Path root = Files.createDirectories(Path.of("target", "benchmark", "fuzz-root").toAbsolutePath());
        List<String> findings;
        try (ConfigurableApplicationContext service = new SpringApplicationBuilder(EspalierApplication.class)
                .initializers(new TestDatabase())
                .run("--espalier.worker.enabled=false", "--server.port=0", "--logging.level.root=warn", "--espalier.roots=" + root,
                        "--espalier.egress.allow=10.20.30.40", "--espalier.webhooks.deliver=false");
                Fuzzer fuzzer = new Fuzzer(service.getEnvironment().getRequiredProperty("local.server.port", Integer.class),
                        options.number("seed", 1), worker(service))) {
            long start = System.nanoTime();
            fuzzer.run(options.number("requests", 20_000));
            report.fact("seconds", (System.nanoTime() - start) / 1e9);
            report.fact("requests", fuzzer.asked());
            report.fact("cases", fuzzer.cases());
            findings = fuzzer.findings();
            table(report, fuzzer);
        }
        report.fact("findings", findings.size());
        findings.forEach(System.out::println);
        report.finish();
        if (!findings.isEmpty()) {
            System.exit(1);
        }
    }

    /** Who takes a posted job: every fourth is carried out, another is begun, another fails, the last is left in the queue. */
    static BiConsumer<String, Integer> worker(ApplicationContext service) {
        Runs runs = new Runs(service.getBean(PruningJobs.class), service.getBean(Leases.class), service.getBean(PieceReports.class),
                service.getBean(Artifacts.class), service.getBean(ScoreSets.class),
                new TransactionTemplate(service.getBean(PlatformTransactionManager.class)));
        byte[] scores = ScoreBytes.file();
        Random addresses = new Random();
        return (job, count) -> {
            switch (count % 4) {
                case 0 -> {
                    byte[] address = new byte[32];
                    addresses.nextBytes(address);
                    runs.succeed(job, scores, ScoreBytes.summary(), Runs.origin(HexFormat.of().formatHex(address), null));
                }
                case 1 -> runs.start(job);
                case 2 -> runs.fail(job, new JobError(ErrorCode.DISK_FULL, "no room", List.of()));
                default -> {
                    // it waits
                }
            }
        };
    }

    private static void table(Report report, Fuzzer fuzzer) {
        TreeSet<Integer> known = new TreeSet<>();
        fuzzer.statuses().values().forEach(statuses -> known.addAll(statuses.keySet()));
        List<String> columns = new ArrayList<>(List.of("operation"));
        known.forEach(status -> columns.add(String.valueOf(status)));
        List<List<Object>> rows = new ArrayList<>();
        fuzzer.statuses().forEach((operation, statuses) -> {
            List<Object> row = new ArrayList<>(List.of(operation));
            known.forEach(status -> row.add(statuses.getOrDefault(status, 0)));
            rows.add(row);
        });
        report.table("answers", columns, rows);
    }
}
