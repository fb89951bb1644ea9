package io.espalier.checkpoint;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.function.LongConsumer;
import java.util.function.Supplier;

/**
 * SHA-256 of files as they were read before, so that a file that did not change is not read again: by a later piece, by a later job, by another process.
 * Each entry is a small file of its own in a directory, named by the real path of what it is about; inside lie path, size, modification time, change
 * time, device and inode, the sum, and a sum over all that. An entry that is damaged or of another state of the file counts for nothing. The directory
 * may be deleted at any time.
 */
public final class KnownDigests {

    /** Nothing is known, nothing is remembered. */
    public static final KnownDigests NONE = new KnownDigests(null, Clock.systemUTC());

    /** What was modified so shortly before may be modified once more in the same tick of the file system's clock, and nobody would see it. */
    private static final Duration SETTLED = Duration.ofSeconds(2);

    private static final String VERSION = "espalier-digest/1";

    private final Path directory;
    private final Clock clock;

    KnownDigests(Path directory, Clock clock) {
        this.directory = directory;
        this.clock = clock;
    }

    /** @param directory made when there is something to keep; {@code null}: as {@link #NONE} */
    public static KnownDigests in(Path directory) {
        return directory == null ? NONE : new KnownDigests(directory, Clock.systemUTC());
    }

    /**
     * SHA-256 of a whole file, hexadecimal, read when it is not known.
     *
     * @param read hears of bytes that were read; what it throws ends the reading
     * @throws UncheckedIOException when the file cannot be read
     * @throws MalformedCheckpointException when it is changed meanwhile
     */
    public String sha256(Path file, LongConsumer read) {
        try {
            FileStamp opened = FileStamp.of(file);
            byte[] sum = of(opened, () -> {
                byte[] content = contentOf(file, read);
                opened.verify();
                return content;
            });
            return HexFormat.of().formatHex(sum);
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    private static byte[] contentOf(Path file, LongConsumer read) {
        MessageDigest sum = ContentDigest.sha256();
        byte[] buffer = new byte[1 << 20];
        try (InputStream in = Files.newInputStream(file)) {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                sum.update(buffer, 0, n);
                read.accept(n);
            }
            return sum.digest();
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    /**
     * @param opened what the file looked like before it was opened
     * @param read computes the sum from what was opened
     * @return SHA-256, 32 bytes
     */
    byte[] of(FileStamp opened, Supplier<byte[]> read) {
        Path path = directory == null || !undisturbed(opened) ? null : realPath(opened);
        if (path == null) {
            return read.get();
        }
        String identity = String.join("\n", VERSION, path.toString(), String.valueOf(opened.size()), nanos(opened.modified()),
                nanos(opened.changed()), opened.key());
        Path entry = directory.resolve(sum(path.toString()));
        byte[] known = known(entry, identity);
        if (known != null) {
            return known;
        }
        Instant begins = clock.instant();
        byte[] sum = read.get();
        if (settled(opened, begins) && undisturbed(opened)) {
            keep(entry, identity + "\n" + HexFormat.of().formatHex(sum));
        }
        return sum;
    }

    /** {@code null} when the file is gone: whoever reads it says so better. */
    private static Path realPath(FileStamp opened) {
        try {
            return opened.path().toRealPath();
        } catch (IOException gone) {
            return null;
        }
    }

    private static boolean undisturbed(FileStamp opened) {
        try {
            return opened.equals(FileStamp.of(opened.path()));
        } catch (IOException gone) {
            return false;
        }
    }

    private static boolean settled(FileStamp stamp, Instant now) {
        Instant last = now.minus(SETTLED);
        return stamp.modified().toInstant().isBefore(last) && (stamp.changed() == null || stamp.changed().toInstant().isBefore(last));
    }

    /** {@code null} when there is no sound entry for this very state of the file. */
    private static byte[] known(Path entry, String identity) {
        try {
            String[] parts = Files.readString(entry).split("\n(?=[0-9a-f]{64}(\n|$))");
            boolean sound = parts.length == 3 && parts[0].equals(identity) && parts[2].equals(sum(parts[0] + "\n" + parts[1]));
            return sound ? HexFormat.of().parseHex(parts[1]) : null;
        } catch (IOException missingOrDamaged) {
            return null;
        }
    }

    /** A sum that cannot be remembered is computed again the next time; that is no reason to fail. */
    private void keep(Path entry, String content) {
        Path beside = null;
        try {
            Files.createDirectories(directory);
            beside = Files.createTempFile(directory, "new-", null);
            Files.writeString(beside, content + "\n" + sum(content));
            Files.move(beside, entry, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            forget(beside);
        }
    }

    private static void forget(Path file) {
        try {
            if (file != null) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            // why nothing: a few bytes stay on a disk that is full or read-only
            return;
        }
    }

    private static String sum(String text) {
        return HexFormat.of().formatHex(ContentDigest.sha256().digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    private static String nanos(FileTime time) {
        return time == null ? "-" : time.toInstant().getEpochSecond() + "." + time.toInstant().getNano();
    }
}
