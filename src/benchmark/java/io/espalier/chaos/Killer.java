package io.espalier.chaos;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;

/** Waits for the moment, and kills with SIGKILL. */
final class Killer {

    /**
     * @param who the process's name
     * @param at when the signal was sent
     * @param lost what it was at work on
     * @param worker whether it was a worker
     */
    record Kill(String who, Instant at, List<Fleet.Piece> lost, boolean worker) {}

    /** About as long as a slice takes of the model that is pruned here, so that some are cut off before they are saved and some after. */
    private static final int EVICTION_MILLIS = 600;

    private final Fleet fleet;
    private final Random random;
    private final Audit.Reference usual;
    private final List<Kill> kills = new ArrayList<>();
    private Watch watch;

    /** @param usual what a job is like that nobody disturbs */
    Killer(Fleet fleet, Random random, Audit.Reference usual) {
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
        watch = new Watch(fleet, job);
        switch (moment) {
            case ANY -> any(1);
            case ANY_BOTH -> any(2);
            case CLAIMED -> killHolder(watch.claimed(random.nextInt(1, usual.slices() + 1)));
            case SLICE_STORED -> stored();
            case CHECK -> killHolder(watch.inPhase("check"));
            case CHECKED_ONCE -> killHolder(watch.checkedOnce());
            case PUBLISH -> killHolder(watch.inPhase("publish"));
            case MOVED -> moved();
            case AMID_COMMIT -> amidCommit();
            case STARTING -> starting();
            case DRAINING -> draining();
            case EVICTED -> evicted();
            case API -> api();
            case API_ORDERING -> apiOrdering(order);
        }
        return List.copyOf(kills);
    }

    private void any(int victims) throws Exception {
        pass();
        List<ServiceProcess> workers = new ArrayList<>(fleet.workers());
        Collections.shuffle(workers, random);
        for (ServiceProcess worker : workers.subList(0, victims)) {
            kill(worker);
        }
        for (ServiceProcess worker : workers.subList(0, victims)) {
            fleet.startWorker(fleet.indexOf(worker));
        }
    }

    /** Some time of the job's life goes by. */
    private void pass() throws InterruptedException {
        watch.pass(Duration.ofMillis((long) (usual.took().toMillis() * random.nextDouble(0.02, 0.98))));
    }

    private void stored() throws Exception {
        watch.slicesDone(random.nextInt(1, usual.slices()));
        // why this table: a slice is told with an event, and its statistics are stored before
        try (Holder _ = fleet.holder().closes("job_event")) {
            killHolder(watch.storedAndWaiting());
        }
    }

    /** While nobody can insert into the table of artifacts, the worker that publishes stands right before it. */
    private void moved() throws Exception {
        watch.finishing();
        try (Holder _ = fleet.holder().closes("artifact")) {
            killHolder(watch.movedAndWaiting("artifact"));
        }
    }

    private void amidCommit() throws Exception {
        try (Holder events = fleet.holder()) {
            killHolder(watch.amidCommit(events));
        }
    }

    private void starting() throws Exception {
        any(1);
        ServiceProcess reborn = fleet.workers().stream().max(Comparator.comparing(ServiceProcess::born)).orElseThrow();
        Thread.sleep(random.nextInt(12_000));
        kill(reborn);
        fleet.startWorker(fleet.indexOf(reborn));
    }

    private void draining() throws Exception {
        pass();
        ServiceProcess worker = fleet.workers().get(random.nextInt(fleet.workers().size()));
        worker.terminate();
        worker.awaitEnd(Duration.ofMillis(random.nextInt(5_000)));
        kill(worker);
        fleet.startWorker(fleet.indexOf(worker));
    }

    private void evicted() throws Exception {
        Fleet.Piece piece = watch.slicesDone(random.nextInt(usual.slices()));
        ServiceProcess worker = piece == null ? null : fleet.worker(piece.worker());
        if (worker != null) {
            worker.terminate();
            worker.awaitEnd(Duration.ofMillis(random.nextInt(EVICTION_MILLIS)));
            kill(worker);
            fleet.startWorker(fleet.indexOf(worker));
        }
    }

    private void api() throws Exception {
        pass();
        kill(fleet.api());
        fleet.startApi();
    }

    private void apiOrdering(String order) throws Exception {
        pass();
        CompletableFuture.runAsync(() -> {
            try {
                fleet.post("", order);
            } catch (Exception cut) {
                // why nothing: whether the order was taken is looked up in the database
            }
        });
        Thread.sleep(random.nextInt(40));
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
}
