package io.espalier.catalog;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;

import org.springframework.stereotype.Component;

/**
 * Where the models lie that the service brought in, outside all roots: whole ones under {@code catalog/models}, one directory each, which appears by one move;
 * those on their way under {@code catalog/staging}, with parts of files apart from whole ones.
 */
@Component
final class ModelDirectories {

    private final Path home;
    private final long keepFree;

    ModelDirectories(CatalogSettings settings, ModelSettings models) {
        this.home = settings.dataDir().toAbsolutePath().normalize().resolve("catalog");
        this.keepFree = models.keepFree().toBytes();
    }

    /** Of a whole model. */
    Path of(UUID id) {
        return home.resolve("models").resolve(id.toString());
    }

    private Path staging(UUID id) {
        return home.resolve("staging").resolve(id.toString());
    }

    /** Whole files on their way. */
    Path files(UUID id) {
        return staging(id).resolve("files");
    }

    /** Files that are not whole yet. */
    Path parts(UUID id) {
        return staging(id).resolve("parts");
    }

    /** What is known of the files. */
    Path journal(UUID id) {
        return staging(id).resolve("journal.json");
    }

    void prepare(UUID id) throws IOException {
        Files.createDirectories(files(id));
        Files.createDirectories(parts(id));
    }

    /** Makes a whole model of the whole files, which may have been done before. */
    void publish(UUID id) throws IOException {
        Path whole = of(id);
        if (!Files.isDirectory(whole)) {
            Files.createDirectories(whole.getParent());
            Disk.sync(files(id));
            Files.move(files(id), whole, StandardCopyOption.ATOMIC_MOVE);
            Disk.sync(whole.getParent());
        }
    }

    void dropStaging(UUID id) throws IOException {
        delete(staging(id));
    }

    void remove(UUID id) throws IOException {
        if (Files.isDirectory(of(id))) {
            // why moved first: who is killed in between leaves it where it is swept
            Files.createDirectories(staging(id));
            Files.move(of(id), staging(id).resolve("removed"), StandardCopyOption.ATOMIC_MOVE);
        }
        delete(staging(id));
    }

    /** What is on its way, by a name that may belong to no model. */
    List<UUID> staged() throws IOException {
        Path all = home.resolve("staging");
        if (!Files.isDirectory(all)) {
            return List.of();
        }
        try (Stream<Path> found = Files.list(all)) {
            return found.map(path -> path.getFileName().toString())
                    .filter(name -> name.matches("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"))
                    .map(UUID::fromString).toList();
        }
    }

    /** When something on its way was last changed, as the file system tells it. */
    Instant changed(UUID id) throws IOException {
        return Files.getLastModifiedTime(staging(id)).toInstant();
    }

    /** How many bytes may still be put here. */
    long room() throws IOException {
        Files.createDirectories(home);
        return Math.max(0, Files.getFileStore(home).getUsableSpace() - keepFree);
    }

    private static void delete(Path directory) throws IOException {
        try {
            Files.walkFileTree(directory, new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                    Files.deleteIfExists(file);
                    return FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult postVisitDirectory(Path visited, IOException e) throws IOException {
                    if (e != null) {
                        throw e;
                    }
                    Files.deleteIfExists(visited);
                    return FileVisitResult.CONTINUE;
                }
            });
        } catch (NoSuchFileException gone) {
            // why nothing: that is what was wanted
            return;
        }
    }
}
