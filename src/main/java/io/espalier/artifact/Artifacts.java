package io.espalier.artifact;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Clock;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;

import jakarta.persistence.EntityManager;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;
import org.springframework.util.FileSystemUtils;

/** All finished files, on the file system. A directory without a row is nobody's: it was moved here by an attempt that then lost its job. */
@Component
public class Artifacts {

    private static final Logger log = LoggerFactory.getLogger(Artifacts.class);

    private final Path directory;
    private final EntityManager entities;
    private final Clock clock;

    Artifacts(ArtifactSettings settings, EntityManager entities, Clock clock) {
        this.directory = settings.directory();
        this.entities = entities;
        this.clock = clock;
    }

    /**
     * Sums a finished directory, makes it durable, and moves it to where artifacts are kept in one step. It is found only once it is
     * {@linkplain #record(Artifact) recorded}.
     *
     * @param finished the directory, on the same file system; gone afterwards
     * @param id of the artifact to be
     * @param jobId that made it
     * @param digest of the list of all files and their digests
     * @throws IOException when a file cannot be read or the directory cannot be moved; then nothing was moved
     */
    public Artifact move(Path finished, String id, String jobId, String digest) throws IOException {
        List<ArtifactFile> files = new ArrayList<>();
        try (Stream<Path> walk = Files.walk(finished)) {
            for (Path file : walk.filter(Files::isRegularFile).sorted().toList()) {
                String name = finished.relativize(file).toString().replace(file.getFileSystem().getSeparator(), "/");
                files.add(new ArtifactFile(name, Files.size(file), sumAndSync(file)));
            }
        }
        Files.createDirectories(directory);
        Files.move(finished, directory.resolve(id), StandardCopyOption.ATOMIC_MOVE);
        sync(directory);
        return new Artifact(id, jobId, clock.instant().truncatedTo(ChronoUnit.MICROS), digest, files);
    }

    /** Makes a moved artifact findable, in the caller's transaction. */
    @Transactional
    public void record(Artifact artifact) {
        // why a copy: after a rollback the files of the first object count as stored, and a second try would store none
        entities.persist(
                new Artifact(artifact.id(), artifact.jobId(), artifact.createdAt(), artifact.digest(), List.copyOf(artifact.files())));
        entities.flush();
    }

    @Transactional(readOnly = true)
    public Optional<Artifact> find(String id) {
        return Optional.ofNullable(entities.find(Artifact.class, id));
    }

    /** Ids of what a job has published, in the order of its outputs. */
    @Transactional(readOnly = true)
    public List<String> ofJob(String jobId) {
        return entities.createQuery("select a.id from Artifact a where a.jobId = :job order by a.id", String.class)
                .setParameter("job", jobId)
                .getResultList();
    }

    /**
     * The bytes of one file.
     *
     * @param name as the artifact lists it; nothing else is ever looked for on the disk
     */
    @Transactional(readOnly = true)
    public Optional<Path> file(String id, String name) {
        return find(id).filter(artifact -> artifact.files().stream().anyMatch(file -> file.name().equals(name)))
                .map(artifact -> directory.resolve(artifact.id()).resolve(name));
    }

    /**
     * Deletes directories that no row refers to.
     *
     * @param nobodys whether the artifact id may go: false while an attempt may be between move and record, and for another database's
     */
    public void sweep(Predicate<String> nobodys) throws IOException {
        if (!Files.isDirectory(directory)) {
            return;
        }
        Set<String> recorded = Set.copyOf(entities.createQuery("select a.id from Artifact a", String.class).getResultList());
        try (Stream<Path> entries = Files.list(directory)) {
            for (Path entry : entries.toList()) {
                String id = entry.getFileName().toString();
                // why asked again, and last: what nobody can record any more may have been recorded a moment ago
                if (!recorded.contains(id) && nobodys.test(id) && entities.find(Artifact.class, id) == null) {
                    FileSystemUtils.deleteRecursively(entry);
                }
            }
        }
    }

    /** Deletes the files of an artifact whose row is gone. What cannot be deleted now is swept later. */
    public void discard(String id) {
        try {
            FileSystemUtils.deleteRecursively(directory.resolve(id));
        } catch (IOException e) {
            log.warn("the files of {} were not deleted, a later sweep tries again: {}", id, e.toString());
        }
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

    /** A rename survives a power cut only when the directory it happened in is synced. */
    private static void sync(Path directory) throws IOException {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }
}
