package io.espalier.artifact;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.function.LongConsumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.Stream;

import jakarta.persistence.EntityManager;
import jakarta.persistence.TypedQuery;

import io.espalier.objectstore.ObjectStore;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/**
 * All finished files, in the file system or in a bucket. What has no row is nobody's: it was put here by an attempt that then lost its job, or its row
 * was deleted first.
 */
@Component
public class Artifacts {

    private static final Logger log = LoggerFactory.getLogger(Artifacts.class);
    private static final Duration SWEEP_BUCKET_EVERY = Duration.ofHours(1);

    private final FileStore files;
    private final S3Store objects;
    private final ArtifactSettings.Store store;
    private final SigningKey key;
    private final Duration keepLeftovers;
    private final EntityManager entities;
    private final JdbcClient jdbc;
    private final Clock clock;
    private volatile Instant sweptBucket = Instant.EPOCH;

    Artifacts(ArtifactSettings settings, ObjectStore objects, EntityManager entities, JdbcClient jdbc, Clock clock) {
        this.files = new FileStore(settings.directory());
        this.objects = new S3Store(objects);
        this.store = settings.artifacts().store();
        this.key = settings.key();
        this.keepLeftovers = objects.settings().keepLeftovers();
        this.entities = entities;
        this.jdbc = jdbc;
        this.clock = clock;
    }

    /** As below, of a directory that is small or stays on this machine. */
    public Artifact move(Path finished, String id, String jobId, String digest) throws IOException {
        return move(finished, id, jobId, digest, _ -> {});
    }

    /**
     * Sums a finished directory, signs it where there is a key, and brings it to where artifacts are kept: in the file system durably and in one step, into
     * a bucket file by file. It is found only once it is {@linkplain #record(Artifact) recorded}.
     *
     * @param finished the directory; gone afterwards where it lies on the artifacts' file system
     * @param id of the artifact to be
     * @param jobId that made it
     * @param digest of the list of all files and their digests
     * @param told how many more bytes were uploaded; may throw to end it
     * @throws IOException when a file cannot be read or brought there; then nothing is there that anybody would find
     */
    public Artifact move(Path finished, String id, String jobId, String digest, LongConsumer told) throws IOException {
        List<ArtifactFile> summed = summed(finished);
        if (key != null) {
            Path signature = Files.write(finished.resolve(ModelSignature.FILE), ModelSignature.of(id, summed, key));
            summed.removeIf(file -> file.name().equals(ModelSignature.FILE));
            summed.add(new ArtifactFile(ModelSignature.FILE, Files.size(signature), sumAndSync(signature)));
            summed.sort(Comparator.comparing(ArtifactFile::name));
        }
        boolean away = store == ArtifactSettings.Store.S3;
        if (away) {
            objects.put(id, finished, summed, told);
        } else {
            files.move(finished, id);
        }
        return new Artifact(id, jobId, now(), digest, away ? objects.location(id) : null, summed);
    }

    private static List<ArtifactFile> summed(Path finished) throws IOException {
        List<ArtifactFile> summed = new ArrayList<>();
        try (Stream<Path> walk = Files.walk(finished)) {
            for (Path file : walk.filter(Files::isRegularFile).sorted().toList()) {
                String name = finished.relativize(file).toString().replace(file.getFileSystem().getSeparator(), "/");
                summed.add(new ArtifactFile(name, Files.size(file), sumAndSync(file)));
            }
        }
        return summed;
    }

    /** Makes a moved artifact findable, in the caller's transaction. */
    @Transactional
    public void record(Artifact artifact) {
        // why a copy: after a rollback the files of the first object count as stored, and a second try would store none
        entities.persist(artifact.copy());
        entities.flush();
    }

    /** Also one that was deleted: see {@link Artifact#deletedAt()}. */
    @Transactional(readOnly = true)
    public Optional<Artifact> find(String id) {
        return Optional.ofNullable(entities.find(Artifact.class, id));
    }

    /**
     * An artifact of a project's job.
     *
     * @param project {@code null}: of any
     */
    @Transactional(readOnly = true)
    public Optional<Artifact> find(String id, String project) {
        return project == null
                ? find(id)
                : entities.createQuery("select a from Artifact a where a.id = :id and a.project = :project", Artifact.class)
                        .setParameter("id", id).setParameter("project", project).getResultStream().findFirst();
    }

    /** What a job has published, in the order of its outputs, the deleted included. */
    @Transactional(readOnly = true)
    public List<Artifact> ofJob(String jobId) {
        return entities.createQuery("select a from Artifact a where a.jobId = :job order by a.id", Artifact.class)
                .setParameter("job", jobId).getResultList();
    }

    /**
     * Artifacts that are there, newest first.
     *
     * @param project only its own; {@code null}: all
     * @param jobId only those it made; {@code null}: all
     * @param afterId only those older than this one; {@code null}: from the newest
     * @param limit at most so many
     */
    @Transactional(readOnly = true)
    public List<Artifact> list(String project, String jobId, String afterId, int limit) {
        TypedQuery<Artifact> query = entities.createQuery("select a from Artifact a where a.deletedAt is null"
                + (project == null ? "" : " and a.project = :project") + (jobId == null ? "" : " and a.jobId = :job")
                + (afterId == null ? "" : " and a.id < :after") + " order by a.id desc", Artifact.class);
        if (project != null) {
            query.setParameter("project", project);
        }
        if (jobId != null) {
            query.setParameter("job", jobId);
        }
        if (afterId != null) {
            query.setParameter("after", afterId);
        }
        return query.setMaxResults(limit).getResultList();
    }

    /**
     * One file, where it lies in the file system.
     *
     * @param name as the artifact lists it; nothing else is ever looked for on the disk
     */
    @Transactional(readOnly = true)
    public Optional<Path> file(String id, String name) {
        return find(id)
                .filter(artifact -> artifact.location() == null && artifact.files().stream().anyMatch(file -> file.name().equals(name)))
                .map(artifact -> files.path(artifact.id()).resolve(name));
    }

    /** Writes the bytes of a listed file from the first position (inclusive) to the second (exclusive). */
    public void write(Artifact artifact, ArtifactFile file, long from, long to, OutputStream out) throws IOException {
        if (artifact.location() == null) {
            files.write(artifact.id(), file.name(), from, to, out);
        } else {
            objects.write(artifact.location(), file.name(), from, to, out);
        }
    }

    /**
     * How to make an address at which a listed file can be read without this service, for a while; empty when there is none.
     *
     * @param type media type to say there
     * @param disposition {@code Content-Disposition} to say there
     */
    public Optional<Supplier<URI>> address(Artifact artifact, ArtifactFile file, String type, String disposition) {
        return artifact.location() == null
                ? Optional.empty()
                : Optional.of(() -> objects.address(artifact.location(), file.name(), type, disposition));
    }

    /** All files in one, without a copy of them. */
    public Archive archive(Artifact artifact) {
        return Archive.of(artifact, (file, from, to, out) -> write(artifact, file, from, to, out));
    }

    /**
     * Deletes an artifact, in the caller's transaction. Its row stays with its job; its files are to be {@linkplain #discard discarded} after the commit.
     *
     * @return whether it was there
     */
    @Transactional
    public boolean delete(String id) {
        int deleted = jdbc.sql("update artifact set deleted_at = :now where id = :id and deleted_at is null")
                .param("now", java.sql.Timestamp.from(now())).param("id", id).update();
        entities.clear();
        return deleted > 0;
    }

    /** Deletes the files of artifacts that no row speaks of, whatever became of the attempt to record them. */
    public void withdraw(List<Artifact> moved) {
        moved.stream().filter(artifact -> find(artifact.id()).isEmpty()).forEach(this::discard);
    }

    /**
     * Deletes files that no row refers to, and those of deleted artifacts.
     *
     * @param nobodys whether the artifact id may go: false while an attempt may be between move and record, and for another database's
     */
    public void sweep(Predicate<String> nobodys) throws IOException {
        for (String id : files.ids()) {
            // why the row is asked last: what nobody can record any more may have been recorded a moment ago
            if (!there(id) && nobodys.test(id) && !there(id)) {
                files.discard(id);
            }
        }
        if (objects.there()) {
            going().forEach(this::discard);
            sweepBucket(nobodys);
        }
    }

    private List<Artifact> going() {
        return entities.createQuery("select a from Artifact a where a.store = 's3' and a.deletedAt is not null and a.goneAt is null",
                Artifact.class).getResultList();
    }

    private void sweepBucket(Predicate<String> nobodys) throws IOException {
        Instant now = clock.instant();
        Duration every = keepLeftovers.compareTo(SWEEP_BUCKET_EVERY) < 0 ? keepLeftovers : SWEEP_BUCKET_EVERY;
        if (sweptBucket.plus(every).isAfter(now)) {
            return;
        }
        sweptBucket = now;
        objects.sweep(id -> !there(id) && nobodys.test(id) && !there(id), now.minus(keepLeftovers));
    }

    private boolean there(String id) {
        return jdbc.sql("select count(*) from artifact where id = :id and deleted_at is null").param("id", id).query(Long.class)
                .single() > 0;
    }

    /** Deletes the files of an artifact whose row is gone or says so. What cannot be deleted now is swept later. */
    public void discard(Artifact artifact) {
        try {
            if (artifact.location() == null) {
                files.discard(artifact.id());
            } else {
                objects.discard(artifact.location());
                jdbc.sql("update artifact set gone_at = :now where id = :id and deleted_at is not null")
                        .param("now", java.sql.Timestamp.from(now())).param("id", artifact.id()).update();
            }
        } catch (IOException e) {
            log.warn("the files of {} were not deleted, a later sweep tries again: {}", artifact.id(), e.toString());
        }
    }

    private Instant now() {
        return clock.instant().truncatedTo(ChronoUnit.MICROS);
    }

    private static String sumAndSync(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
                InputStream in = Channels.newInputStream(channel)) {
            MessageDigest sum = MessageDigest.getInstance("SHA-256");
            byte[] buffer = new byte[1 << 16];
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                sum.update(ByteBuffer.wrap(buffer, 0, n));
            }
            channel.force(true);
            return HexFormat.of().formatHex(sum.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }
}
