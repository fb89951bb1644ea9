package io.espalier.calibration;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

import io.espalier.checkpoint.SafetensorsWriter;

/**
 * Where the sweep over one slice saves how far its reverse half is, and looks for what an earlier one saved. One file, replaced by an atomic move. Nothing
 * that goes wrong with it fails a sweep: what cannot be read is deleted, and after a write that failed nothing more is written. Used by one sweep after the
 * other, on one thread.
 */
public final class SavePoints {

    /** What is told about them. */
    public interface Story {

        /** The sweep goes on below a layer. */
        void resumed(int layer, int attempt);

        /** What lay there was of no use and is deleted. */
        void ignored(String why);

        /** Saved because the sweep is to end here. */
        void saved(int layer);

        void notSaved(String why);
    }

    /** Nothing is saved, nothing is found. */
    public static final SavePoints NONE = new SavePoints(null, 0, Duration.ZERO, null, () -> 0);

    /** So many times what saving took has to pass before it is done again: 2 % of the time. */
    private static final long WORTH = 49;

    /** What a slow disk writes in a nanosecond; a guess, for the first one. */
    private static final double BYTES_PER_NANO = 0.2;

    /** Room that is left to others. */
    private static final long MARGIN_BYTES = 1L << 30;

    private final Path file;
    private final int attempt;
    private final Duration every;
    private final Story story;
    private final LongSupplier nanos;

    private boolean off;
    private long since;
    private long cost;

    /**
     * @param file of this slice, in a directory that is made when it is needed
     * @param attempt a number that no other who may write this file has
     * @param every no more often than this
     */
    public SavePoints(Path file, int attempt, Duration every, Story story) {
        this(file, attempt, every, story, System::nanoTime);
    }

    SavePoints(Path file, int attempt, Duration every, Story story, LongSupplier nanos) {
        this.file = file;
        this.attempt = attempt;
        this.every = every;
        this.story = story;
        this.nanos = nanos;
        this.off = file == null;
    }

    /** What an earlier sweep left, or {@code null}. */
    SavePoint find(SavePoint.Subject subject) {
        if (file == null || !Files.exists(file)) {
            return null;
        }
        try {
            SavePoint found = SavePoint.open(file, subject);
            story.resumed(found.layer(), found.attempt());
            return found;
        } catch (RuntimeException | InternalError unusable) {
            // why the error: a mapped file whose disk fails, or that is cut short meanwhile
            delete(file);
            story.ignored(String.valueOf(unusable.getMessage()));
            return null;
        }
    }

    /** The reverse half begins: only from now on there is something to lose. */
    void begin() {
        since = nanos.getAsLong();
    }

    /** Whether so much was done since the last time that saving is cheap beside it. */
    boolean due(long bytes) {
        long expected = cost > 0 ? cost : (long) (bytes / BYTES_PER_NANO);
        return !off && nanos.getAsLong() - since >= Math.max(every.toNanos(), WORTH * expected);
    }

    /**
     * Saves, if it can.
     *
     * @param firstExpert the first expert of the layer or of one after it
     * @param gradient writes its bytes
     * @return whether it is on the disk
     */
    boolean save(SavePoint.Subject subject, int layer, ExpertStatistics statistics, int firstExpert, Consumer<SafetensorsWriter> gradient) {
        if (off) {
            return false;
        }
        long began = nanos.getAsLong();
        Path part = file.resolveSibling(file.getFileName() + "." + attempt + ".part");
        try {
            Files.createDirectories(file.getParent());
            requireRoom(subject.bytes(firstExpert));
            Files.deleteIfExists(part);
            SavePoint.write(part, subject, layer, attempt, statistics, firstExpert, gradient);
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
            try (FileChannel directory = FileChannel.open(file.getParent())) {
                directory.force(true);
            }
            since = nanos.getAsLong();
            cost = since - began;
            return true;
        } catch (IOException | UncheckedIOException e) {
            off = true;
            delete(part);
            story.notSaved(e instanceof UncheckedIOException unchecked ? unchecked.getCause().toString() : e.toString());
            return false;
        }
    }

    /** As {@link #save}, because the sweep is to end here. */
    boolean saveLast(SavePoint.Subject subject, int layer, ExpertStatistics statistics, int firstExpert,
            Consumer<SafetensorsWriter> gradient) {
        boolean saved = save(subject, layer, statistics, firstExpert, gradient);
        if (saved) {
            story.saved(layer);
        }
        return saved;
    }

    private void requireRoom(long bytes) throws IOException {
        long usable = Files.getFileStore(file.getParent()).getUsableSpace();
        if (usable < bytes + MARGIN_BYTES) {
            throw new IOException(usable + " bytes are free (expected: at least " + (bytes + MARGIN_BYTES) + ")");
        }
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            // why nothing: it is swept with the job
            return;
        }
    }
}
