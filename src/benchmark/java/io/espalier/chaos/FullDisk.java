package io.espalier.chaos;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** Disks that are full for a while: the service's, and the database's. When there is room again, the job goes on by itself. */
final class FullDisk implements AutoCloseable {

    /** What is being written when there is no more room. */
    enum Where {
        /** The spill file of the residual stream. */
        SPILL,
        /** The pruned model. */
        STAGING,
        /** The pruned model, for so long that the job fails; somebody makes room and orders it to be tried again. */
        STAGING_TOO_LONG,
        /** Nothing: all bytes of the artifact are there and only have to be moved. */
        PUBLISH,
        /** The statistics of slices, in the database. */
        DATABASE_SLICES,
        /** The score set, in the database, in the transaction that publishes. */
        DATABASE_PUBLISH
    }

    private static final int SERVICE_MEGABYTES = 128;
    private static final int DATABASE_MEGABYTES = 320;
    private static final Duration NOTICED = Duration.ofSeconds(60);

    private final SmallDisk service;
    private final SmallDisk database;
    private final Fleet fleet;
    private final Audit.Reference reference;
    private final String order;

    /** @throws SmallDisk.NotAllowedException when this user may not mount */
    FullDisk(Path directory, int slices) throws Exception {
        order = Kills.order(slices);
        service = new SmallDisk(directory.resolve("service"), SERVICE_MEGABYTES);
        database = new SmallDisk(directory.resolve("postgres"), DATABASE_MEGABYTES);
        fleet = new Fleet(directory, Files.createDirectories(service.directory().resolve("data")),
                new PostgresServer(database.directory().resolve("data"), directory.resolve("bin")), 2, Kills.SLICE,
                // why: a budget that holds all but the residual stream, so that there is a spill file
                "--espalier.worker.memory-budget=290MB", "--espalier.jobs.retry-backoff=2s");
        reference = Audit.reference(fleet, order, Kills.LONGEST);
    }

    Outages.Round round(Where where) throws Exception {
        fleet.awaitStarted();
        Instant began = Instant.now();
        String job = fleet.order(order);
        Watch watch = new Watch(fleet, job);
        List<String> problems = new ArrayList<>();
        try {
            switch (where) {
                case SPILL -> {
                    watch.slice(2);
                    service.fill(0);
                    see(watch, began, problems, event -> event.is("retrying") && code(event).equals("disk_full"));
                }
                case STAGING -> {
                    fillBeforeTheCut(watch);
                    see(watch, began, problems, event -> event.is("retrying") && code(event).equals("disk_full"));
                }
                case STAGING_TOO_LONG -> {
                    fillBeforeTheCut(watch);
                    see(watch, began, problems, event -> event.is("failed") && code(event).equals("disk_full"));
                    service.empty();
                    int status = fleet.post("/" + job + "/retry", "").statusCode();
                    if (status != 200) {
                        problems.add("retry was answered " + status + " (expected: 200)");
                    }
                }
                case PUBLISH -> {
                    watch.finishing();
                    try (Holder _ = fleet.holder().closes("artifact")) {
                        watch.movedAndWaiting("artifact");
                        service.fill(0);
                    }
                    fleet.awaitEnd(job, Kills.LONGEST);
                }
                case DATABASE_SLICES -> {
                    watch.slice(2);
                    fullDatabase();
                }
                case DATABASE_PUBLISH -> {
                    watch.finishing();
                    Holder artifacts = fleet.holder().closes("artifact");
                    watch.movedAndWaiting("artifact");
                    database.fill(0);
                    artifacts.close();
                    fullDatabase();
                }
            }
        } finally {
            service.empty();
            database.empty();
        }
        fleet.awaitEnd(job, Kills.LONGEST);
        // why so many: a piece that found no room is begun again
        problems.addAll(Audit.of(fleet, job, reference, where == Where.SPILL ? 12 : 2));
        List<String> said = new ArrayList<>(fleet.events(job).stream().filter(event -> event.is("retrying") || event.is("failed"))
                .map(event -> "event: " + event.message().replaceAll("/[^ ]*/", ".../")).distinct().toList());
        said.addAll(fleet.complaints(began));
        return new Outages.Round(where.name().startsWith("DATABASE") ? where.name() + "_FULL" : "DISK_FULL_" + where,
                Figures.seconds(Duration.between(began, Instant.now())), Audit.sliceClaims(fleet.events(job)), problems, said);
    }

    /** Room for the merged statistics and the scores, and not for the model. */
    private void fillBeforeTheCut(Watch watch) throws Exception {
        try (Holder events = fleet.holder()) {
            watch.lastSliceStored(events);
            service.fill(3 << 20);
        }
    }

    private void fullDatabase() throws Exception {
        Instant end = Instant.now().plusSeconds(20);
        while (Instant.now().isBefore(end)) {
            // why again and again: the server gives back room that it no longer needs
            database.fill(0);
            Thread.sleep(500);
        }
        database.empty();
        Thread.sleep(2_000);
        try {
            fleet.sql().queryForObject("select 1", Integer.class);
        } catch (org.springframework.dao.DataAccessException down) {
            // why: a server that cannot write its log ends itself, and who runs it starts it again
            fleet.postgres().stop();
            fleet.postgres().start();
        }
    }

    private static void see(Watch watch, Instant since, List<String> problems, Predicate<Fleet.Event> fits) throws InterruptedException {
        if (watch.event(since, NOTICED, fits) == null) {
            problems.add("nothing was said of the full disk within " + NOTICED.toSeconds() + " s");
        }
    }

    private static String code(Fleet.Event event) {
        return event.data().path("code").stringValue("");
    }

    @Override
    public void close() throws IOException {
        try {
            fleet.close();
        } finally {
            service.close();
            database.close();
        }
    }
}
