package io.espalier.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Map;

/**
 * What a file looked like from outside, to notice that it changed.
 *
 * @param path of the file
 * @param size in bytes
 * @param modified as the file system tells it
 * @param changed when the file system's entry was changed last, which no program can set; {@code null} where there is no such time
 * @param key device and inode in words, or {@code "null"} where the file system has no such thing
 */
record FileStamp(Path path, long size, FileTime modified, FileTime changed, String key) {

    static FileStamp of(Path path) throws IOException {
        boolean unix = path.getFileSystem().supportedFileAttributeViews().contains("unix");
        Map<String, Object> attributes = Files.readAttributes(path, (unix ? "unix:ctime," : "") + "size,lastModifiedTime,fileKey");
        return new FileStamp(path, (Long) attributes.get("size"), (FileTime) attributes.get("lastModifiedTime"),
                (FileTime) attributes.get("ctime"), String.valueOf(attributes.get("fileKey")));
    }

    /** Size and modification time only: another link to a file or other permissions do not change its content. */
    void verify() {
        try {
            FileStamp now = of(path);
            if (now.size != size || !now.modified.equals(modified)) {
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
