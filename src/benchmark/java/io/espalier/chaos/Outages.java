package io.espalier.chaos;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

import io.espalier.benchmark.Options;
import io.espalier.benchmark.Report;

/**
 * The database goes away, cuts its connections, is blocked by others; a disk is full. The processes live on, and so must the jobs: they end in the same
 * bytes as if nothing had been, and events and logs say what was.
 */
public final class Outages {

    /** What goes wrong while a job runs. */
    enum Outage {
        /** PostgreSQL is stopped as an administrator would, and started 15 s later. */
        DATABASE_STOPPED,
        /** PostgreSQL is killed, and started 5 s later. */
        DATABASE_KILLED,
        /** The same in the moment in which a worker publishes: was it written or not? */
        DATABASE_KILLED_AMID_COMMIT,
        /** For 20 s one connection of the service after the other is cut. */
        CONNECTIONS_CUT,
        /** 40 clients at once ask for what somebody else's lock forbids, for 40 s. */
        POOL_EXHAUSTED,
        /** A client holds the job's row for 20 s and does nothing. */
        ROW_HELD,
        /** A client holds the queue's table for 20 s, longer than the workers' leases. */
        QUEUE_HELD
    }

    private static final int FLOOD = 40;

    private final Fleet fleet;
    private final Audit.Reference reference;
    private final String order;
    private final Random random;
    private final Map<String, Object> notes = new LinkedHashMap<>();

    Outages(Fleet fleet, Audit.Reference reference, String order, Random random) {
        this.fleet = fleet;
        this.reference = reference;
        this.order = order;
        this.random = random;
    }

    /**
     * One job with an outage in it.
     *
     * @param seconds from the order to its end
     * @param begun slices that were begun
     * @param said events and log lines that tell of it
     */
    record Round(String outage, double seconds, long begun, List<String> problems, List<String> said) {}

    Round round(Outage outage) throws Exception {
        fleet.awaitStarted();
        notes.clear();
        Instant began = Instant.now();
        String job = fleet.order(order);
        Watch watch = new Watch(fleet, job);
        List<String> problems = new ArrayList<>();
        if (outage != Outage.DATABASE_KILLED_AMID_COMMIT) {
            watch.pass(reference.took().dividedBy(3));
        }
        switch (outage) {
            case DATABASE_STOPPED -> {
                fleet.postgres().stop();
                Thread.sleep(Duration.ofSeconds(15));
                fleet.postgres().start();
            }
            case DATABASE_KILLED -> killDatabase();
            case DATABASE_KILLED_AMID_COMMIT -> {
                Holder events = fleet.holder();
                watch.amidCommit(events);
                killDatabase();
            }
            case CONNECTIONS_CUT -> cutConnections();
            case POOL_EXHAUSTED -> flood(job, problems);
            case ROW_HELD -> {
                try (Holder _ = fleet.holder().holds(job)) {
                    Thread.sleep(Duration.ofSeconds(20));
                }
            }
            case QUEUE_HELD -> {
                try (Holder _ = fleet.holder().owns("scheduled_tasks")) {
                    Thread.sleep(Duration.ofSeconds(20));
                }
            }
        }
        fleet.awaitEnd(job, Kills.LONGEST);
        double seconds = Figures.seconds(Duration.between(began, Instant.now()));
        // why more than none: a worker whose lease ran out while the database could not be reached has lost its slice
        problems.addAll(Audit.of(fleet, job, reference, fleet.workers().size()));
        for (ServiceProcess process : fleet.workers()) {
            if (!process.isAlive()) {
                problems.add(process.name() + " has ended");
            }
        }
        if (!fleet.api().isAlive()) {
            problems.add("the API process has ended");
        }
        List<String> said = new ArrayList<>(fleet.complaints(began));
        notes.forEach((name, value) -> said.add("seen from outside: " + name + " " + value));
        return new Round(outage.name(), seconds, Audit.sliceClaims(fleet.events(job)), problems, said);
    }

    private void killDatabase() throws Exception {
        fleet.postgres().kill();
        Thread.sleep(Duration.ofSeconds(5));
        fleet.postgres().start();
    }

    private void cutConnections() throws InterruptedException {
        Instant end = Instant.now().plusSeconds(20);
        int cut = 0;
        while (Instant.now().isBefore(end)) {
            List<Integer> backends = fleet.sql().queryForList("select pid from pg_stat_activity where application_name ~ '^(api|worker)'",
                    Integer.class);
            if (!backends.isEmpty()) {
                fleet.sql().queryForList("select pg_terminate_backend(?)", backends.get(random.nextInt(backends.size())));
                cut++;
            }
            Thread.sleep(100);
        }
        notes.put("connections cut", cut);
    }

    /** Every connection of the API's pool waits for the row; everybody else waits for a connection. */
    private void flood(String job, List<String> problems) throws Exception {
        Map<String, Integer> answers = new ConcurrentHashMap<>();
        try (ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
            try (Holder _ = fleet.holder().holds(job)) {
                Instant end = Instant.now().plusSeconds(40);
                for (int i = 0; i < FLOOD; i++) {
                    boolean asks = i % 2 == 0;
                    clients.submit(() -> {
                        while (Instant.now().isBefore(end)) {
                            // why resume: it locks the row, and a job that runs does not mind
                            int status = (asks ? fleet.post("/" + job + "/resume", "") : fleet.get("/" + job)).statusCode();
                            answers.merge((asks ? "POST " : "GET ") + status, 1, Integer::sum);
                        }
                        return null;
                    });
                }
                Thread.sleep(Duration.between(Instant.now(), end));
            }
        }
        notes.put("answers", new TreeMap<>(answers));
        if (answers.keySet().stream().anyMatch(answer -> answer.matches(".* 5\\d\\d") && !answer.endsWith("503"))) {
            problems.add("answers " + answers + " (expected: 200 or 503)");
        }
        int status = fleet.get("/" + job).statusCode();
        if (status != 200) {
            problems.add("afterwards GET was answered " + status + " (expected: 200)");
        }
    }

    public static void main(String[] arguments) throws Exception {
        Options options = Options.only(arguments, "outage", "slices", "seed", "directory");
        List<String> known = new ArrayList<>(List.of(""));
        Arrays.stream(Outage.values()).map(Outage::name).forEach(known::add);
        Arrays.stream(FullDisk.Where.values()).map(FullDisk.Where::name).forEach(known::add);
        String only = options.word("outage", "", known.toArray(String[]::new));
        int slices = options.number("slices", 4);
        Path directory = Files.createTempDirectory(Files.createDirectories(options.path("directory", Path.of("target", "chaos"))
                .toAbsolutePath()), "outages-");
        Report report = Report.withoutEngine("Outages", options);
        List<Round> rounds = new ArrayList<>();
        if (only.isEmpty() || Arrays.stream(Outage.values()).anyMatch(outage -> outage.name().equals(only))) {
            try (Fleet fleet = new Fleet(directory.resolve("database"), 2, Kills.SLICE)) {
                Audit.Reference reference = Audit.reference(fleet, Kills.order(slices), Kills.LONGEST);
                Outages outages = new Outages(fleet, reference, Kills.order(slices), new Random(options.number("seed", 1)));
                for (Outage outage : Outage.values()) {
                    if (only.isEmpty() || outage.name().equals(only)) {
                        rounds.add(outages.round(outage));
                        say(rounds.getLast());
                    }
                }
            }
        }
        List<FullDisk.Where> disks = Arrays.stream(FullDisk.Where.values()).filter(where -> only.isEmpty() || where.name().equals(only))
                .toList();
        try (FullDisk disk = disks.isEmpty() ? null : new FullDisk(directory.resolve("disk"), slices)) {
            for (FullDisk.Where where : disks) {
                rounds.add(disk.round(where));
                say(rounds.getLast());
            }
        } catch (SmallDisk.NotAllowedException e) {
            report.fact("full_disks_not_run", e.getMessage());
        }
        report.table("rounds", List.of("outage", "wall_s", "slices", "slices_begun", "problems"), rounds.stream().map(round -> Arrays
                .<Object>asList(round.outage(), round.seconds(), slices, round.begun(), round.problems().size())).toList());
        rounds.forEach(round -> report.fact(round.outage(), round.said()));
        report.bar("jobs with a problem", rounds.stream().filter(round -> !round.problems().isEmpty()).count(), "<=", 0);
        rounds.stream().flatMap(round -> round.problems().stream().map(problem -> round.outage() + ": " + problem))
                .forEach(problem -> report.fact("problem", problem));
        report.finish();
        if (rounds.stream().anyMatch(round -> !round.problems().isEmpty())) {
            System.exit(1);
        }
    }

    private static void say(Round round) {
        System.out.printf(java.util.Locale.ROOT, "  %s: %.1f s, %d slices begun %s%n", round.outage(), round.seconds(), round.begun(),
                round.problems().isEmpty() ? "" : "PROBLEMS " + round.problems());
        round.said().forEach(line -> System.out.println("      " + line));
    }
}
