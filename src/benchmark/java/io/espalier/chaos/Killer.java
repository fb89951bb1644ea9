package io.espalier.chaos;

import java.nio.file.Files;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.function.Predicate;
import java.util.stream.Stream;

/** Waits for the moment, and kills with SIGKILL. */
final class Killer {

    private static final Duration LOOK_EVERY = Duration.ofMillis(4);

    /**
     * @param who the process's name
     * @param at when the signal was sent
     * @param lost what it was at work on
     * @param worker whether it was a worker
     */
    record Kill(String who, Instant at, List<Fleet.Piece> lost, boolean worker) {}

    private final Fleet fleet;
    private final Random random;
    private final Duration usual;
    private final List<Kill> kills = new ArrayList<>();
    private String order;

    /** @param usual how long a job takes alone */
    Killer(Fleet fleet, Random random, Duration usual) {
        this.fleet = fleet;
        this.random = random;
        this.usual = usual;
    }

    /**
     * Kills somebody at the moment, and starts everybody who was killed again.
     *
     * @param job that is under way
     * @param order another like it
     * @return who was killed; empty when the job ended before the moment came
     */
    List<Kill> strike(Moment moment, String job, String order) throws Exception {
        kills.clear();
        this.order = order;
        switch (moment) {
            case ANY -> any(job, 1);
            case ANY_BOTH -> any(job, 2);
            case CLAIMED -> claimed(job);
            case SLICE_STORED -> stored(job);
            case PUBLISH -> published(job);
            case MOVED -> held(job, "artifact");
            case AMID_COMMIT -> held(job, "score_set");
            case STARTING -> starting(job);
            case DRAINING -> draining(job);
            case API -> api(job, false);
            case API_ORDERING -> api(job, true);
        }
        return List.copyOf(kills);
    }

    private void any(String job, int victims) throws Exception {
        pass(job);
        List<ServiceProcess> workers = new ArrayList<>(fleet.workers());
        java.util.Collections.shuffle(workers, random);
        for (ServiceProcess worker : workers.subList(0, victims)) {
            kill(worker);
        }
        for (ServiceProcess worker : workers.subList(0, victims)) {
            fleet.startWorker(fleet.indexOf(worker));
        }
    }

    /** Some time of the job's life goes by. */
    private void pass(String job) throws Exception {
        Instant until = Instant.now().plusMillis((long) (usual.toMillis() * random.nextDouble(0.02, 0.98)));
        while (Instant.now().isBefore(until) && !ended(job)) {
            Thread.sleep(20);
        }
    }

    private void claimed(String job) throws Exception {
        int claims = random.nextInt(1, 9);
        killHolder(await(job, piece -> piece.attempt() > claims));
    }

    private void stored(String job) throws Exception {
        int claims = random.nextInt(2, 7);
        await(job, piece -> piece.attempt() > claims);
        // why this table: a slice is told with an event, and its statistics are stored before
        try (Holder _ = fleet.holder().closes("job_event")) {
            killHolder(await(job, piece -> fleet.sql().queryForObject(
                    "select exists (select 1 from slice_chunk where job_id = ? and piece = ? and attempt = ?)", Boolean.class, job,
                    piece.number(), piece.attempt()) && waits("job_event")));
        }
    }

    private void published(String job) throws Exception {
        killHolder(await(job, piece -> piece.kind().equals("finish") && "publish".equals(fleet.sql().queryForObject(
                "select phase from pruning_job where id = ?", String.class, job))));
    }

    /** While nobody can insert into a table, the worker that publishes stands right before it. */
    private void held(String job, String table) throws Exception {
        await(job, piece -> piece.kind().equals("finish"));
        try (Holder _ = fleet.holder().closes(table)) {
            killHolder(await(job, piece -> piece.kind().equals("finish") && moved(job) && waits(table)));
        }
    }

    private boolean moved(String job) {
        try (Stream<java.nio.file.Path> entries = Files.list(Files.createDirectories(fleet.data().resolve("artifacts")))) {
            return entries.anyMatch(entry -> entry.getFileName().toString().contains(job.substring("job_".length())));
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private boolean waits(String table) {
        return fleet.sql().queryForObject("select exists (select 1 from pg_locks where relation = ?::regclass and not granted)",
                Boolean.class, table);
    }

    private void starting(String job) throws Exception {
        any(job, 1);
        ServiceProcess reborn = fleet.workers().stream().max(java.util.Comparator.comparing(ServiceProcess::born)).orElseThrow();
        Thread.sleep(random.nextInt(12_000));
        kill(reborn);
        fleet.startWorker(fleet.indexOf(reborn));
    }

    private void draining(String job) throws Exception {
        pass(job);
        ServiceProcess worker = fleet.workers().get(random.nextInt(fleet.workers().size()));
        worker.terminate();
        worker.awaitEnd(Duration.ofMillis(random.nextInt(5_000)));
        kill(worker);
        fleet.startWorker(fleet.indexOf(worker));
    }

    private void api(String job, boolean ordering) throws Exception {
        pass(job);
        if (ordering) {
            CompletableFuture.runAsync(() -> {
                try {
                    fleet.post("", order);
                } catch (Exception cut) {
                    // why nothing: whether the order was taken is looked up in the database
                }
            });
            Thread.sleep(random.nextInt(40));
        }
        kill(fleet.api());
        fleet.startApi();
    }

    private void killHolder(Fleet.Piece piece) throws Exception {
        ServiceProcess worker = piece == null ? null : fleet.worker(piece.worker());
        if (worker != null) {
            kill(worker);
            fleet.startWorker(fleet.indexOf(worker));
        }
    }

    private void kill(ServiceProcess process) throws Exception {
        Instant now = Instant.now();
        process.kill();
        List<Fleet.Piece> lost = fleet.running().stream().filter(piece -> piece.worker().endsWith("/" + process.pid())).toList();
        kills.add(new Kill(process.name(), now, lost, process != fleet.api()));
    }

    /** The first piece of the job that is running and fits; {@code null} when the job ends before there is one. */
    private Fleet.Piece await(String job, Predicate<Fleet.Piece> fits) throws Exception {
        while (true) {
            for (Fleet.Piece piece : fleet.running()) {
                if (piece.jobId().equals(job) && fits.test(piece)) {
                    return piece;
                }
            }
            if (ended(job)) {
                return null;
            }
            Thread.sleep(LOOK_EVERY);
        }
    }

    private boolean ended(String job) {
        return fleet.sql().queryForObject("select finished_at is not null from pruning_job where id = ?", Boolean.class, job);
    }
}
