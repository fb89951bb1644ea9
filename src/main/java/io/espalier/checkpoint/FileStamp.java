package io.espalier.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;

/**
 * What a file looked like from outside, to notice that it changed.
 *
 * @param path of the file
 * @param size in bytes
 * @param modified as the file system tells it
 */
record FileStamp(Path path, long size, FileTime modified) {

    static FileStamp of(Path path) throws IOException {
        BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
        return new FileStamp(path, attributes.size(), attributes.lastModifiedTime());
    }

    void verify() {
        try {
            FileStamp now = of(path);
            if (!now.equals(this)) {
                throw changed(now.size + " bytes of " + now.modified);
            }
        } catch (NoSuchFileException gone) {
            throw changed("gone");
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    private MalformedCheckpointException changed(String given) {
        return MalformedCheckpointException.of(MalformedCheckpointException.Fault.CHANGED, path, "file changed while in use", given,
                size + " bytes of " + modified);
    }
}
