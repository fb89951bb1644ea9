package io.espalier.chaos;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

import tools.jackson.databind.JsonNode;

/** What must hold of a job that has succeeded, whatever happened on the way: the bytes of an undisturbed run, every effect once, nothing left over. */
final class Audit {

    private static final Duration SWEPT = Duration.ofSeconds(20);

    /**
     * What an undisturbed run brought forth.
     *
     * @param artifact digest of the artifact
     * @param files name to SHA-256
     * @param scores SHA-256 of the score set
     * @param said what both models continued the prompts with
     * @param slices of the calibration set
     * @param took from order to end
     */
    record Reference(String artifact, Map<String, String> files, String scores, String said, int slices, Duration took) {}

    private final Fleet fleet;
    private final List<String> problems = new ArrayList<>();

    private Audit(Fleet fleet) {
        this.fleet = fleet;
    }

    /** Runs an order with nobody in its way. */
    static Reference reference(Fleet fleet, String order, Duration atMost) throws Exception {
        Instant began = Instant.now();
        String id = fleet.order(order);
        JsonNode job = fleet.awaitEnd(id, atMost);
        if (!job.get("state").stringValue().equals("succeeded")) {
            throw new IllegalStateException("the undisturbed job ended so: " + job);
        }
        Duration took = Duration.between(began, Instant.now());
        Audit audit = new Audit(fleet);
        return new Reference(audit.digest(id), audit.files(id), audit.scores(id), audit.said(id),
                fleet.sql().queryForObject("select slices from pruning_job where id = ?", Integer.class, id), took);
    }

    /**
     * @param redone slices that may have been begun once more than there are
     * @return what is wrong; empty when nothing is
     */
    static List<String> of(Fleet fleet, String id, Reference reference, int redone) throws Exception {
        Audit audit = new Audit(fleet);
        String state = fleet.sql().queryForObject("select state from pruning_job where id = ?", String.class, id);
        if (!state.equals("succeeded")) {
            return List.of("state " + state + ": " + fleet.sql().queryForObject("select error::text from pruning_job where id = ?",
                    String.class, id));
        }
        audit.sameBytes(id, reference);
        audit.everyEffectOnce(id, reference, redone);
        audit.nothingIsLeft(id);
        return audit.problems;
    }

    private void sameBytes(String id, Reference reference) {
        expect("artifact digest", digest(id), reference.artifact());
        expect("files", files(id), reference.files());
        expect("score set", scores(id), reference.scores());
        expect("continuations", said(id), reference.said());
        String artifact = fleet.sql().queryForObject("select artifact_id from pruning_job where id = ?", String.class, id);
        expect("files on the disk", onDisk(fleet.data().resolve("artifacts").resolve(artifact)), reference.files());
    }

    private void everyEffectOnce(String id, Reference reference, int redone) {
        expect("artifacts", count("select count(*) from artifact where job_id = ?", id), 1L);
        expect("score sets", count("select count(*) from score_set where job_id = ?", id), 1L);
        List<Fleet.Event> events = fleet.events(id);
        for (int i = 0; i < events.size(); i++) {
            if (events.get(i).seq() != i + 1) {
                problems.add("event " + (i + 1) + " of " + events.size() + " has the number " + events.get(i).seq());
                break;
            }
        }
        expect("number of the last event", count("select last_event from pruning_job where id = ?", id), (long) events.size());
        expect("events of success", events.stream().filter(event -> event.is("succeeded")).count(), 1L);
        expect("slices that were finished", events.stream().filter(event -> event.is("slice_finished"))
                .map(event -> event.data().get("slice").intValue()).sorted().toList(),
                java.util.stream.IntStream.rangeClosed(1, reference.slices()).boxed().toList());
        long begun = sliceClaims(events);
        if (begun > reference.slices() + redone) {
            problems.add("slices begun: " + begun + " (expected: at most " + reference.slices() + " and " + redone + " again)");
        }
    }

    static long sliceClaims(List<Fleet.Event> events) {
        return events.stream().filter(event -> event.is("piece_started") && event.data().path("piece").stringValue("").equals("slice"))
                .count();
    }

    private void nothingIsLeft(String id) throws Exception {
        Instant end = Instant.now().plus(SWEPT);
        while (!leftovers(id).isEmpty() && Instant.now().isBefore(end)) {
            Thread.sleep(200);
        }
        problems.addAll(leftovers(id));
    }

    private List<String> leftovers(String id) throws IOException {
        List<String> left = new ArrayList<>();
        if (count("select count(*) from slice_chunk where job_id = ?", id) > 0) {
            left.add("statistics of slices are still there");
        }
        if (count("select count(*) from scheduled_tasks where task_name = 'job_piece' and split_part(task_instance, '/', 1) = ?", id) > 0) {
            left.add("entries are still in the queue");
        }
        names(fleet.data().resolve("work")).stream().filter(name -> name.startsWith(id)).forEach(name -> left.add("left: work/" + name));
        Set<String> recorded = new TreeSet<>(fleet.sql().queryForList("select id from artifact", String.class));
        names(fleet.data().resolve("artifacts")).stream().filter(name -> !recorded.contains(name))
                .forEach(name -> left.add("left: artifacts/" + name));
        return left;
    }

    private String digest(String id) {
        return fleet.sql().queryForObject("select result -> 'digests' ->> 'artifact' from pruning_job where id = ?", String.class, id);
    }

    private String said(String id) {
        return fleet.sql().queryForObject("select result -> 'continuations' ->> 'prompts' from pruning_job where id = ?", String.class, id);
    }

    private Map<String, String> files(String id) {
        Map<String, String> files = new TreeMap<>();
        fleet.sql().query("select f.name, f.sha256 from artifact_file f join artifact a on a.id = f.artifact_id where a.job_id = ?",
                row -> {
                    files.put(row.getString(1), row.getString(2));
                }, id);
        return files;
    }

    private String scores(String id) {
        return fleet.sql().queryForObject("select max(sha256) from score_set where job_id = ?", String.class, id);
    }

    private static Map<String, String> onDisk(Path directory) {
        Map<String, String> sums = new TreeMap<>();
        try {
            for (String name : names(directory)) {
                sums.put(name, HexFormat.of().formatHex(
                        MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(directory.resolve(name)))));
            }
            return sums;
        } catch (IOException | java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static List<String> names(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            return List.of();
        }
        try (Stream<Path> entries = Files.list(directory)) {
            return entries.map(entry -> entry.getFileName().toString()).sorted().toList();
        }
    }

    private long count(String sql, String id) {
        return fleet.sql().queryForObject(sql, Long.class, id);
    }

    private void expect(String what, Object found, Object expected) {
        if (!java.util.Objects.equals(found, expected)) {
            problems.add(what + ": " + found + " (expected: " + expected + ")");
        }
    }
}
