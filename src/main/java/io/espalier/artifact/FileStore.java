package io.espalier.artifact;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;

import org.springframework.util.FileSystemUtils;

/** Artifacts as directories. One appears whole, by an atomic move, and is nobody's until a row refers to it. */
record FileStore(Path directory) {

    private static final long CHUNK = 1 << 20;

    void move(Path finished, String id) throws IOException {
        Files.createDirectories(directory);
        sync(finished);
        Files.move(finished, path(id), StandardCopyOption.ATOMIC_MOVE);
        sync(directory);
    }

    /** A rename survives a power cut only when the directory it happened in is synced. */
    static void sync(Path directory) throws IOException {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    Path path(String id) {
        return directory.resolve(id);
    }

    void write(String id, String name, long from, long to, OutputStream out) throws IOException {
        Path file = path(id).resolve(name);
        try (FileChannel in = FileChannel.open(file, StandardOpenOption.READ)) {
            WritableByteChannel sink = Channels.newChannel(out);
            for (long at = from; at < to;) {
                long moved = in.transferTo(at, Math.min(CHUNK, to - at), sink);
                if (moved <= 0) {
                    throw new IOException(file + ": ended at byte " + at + " (expected: " + to + "); somebody changed a published file");
                }
                at += moved;
            }
        }
    }

    /** Names of all directories, whosever they are. */
    List<String> ids() throws IOException {
        if (!Files.isDirectory(directory)) {
            return List.of();
        }
        try (Stream<Path> entries = Files.list(directory)) {
            return entries.map(entry -> entry.getFileName().toString()).toList();
        }
    }

    void discard(String id) throws IOException {
        FileSystemUtils.deleteRecursively(path(id));
    }
}
