package io.espalier.catalog;

import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.UUID;

/**
 * A checkpoint with a name that jobs can use.
 *
 * @param id names its directory where the service keeps it
 * @param project whose it is; a bundled one is everybody's
 * @param path absolute path of the checkpoint's directory; there is nothing at it before the model is ready
 * @param description a sentence for a person
 * @param createdAt when it was registered, to the microsecond
 * @param source {@code null} for a bundled one
 * @param reason why it failed, or why something has to be sent again; {@code null} when there is nothing to say
 * @param bytesTotal of all files; {@code null} while that is not known
 * @param bytesDone of the files that are there
 * @param revision the commit that was fetched, where the hub names it
 * @param inspection {@code null} before it is ready
 * @param files of an uploading one what is to come, of a ready one what is there; empty while that is not known
 */
public record Model(UUID id, String project, String name, String path, Kind kind, String description, Instant createdAt, ModelState state,
        ModelSource source, String reason, Long bytesTotal, long bytesDone, String revision, Inspection inspection,
        List<ModelFile> files) {

    public boolean ready() {
        return state == ModelState.READY;
    }

    Path directory() {
        return Path.of(path);
    }
}
