package io.espalier.catalog;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** What the catalog knows of disks. */
final class Disk {

    private Disk() {}

    /** Whether there was no room. */
    static boolean full(IOException e) {
        String message = String.valueOf(e.getMessage());
        return message.contains("No space left on device") || message.contains("quota exceeded") || message.contains("File too large");
    }

    /** Lets a file's bytes, or which files a directory has, outlive a power cut. */
    static void sync(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }
}
