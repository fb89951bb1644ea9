package io.espalier.artifact;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.junit.jupiter.api.Test;

/** The archive, read by somebody else's reader. */
class ArchiveTest {

    private static final Instant MADE = Instant.parse("2026-11-25T01:02:03.456789Z");
    private static final String LONG = "deep/".repeat(30) + "file.bin";
    private static final Map<String, String> FILES = Map.of("config.json", "{}", "empty", "", "exactly", "x".repeat(512), LONG, "long name",
            "größe.txt", "Umlaut");

    @Test
    void everyFileIsInItUnderTheArtifactsIdWithItsTimeAndBytes() throws IOException {
        byte[] tar = whole(archive());
        List<String> names = new ArrayList<>();
        try (TarArchiveInputStream in = new TarArchiveInputStream(new ByteArrayInputStream(tar), "UTF-8")) {
            for (TarArchiveEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
                names.add(entry.getName());
                assertThat(entry.getLastModifiedTime().toInstant()).isEqualTo("2026-11-25T01:02:03Z");
                assertThat(entry.getMode()).isEqualTo(0100644 & 07777);
                assertThat(in.readAllBytes()).asString(StandardCharsets.UTF_8).isEqualTo(FILES.get(entry.getName().substring(6)));
            }
        }
        assertThat(names).containsExactly("art_1/config.json", "art_1/" + LONG, "art_1/empty", "art_1/exactly", "art_1/größe.txt");
    }

    @Test
    void itsLengthIsKnownAndItIsTheSameEachTime() throws IOException {
        byte[] tar = whole(archive());
        assertThat(tar.length).isEqualTo((int) archive().length());
        assertThat(tar.length % 512).isZero();
        assertThat(whole(archive())).isEqualTo(tar);
        assertThat(archive().tag()).isEqualTo(archive().tag()).matches("[0-9a-f]{64}");
    }

    @Test
    void anyStretchOfItIsTheSameStretchOfTheWhole() throws IOException {
        byte[] tar = whole(archive());
        for (int from = 0; from < tar.length; from += 301) {
            int to = Math.min(tar.length, from + 1100);
            ByteArrayOutputStream some = new ByteArrayOutputStream();
            archive().write(from, to, some);
            assertThat(some.toByteArray()).isEqualTo(Arrays.copyOfRange(tar, from, to));
        }
    }

    @Test
    void aFileOfMoreThanEightGibibytesHasItsLengthInAPaxRecord() throws IOException {
        long large = (8L << 30) + 5;
        Artifact artifact = new Artifact("art_1", "job_1", MADE, "0".repeat(64), null,
                List.of(new ArtifactFile("large", large, "a".repeat(64)), new ArtifactFile("small", 1, "b".repeat(64))));
        Archive archive = Archive.of(artifact, (file, from, to, out) -> out.write(new byte[(int) Math.min(to - from, 512)]));
        ByteArrayOutputStream head = new ByteArrayOutputStream();
        archive.write(0, 2048, head);
        try (TarArchiveInputStream in = new TarArchiveInputStream(new ByteArrayInputStream(head.toByteArray()))) {
            assertThat(in.getNextEntry().getSize()).isEqualTo(large);
        }
        assertThat(archive.length()).isEqualTo(1536 + (8L << 30) + 512 + 512 + 512 + 1024);
        ByteArrayOutputStream second = new ByteArrayOutputStream();
        archive.write(1536 + (8L << 30) + 512, 1536 + (8L << 30) + 1024, second);
        assertThat(second.toString(StandardCharsets.US_ASCII)).startsWith("art_1/small\0");
    }

    private static Archive archive() {
        List<ArtifactFile> files = FILES.entrySet().stream()
                .map(file -> new ArtifactFile(file.getKey(), file.getValue().getBytes(StandardCharsets.UTF_8).length, "a".repeat(64)))
                .sorted((one, other) -> one.name().compareTo(other.name())).toList();
        return Archive.of(new Artifact("art_1", "job_1", MADE, "0".repeat(64), null, files), ArchiveTest::copy);
    }

    private static void copy(ArtifactFile file, long from, long to, OutputStream out) throws IOException {
        out.write(FILES.get(file.name()).getBytes(StandardCharsets.UTF_8), (int) from, (int) (to - from));
    }

    private static byte[] whole(Archive archive) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        archive.write(0, archive.length(), out);
        return out.toByteArray();
    }
}
