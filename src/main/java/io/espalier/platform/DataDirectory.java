package io.espalier.platform;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** One process's hold on a directory, for as long as it lives: the operating system lets go of the lock when the process dies, however it dies. */
final class DataDirectory implements AutoCloseable {

    private final FileChannel channel;

    /**
     * Takes the directory, which is made if it is not there.
     *
     * @throws StartRefused when another live process holds it
     */
    DataDirectory(Path directory) throws IOException {
        Files.createDirectories(directory);
        Path file = directory.resolve("espalier.lock");
        channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        if (lock() == null) {
            String holder = Files.readString(file).strip();
            channel.close();
            throw new StartRefused(
                    "The directory " + directory + " is in use by another Espalier process" + (holder.isEmpty() ? "" : ", " + holder)
                            + ".",
                    "Stop that process, or give this one a directory of its own: ESPALIER_DATA_DIR=/another/directory.");
        }
        channel.truncate(0);
        channel.write(ByteBuffer.wrap(("pid " + ProcessHandle.current().pid() + "\n").getBytes(StandardCharsets.UTF_8)), 0);
    }

    private FileLock lock() throws IOException {
        try {
            return channel.tryLock();
        } catch (OverlappingFileLockException e) {
            return null; // why: held by another context of this very process
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
