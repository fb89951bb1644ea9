package io.espalier.catalog;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.stereotype.Component;

/** Our copies of texts, {@code corpora} in the data directory. Each is written aside, then moved to its place whole. */
@Component
class CorpusFiles implements SmartInitializingSingleton {

    /** @param file where it lies, under a name of its own */
    record Kept(Path file, TextIntake.Taken taken) {}

    private static final Logger log = LoggerFactory.getLogger(CorpusFiles.class);
    private static final String PART = ".part";

    private final Path directory;
    private final long maxBytes;
    private final CorpusRows rows;
    private final Clock clock;

    CorpusFiles(CatalogSettings settings, CorpusSettings corpora, CorpusRows rows, Clock clock) {
        this.rows = rows;
        this.clock = clock;
        directory = settings.dataDir().toAbsolutePath().normalize().resolve("corpora");
        maxBytes = corpora.maxBytes().toBytes();
    }

    /**
     * Deletes what intakes left that were killed in the middle: nobody refers to it, and nobody has written to it for a day. A whole text that is older than
     * this database is another one's, which may have been lost, and stays.
     */
    @Override
    public void afterSingletonsInstantiated() {
        if (!Files.isDirectory(directory)) {
            return;
        }
        Set<String> known = rows.list(null).stream().map(Corpus::path).filter(Objects::nonNull).collect(Collectors.toSet());
        Instant since = rows.since();
        Instant yesterday = clock.instant().minus(Duration.ofDays(1));
        try (Stream<Path> listed = Files.list(directory)) {
            for (Path file : listed.filter(each -> !known.contains(each.toString())).toList()) {
                Instant written = Files.getLastModifiedTime(file).toInstant();
                if (written.isBefore(yesterday) && (written.isAfter(since) || file.toString().endsWith(PART))) {
                    delete(file);
                }
            }
        } catch (IOException e) {
            log.warn("{} was not swept: {}", directory, e.toString());
        }
    }

    long maxBytes() {
        return maxBytes;
    }

    /**
     * Copies a text.
     *
     * @param at what a violation is said of
     * @param field of the text in each line of JSON Lines; {@code null} for plain text
     * @throws CorpusException when it cannot be used, is too long, or the disk has no room
     * @throws IOException when the text stops in the middle
     */
    Kept keep(InputStream text, String at, String field) throws IOException {
        String name = UUID.randomUUID() + (field == null ? ".txt" : ".jsonl");
        Path aside = directory.resolve(name + PART);
        try {
            TextIntake.Taken taken;
            try (OutputStream out = open(aside)) {
                taken = TextIntake.take(text, new Guarded(out), at, field, maxBytes);
            }
            return new Kept(publish(aside, directory.resolve(name)), taken);
        } finally {
            Files.deleteIfExists(aside);
        }
    }

    /** Reads a file that stays where it is. */
    TextIntake.Taken look(Path file, String at, String field) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            return TextIntake.take(in, OutputStream.nullOutputStream(), at, field, maxBytes);
        }
    }

    void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            log.warn("{} was not deleted: {}", file, e.toString());
        }
    }

    private OutputStream open(Path file) {
        try {
            Files.createDirectories(directory);
            return Files.newOutputStream(file, StandardOpenOption.CREATE_NEW);
        } catch (IOException e) {
            throw noRoom(e);
        }
    }

    private static Path publish(Path aside, Path place) {
        try {
            Disk.sync(aside);
            Files.move(aside, place, StandardCopyOption.ATOMIC_MOVE);
            Disk.sync(place.getParent());
            return place;
        } catch (IOException e) {
            throw noRoom(e);
        }
    }

    private static RuntimeException noRoom(IOException e) {
        return Disk.full(e)
                ? new CorpusException(CorpusException.Reason.DISK_FULL, "the disk has no room for this text; nothing of it was kept")
                : new UncheckedIOException(e);
    }

    /** Tells a failing disk from a failing sender. */
    private static final class Guarded extends OutputStream {

        private final OutputStream out;

        private Guarded(OutputStream out) {
            this.out = out;
        }

        @Override
        public void write(int b) {
            write(new byte[]{(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int from, int length) {
            try {
                out.write(bytes, from, length);
            } catch (IOException e) {
                throw noRoom(e);
            }
        }
    }
}
