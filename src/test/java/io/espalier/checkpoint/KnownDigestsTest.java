package io.espalier.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;

import io.espalier.checkpoint.SafetensorsWriter.Declared;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KnownDigestsTest {

    @TempDir
    Path directory;
    private Path model;
    private Path known;

    @BeforeEach
    void write() throws IOException {
        model = Files.createDirectory(directory.resolve("model"));
        known = directory.resolve("digests");
        Files.writeString(model.resolve("config.json"), "{}");
        shard(1);
    }

    @Test
    void aFileThatDidNotChangeIsReadOnce() throws IOException {
        long size = Files.size(model.resolve("model.safetensors"));
        assertThat(read(later())).isEqualTo(size);
        assertThat(read(later())).as("as another process would").isZero();
        assertThat(digest(later(), new AtomicLong())).isEqualTo(digest(KnownDigests.NONE, new AtomicLong()));
        Path link = Files.createSymbolicLink(directory.resolve("link"), model);
        model = link;
        assertThat(read(later())).as("through a link").isZero();
    }

    @Test
    void aFileThatChangedIsReadAgain() throws IOException {
        String before = digest(later(), new AtomicLong());
        FileTime modified = Files.getLastModifiedTime(model.resolve("model.safetensors"));
        shard(2);
        Files.setLastModifiedTime(model.resolve("model.safetensors"), modified);
        AtomicLong read = new AtomicLong();
        assertThat(digest(later(), read)).as("same size, same modification time").isNotEqualTo(before);
        assertThat(read).hasPositiveValue();
        assertThat(read(later())).isZero();
    }

    @Test
    void aFileModifiedAMomentAgoIsNotRemembered() throws IOException {
        KnownDigests now = at(Duration.ofMillis(1900));
        assertThat(read(now)).isPositive();
        assertThat(read(now)).isPositive();
        assertThat(known).doesNotExist();
        // the file system's clock may be ahead of ours
        assertThat(read(at(Duration.ofHours(-1)))).isPositive();
        assertThat(known).doesNotExist();
    }

    @Test
    void aFileThatIsReplacedWhileItIsReadIsNotRemembered() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            checkpoint.digest(later(), _ -> replace());
        }
        assertThat(known).doesNotExist();
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            replace();
            checkpoint.digest(later(), _ -> {});
        }
        assertThat(known).as("replaced before").doesNotExist();
    }

    @Test
    void aDamagedEntryCountsForNothingAndIsReplaced() throws IOException {
        String digest = digest(later(), new AtomicLong());
        Path entry = entries().getFirst();
        byte[] sound = Files.readAllBytes(entry);
        for (int at = 0; at < sound.length; at += 7) {
            byte[] flipped = sound.clone();
            flipped[at] ^= 1;
            Files.write(entry, flipped);
            AtomicLong read = new AtomicLong();
            assertThat(digest(later(), read)).isEqualTo(digest);
            assertThat(read).as("byte %s flipped", at).hasPositiveValue();
            assertThat(entry).hasBinaryContent(sound);
        }
        Files.write(entry, java.util.Arrays.copyOf(sound, sound.length / 2));
        assertThat(read(later())).isPositive();
        assertThat(entries()).as("nothing is left beside").containsExactly(entry);
    }

    @Test
    void whereNothingCanBeKeptTheSumIsComputedEveryTime() throws IOException {
        Files.writeString(known, "a file, where a directory should be");
        assertThat(read(later())).isPositive();
        assertThat(read(later())).isPositive();
    }

    private KnownDigests later() throws IOException {
        return at(Duration.ofMinutes(1));
    }

    /** As if so much time had passed since the shard was written. */
    private KnownDigests at(Duration later) throws IOException {
        Instant written = ((FileTime) Files.getAttribute(model.resolve("model.safetensors"), "unix:ctime")).toInstant();
        return new KnownDigests(known, Clock.fixed(written.plus(later), ZoneOffset.UTC));
    }

    private long read(KnownDigests digests) {
        AtomicLong read = new AtomicLong();
        digest(digests, read);
        return read.get();
    }

    private String digest(KnownDigests digests, AtomicLong read) {
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            return checkpoint.digest(digests, read::addAndGet);
        }
    }

    private void replace() {
        try {
            Path other = Files.copy(model.resolve("model.safetensors"), model.resolve("other"), StandardCopyOption.COPY_ATTRIBUTES);
            Files.move(other, model.resolve("model.safetensors"), StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private void shard(double value) throws IOException {
        Path file = model.resolve("model.safetensors");
        Files.deleteIfExists(file);
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, List.of(new Declared("x", DType.F64, List.of(1L))),
                java.util.Map.of())) {
            writer.begin("x").doubles(value);
            writer.finish();
        }
    }

    private List<Path> entries() throws IOException {
        try (Stream<Path> entries = Files.list(known)) {
            return entries.toList();
        }
    }
}
