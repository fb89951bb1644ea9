package io.espalier.plan;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;

/** What happens when a disk has no room. */
final class DiskSpace {

    private DiskSpace() {}

    /** @throws PruningException {@code DISK_FULL} when the directory's disk has fewer usable bytes than needed */
    static void require(Path directory, long needed) throws IOException {
        long available = Files.getFileStore(directory).getUsableSpace();
        if (available < needed) {
            throw full(directory, needed, available, null);
        }
    }

    /** The exception for a write that failed: {@code DISK_FULL} where the system says so, else {@code IO_ERROR}. */
    static PruningException failure(Path directory, long needed, IOException cause) {
        String message = String.valueOf(cause.getMessage());
        if (message.contains("No space left") || message.contains("quota exceeded") || message.contains("File too large")) {
            return full(directory, needed, directory.toFile().getUsableSpace(), cause);
        }
        return new PruningException(ErrorCode.IO_ERROR,
                directory.getFileName() + ": " + message + " (expected: files can be read and written)",
                cause);
    }

    private static PruningException full(Path directory, long needed, long available, IOException cause) {
        return new PruningException(ErrorCode.DISK_FULL,
                directory.getFileName() + ": " + available + " bytes available (expected: at least " + needed + " for the pruned model)",
                cause);
    }
}
