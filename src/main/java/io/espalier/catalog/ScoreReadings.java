package io.espalier.catalog;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.ToLongFunction;

/**
 * Score sets as somebody reads them, kept in memory for the next question. A set never changes, so a reading is good for as long as it is kept; the ones
 * that were asked for longest ago go when there are too many bytes of them.
 *
 * @param <T> what a scores file is read into
 */
public final class ScoreReadings<T> {

    private final ScoreSets sets;
    private final Function<Path, T> reader;
    private final ToLongFunction<T> bytes;
    private final long most;
    private final Map<String, T> kept = new LinkedHashMap<>(16, 0.75f, true);
    private final Map<String, Object> reading = new ConcurrentHashMap<>();

    /**
     * @param reader of a scores file that is deleted after it
     * @param bytes that a reading takes in memory, about
     * @param most bytes of all readings; the one that was asked for last is kept whatever it takes
     */
    public ScoreReadings(ScoreSets sets, Function<Path, T> reader, ToLongFunction<T> bytes, long most) {
        this.sets = sets;
        this.reader = reader;
        this.bytes = bytes;
        this.most = most;
    }

    /**
     * @return the reading of a set; several who ask at once wait for one of them to read it
     * @throws ScoresGoneException when the set is gone
     */
    public T of(ScoreSet set) {
        synchronized (reading.computeIfAbsent(set.id(), id -> new Object())) {
            try {
                T known = kept(set.id());
                return known == null ? keep(set.id(), read(set)) : known;
            } finally {
                reading.remove(set.id());
            }
        }
    }

    private synchronized T kept(String id) {
        return kept.get(id);
    }

    private T read(ScoreSet set) {
        try {
            Path file = Files.createTempFile("espalier-scores-", ".safetensors");
            try {
                sets.fetch(set.id(), file);
                return reader.apply(file);
            } finally {
                Files.delete(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private synchronized T keep(String id, T fresh) {
        kept.put(id, fresh);
        long all = kept.values().stream().mapToLong(bytes).sum();
        while (all > most && kept.size() > 1) {
            String oldest = kept.keySet().iterator().next();
            all -= bytes.applyAsLong(kept.remove(oldest));
        }
        return fresh;
    }
}
