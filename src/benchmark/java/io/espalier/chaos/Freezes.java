package io.espalier.chaos;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

import io.espalier.benchmark.Options;
import io.espalier.benchmark.Report;

/**
 * Workers that are stopped past their lease, as a machine whose virtual processor is taken away, and continued when somebody else has their piece. They
 * must find out, change nothing, and be counted; and a worker that stands still must not hold up the others, whatever it held.
 */
public final class Freezes {

    private static final Duration TAKEN_OVER = Duration.ofSeconds(90);
    private static final Duration FOUND_OUT = Duration.ofSeconds(30);

    /** Where a worker is stopped. */
    enum Where {
        /** In the middle of a slice; goes on as soon as another has begun the same one. */
        SLICE,
        /** In the middle of a slice; goes on when the job has long ended. */
        SLICE_UNTIL_THE_END,
        /** In the check of the pruned model; goes on when the job has ended. */
        CHECK,
        /** Between the move of the artifact and its record. */
        MOVED,
        /** In the transaction that claims a piece: the job's row is locked by it. */
        AMID_CLAIM,
        /** In the transaction that says that a slice is measured: the job's row is locked by it. */
        AMID_SLICE_END,
        /** In the transaction that publishes: the job's row is locked by it. */
        AMID_COMMIT,
        /** Both workers at once, past their lease; nobody else is there. */
        BOTH
    }

    /** One job with a worker frozen in it. */
    record Round(Where where, Fleet.Piece piece, double takenOver, long rejected, List<String> problems) {}

    private final Fleet fleet;
    private final Audit.Reference reference;
    private final String order;

    Freezes(Fleet fleet, Audit.Reference reference, String order) {
        this.fleet = fleet;
        this.reference = reference;
        this.order = order;
    }

    Round round(Where where) throws Exception {
        fleet.awaitStarted();
        String job = fleet.order(order);
        Watch watch = new Watch(fleet, job);
        List<String> problems = new ArrayList<>();
        Fleet.Piece piece;
        ServiceProcess frozen;
        List<ServiceProcess> others = new ArrayList<>();
        Instant at;
        try (Holder holder = fleet.holder()) {
            piece = reach(where, watch, holder);
            frozen = piece == null ? null : fleet.worker(piece.worker());
            if (frozen == null) {
                return new Round(where, null, Double.NaN, 0, List.of("the moment did not come"));
            }
            at = Instant.now();
            frozen.freeze();
            if (where == Where.BOTH) {
                others.addAll(fleet.workers().stream().filter(worker -> worker != frozen).toList());
                for (ServiceProcess other : others) {
                    other.freeze();
                }
            }
        }
        Instant takenOver = null;
        try {
            if (where == Where.BOTH) {
                Thread.sleep(Duration.ofSeconds(20));
            } else {
                Fleet.Event event = watch.event(at, TAKEN_OVER, candidate -> candidate.starts(piece));
                if (event == null) {
                    problems.add("nobody took " + piece.kind() + " " + piece.number() + " over within " + TAKEN_OVER.toSeconds() + " s");
                } else {
                    takenOver = event.at();
                    if (where == Where.SLICE_UNTIL_THE_END || where == Where.CHECK || where == Where.MOVED) {
                        fleet.awaitEnd(job, Kills.LONGEST);
                    }
                }
            }
        } finally {
            frozen.thaw();
            for (ServiceProcess other : others) {
                other.thaw();
            }
        }
        fleet.awaitEnd(job, Kills.LONGEST);
        boolean mustBeRefused = takenOver != null && where != Where.AMID_CLAIM;
        awaitRejected(job, mustBeRefused);
        long rejected = rejected(job);
        if (mustBeRefused && rejected == 0) {
            problems.add("no write of the frozen worker was counted as refused");
        }
        problems.addAll(Audit.of(fleet, job, reference, where == Where.BOTH ? 2 : 1));
        return new Round(where, piece, takenOver == null ? Double.NaN : Figures.seconds(Duration.between(at, takenOver)), rejected,
                problems);
    }

    private Fleet.Piece reach(Where where, Watch watch, Holder holder) throws Exception {
        return switch (where) {
            case SLICE, SLICE_UNTIL_THE_END, BOTH -> {
                Fleet.Piece piece = watch.slice(2);
                Thread.sleep(700);
                yield piece;
            }
            case CHECK -> watch.inPhase("check");
            case MOVED -> {
                watch.finishing();
                holder.closes("artifact");
                yield watch.movedAndWaiting("artifact");
            }
            case AMID_CLAIM -> watch.amidFirstClaim(holder);
            case AMID_SLICE_END -> {
                watch.slicesDone(1);
                holder.closes("job_event");
                yield watch.storedAndWaiting();
            }
            case AMID_COMMIT -> watch.amidCommit(holder);
        };
    }

    private void awaitRejected(String job, boolean expected) throws InterruptedException {
        Instant end = Instant.now().plus(expected ? FOUND_OUT : Duration.ofSeconds(2));
        while (rejected(job) == 0 && Instant.now().isBefore(end)) {
            Thread.sleep(200);
        }
    }

    private long rejected(String job) {
        // why one statement: both are written in one transaction, which may end between two
        record Refused(long counted, long told) {}
        Refused refused = fleet.sql().queryForObject("select (select sum(rejected_writes) from job_piece where job_id = ?),"
                + " (select count(*) from job_event where job_id = ? and type = 'write_rejected')",
                (row, _) -> new Refused(row.getLong(1), row.getLong(2)), job, job);
        if (refused.counted != refused.told) {
            throw new IllegalStateException(
                    refused.counted + " refused writes were counted, " + refused.told + " told (expected: the same)");
        }
        return refused.counted;
    }

    public static void main(String[] arguments) throws Exception {
        Options options = Options.only(arguments, "where", "slices", "directory", "setting");
        String only = options.word("where", "", Stream.concat(Stream.of(""), Arrays.stream(Where.values()).map(Where::name))
                .toArray(String[]::new));
        int slices = options.number("slices", 4);
        Path directory = Files.createTempDirectory(Files.createDirectories(options.path("directory", Path.of("target", "chaos"))
                .toAbsolutePath()), "freezes-");
        Report report = Report.withoutEngine("Freezes", options);
        List<Round> rounds = new ArrayList<>();
        try (Fleet fleet = new Fleet(directory, 2, Kills.SLICE, "--" + options.text("setting", "espalier.chaos=true"))) {
            Audit.Reference reference = Audit.reference(fleet, Kills.order(slices), Kills.LONGEST);
            Freezes freezes = new Freezes(fleet, reference, Kills.order(slices));
            for (Where where : Where.values()) {
                if (only.isEmpty() || where.name().equals(only)) {
                    rounds.add(freezes.round(where));
                    System.out.println("  " + rounds.getLast());
                }
            }
        }
        report.table("rounds", List.of("frozen", "taken_over_s", "writes_refused", "problems"), rounds.stream().map(round -> Arrays
                .<Object>asList(round.where().name(), round.takenOver(), round.rejected(), round.problems().size())).toList());
        report.bar("jobs with a problem", rounds.stream().filter(round -> !round.problems().isEmpty()).count(), "<=", 0);
        rounds.stream().flatMap(round -> round.problems().stream().map(problem -> round.where() + ": " + problem))
                .forEach(problem -> report.fact("problem", problem));
        report.finish();
        if (rounds.stream().anyMatch(round -> !round.problems().isEmpty())) {
            System.exit(1);
        }
    }
}
