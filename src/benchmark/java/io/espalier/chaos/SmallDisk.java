package io.espalier.chaos;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;

/** A disk of a few megabytes that can be filled to its last byte and emptied again: a file system in memory. Only {@code root} may make one. */
final class SmallDisk implements AutoCloseable {

    private final Path directory;

    /** This user may not mount. */
    static final class NotAllowedException extends IOException {
        NotAllowedException(IOException cause) {
            super("full disks need the right to mount one: " + cause.getMessage(), cause);
        }
    }

    SmallDisk(Path directory, int megabytes) throws IOException {
        this.directory = Files.createDirectories(directory);
        try {
            run("mount", "-t", "tmpfs", "-o", "size=" + megabytes + "m,mode=0700", "tmpfs", directory.toString());
        } catch (IOException e) {
            throw new NotAllowedException(e);
        }
    }

    Path directory() {
        return directory;
    }

    /** Fills the disk but for so many bytes. */
    void fill(long but) throws IOException {
        byte[] block = new byte[1 << 16];
        try (RandomAccessFile file = new RandomAccessFile(ballast().toFile(), "rw")) {
            for (long free = free() - but; free > 0; free = free() - but) {
                file.seek(file.length());
                file.write(block, 0, (int) Math.min(block.length, free));
            }
        } catch (IOException e) {
            if (!String.valueOf(e.getMessage()).contains("No space left")) {
                throw e;
            }
        }
    }

    void empty() throws IOException {
        Files.deleteIfExists(ballast());
    }

    private long free() throws IOException {
        return Files.getFileStore(directory).getUsableSpace();
    }

    private Path ballast() {
        return directory.resolve("ballast");
    }

    private static void run(String... command) throws IOException {
        try {
            Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
            String words = new String(process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
            if (process.waitFor() != 0) {
                throw new IOException(String.join(" ", command) + " ended with status " + process.exitValue() + ": " + words.strip());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException(e);
        }
    }

    @Override
    public void close() throws IOException {
        run("umount", "-l", directory.toString());
    }
}
