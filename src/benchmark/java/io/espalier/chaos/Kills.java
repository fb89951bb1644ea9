package io.espalier.chaos;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;

import io.espalier.benchmark.Options;
import io.espalier.benchmark.Report;

/**
 * An API process and two workers; job after job, and in each somebody is killed: at any instant, and at the instants that hurt. However that goes, the
 * job ends in the bytes of the undisturbed run, every effect once, at most one slice done again for each worker killed.
 */
public final class Kills {

    static final Duration LONGEST = Duration.ofMinutes(6);

    private Kills() {}

    /** The demo model, cut into so many slices of 8192 tokens. */
    static String order(int slices) {
        return """
                {"model": "tiny-qwen2moe", "method": "heapr",
                 "calibration": {"corpus": "kjv-train", "sequences": %d, "sequence_length": 256},
                 "budget": {"ratio": 0.25}, "evaluation": {"corpus": "kjv-test", "windows": 16,
                  "continuations": {"prompts": 2, "prompt_tokens": 16, "tokens": 16}}}""".formatted(slices * 32);
    }

    static final String SLICE = "--espalier.worker.slice-tokens=8192";

    /** One job with somebody killed in it. */
    record Round(Moment moment, String job, List<Killer.Kill> kills, List<String> problems, List<Fleet.Event> events,
            Map<Fleet.Piece, Instant> detected) {

        /** Adds how long it took until the loss of a piece was noticed, until it was taken up again, and until it was done. */
        void times(Figures detection, Figures claim, Figures recovery) {
            for (Killer.Kill kill : kills) {
                for (Fleet.Piece piece : kill.lost().stream().filter(piece -> piece.jobId().equals(job)).toList()) {
                    if (detected.containsKey(piece)) {
                        detection.add(kill.at(), detected.get(piece));
                    }
                    events.stream().filter(event -> event.at().isAfter(kill.at()) && event.starts(piece)).findFirst()
                            .ifPresent(event -> claim.add(kill.at(), event.at()));
                    events.stream().filter(event -> event.at().isAfter(kill.at()) && event.finishes(piece)).findFirst()
                            .ifPresent(event -> recovery.add(kill.at(), event.at()));
                }
            }
        }

        long redone(int slices) {
            return Audit.sliceClaims(events) - slices;
        }
    }

    /** Orders a job, lets somebody be killed in it, waits for its end, and looks at what came out. */
    static Round round(Fleet fleet, Killer killer, Moment moment, String order, Audit.Reference reference) throws Exception {
        fleet.awaitStarted();
        String job = fleet.order(order);
        List<Killer.Kill> kills = killer.strike(moment, job, order);
        int redone = (int) kills.stream().filter(Killer.Kill::worker).count();
        List<String> problems = new ArrayList<>();
        // why all: an order that was on its way when the API was killed may have been taken, and then it counts like every other
        for (String id : fleet.sql().queryForList("select id from pruning_job where id >= ? order by id", String.class, job)) {
            fleet.awaitEnd(id, LONGEST);
            problems.addAll(Audit.of(fleet, id, reference, redone));
        }
        Map<Fleet.Piece, Instant> detected = new HashMap<>();
        kills.forEach(kill -> kill.lost().forEach(piece -> {
            Instant at = fleet.detected(piece, kill.at());
            if (at != null) {
                detected.put(piece, at);
            }
        }));
        return new Round(moment, job, kills, problems, fleet.events(job), detected);
    }

    /** Any instant for most, each of the others at least once while there are enough; in an order that the seed decides. */
    private static List<Moment> moments(int count, Random random) {
        List<Moment> moments = new ArrayList<>(Stream.of(Moment.values()).filter(moment -> moment != Moment.ANY).toList());
        moments.add(Moment.MOVED);
        while (moments.size() < count) {
            moments.add(Moment.ANY);
        }
        java.util.Collections.shuffle(moments, random);
        return moments.subList(0, count);
    }

    public static void main(String[] arguments) throws Exception {
        Options options = Options.only(arguments, "kills", "seed", "slices", "moment", "directory");
        Random random = new Random(options.number("seed", 1));
        int slices = options.number("slices", 8);
        int count = options.number("kills", 25);
        String only = options.word("moment", "", Stream.concat(Stream.of(""), Arrays.stream(Moment.values()).map(Moment::name))
                .toArray(String[]::new));
        Path directory = Files.createTempDirectory(Files.createDirectories(options.path("directory", Path.of("target", "chaos"))
                .toAbsolutePath()), "kills-");
        Report report = Report.withoutEngine("Kills", options);
        List<Round> rounds = new ArrayList<>();
        try (Fleet fleet = new Fleet(directory, 2, SLICE)) {
            Audit.Reference reference = Audit.reference(fleet, order(slices), LONGEST);
            report.fact("undisturbed_s", Figures.seconds(reference.took()));
            report.fact("artifact", reference.artifact());
            Killer killer = new Killer(fleet, random, reference);
            List<Moment> moments = only.isEmpty()
                    ? moments(count, random)
                    : java.util.Collections.nCopies(count, Moment.valueOf(only));
            for (Moment moment : moments) {
                rounds.add(round(fleet, killer, moment, order(slices), reference));
                say(rounds.size(), rounds.getLast(), reference.slices());
            }
            report(report, rounds, reference);
        }
        report.finish();
        if (rounds.stream().anyMatch(round -> !round.problems().isEmpty())) {
            System.exit(1);
        }
    }

    private static void say(int number, Round round, int slices) {
        Figures detection = new Figures();
        Figures claim = new Figures();
        Figures recovery = new Figures();
        round.times(detection, claim, recovery);
        System.out.printf(Locale.ROOT, "  %2d %-13s %-18s lost %-15s redone %d noticed %.1f s claimed %.1f s done %.1f s %s%n", number,
                round.moment(), String.join(",", round.kills().stream().map(Killer.Kill::who).toList()),
                String.join(",", round.kills().stream().flatMap(kill -> kill.lost().stream())
                        .map(piece -> piece.kind().equals("slice") ? "slice " + piece.number() : piece.kind()).toList()),
                round.redone(slices), detection.max(), claim.max(), recovery.max(),
                round.problems().isEmpty() ? "" : "PROBLEMS " + round.problems());
    }

    private static void report(Report report, List<Round> rounds, Audit.Reference reference) {
        Figures detection = new Figures();
        Figures claim = new Figures();
        Figures recovery = new Figures();
        rounds.forEach(round -> round.times(detection, claim, recovery));
        List<Killer.Kill> kills = rounds.stream().flatMap(round -> round.kills().stream()).toList();
        report.table("rounds", List.of("moment", "killed", "lost", "slices_redone", "noticed_s", "claimed_s", "done_s", "problems"),
                rounds.stream().map(round -> {
                    Figures noticed = new Figures();
                    Figures claimed = new Figures();
                    Figures done = new Figures();
                    round.times(noticed, claimed, done);
                    return Arrays.<Object>asList(round.moment().name(), round.kills().size(),
                            round.kills().stream().mapToInt(kill -> kill.lost().size()).sum(), round.redone(reference.slices()),
                            noticed.max(), claimed.max(), done.max(), round.problems().size());
                }).toList());
        report.fact("jobs", rounds.size());
        report.fact("processes_killed", kills.size());
        report.fact("pieces_lost", claim.count());
        report.fact("slices_redone", rounds.stream().mapToLong(round -> round.redone(reference.slices())).sum());
        report.table("seconds", List.of("from the kill", "p50", "max"),
                List.of(List.of("until the loss is noticed", detection.quantile(0.5), detection.max()),
                        List.of("until the lost piece is claimed again", claim.quantile(0.5), claim.max()),
                        List.of("until the lost piece is done", recovery.quantile(0.5), recovery.max())));
        report.bar("seconds until a dead worker is detected", detection.max(), "<=", 60);
        report.bar("jobs with a problem", rounds.stream().filter(round -> !round.problems().isEmpty()).count(), "<=", 0);
        rounds.stream().flatMap(round -> round.problems().stream().map(problem -> round.job() + ": " + problem))
                .forEach(problem -> report.fact("problem", problem));
    }
}
