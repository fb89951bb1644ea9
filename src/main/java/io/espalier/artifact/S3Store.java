package io.espalier.artifact;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;
import java.util.function.Predicate;

import io.espalier.objectstore.ObjectStore;
import io.espalier.objectstore.ObjectStoreException;
import io.espalier.objectstore.Upload;

/**
 * Artifacts as objects of a bucket. Those of one artifact share a prefix that ends in its id, which names the attempt: no two attempts ever write the same
 * key. They are nobody's until a row refers to the prefix.
 */
final class S3Store {

    private static final String ALL = "artifacts/";
    private static final Duration A_REQUESTS_PATIENCE = Duration.ofSeconds(10);

    /** @param prefix with a slash at its end */
    private record Place(String bucket, String prefix) {

        static Place of(String location) {
            String path = location.substring("s3://".length());
            return new Place(path.substring(0, path.indexOf('/')), path.substring(path.indexOf('/') + 1));
        }
    }

    private final ObjectStore objects;

    S3Store(ObjectStore objects) {
        this.objects = objects;
    }

    boolean there() {
        return objects.there();
    }

    String location(String id) {
        return "s3://" + objects.settings().bucket() + "/" + objects.settings().key(ALL + id + "/");
    }

    /**
     * Uploads every file. When that fails, what was uploaded is deleted, or swept later.
     *
     * @param told how many more bytes are there; may throw to end it
     */
    void put(String id, Path finished, List<ArtifactFile> files, LongConsumer told) throws IOException {
        Place place = Place.of(location(id));
        try {
            for (ArtifactFile file : files) {
                objects.put(new Upload.Source(finished.resolve(file.name()), file.bytes(), file.sha256()), place.bucket,
                        place.prefix + file.name(), told::accept);
            }
        } catch (IOException | RuntimeException | Error e) {
            // why not when there was no answer: there would be none now
            if (!(e instanceof ObjectStoreException away && away.status() == 0)) {
                try {
                    discard(location(id));
                } catch (IOException | RuntimeException left) {
                    e.addSuppressed(left);
                }
            }
            throw e;
        }
    }

    void write(String location, String name, long from, long to, OutputStream out) throws IOException {
        Place place = Place.of(location);
        Duration patience = objects.settings().retryFor();
        objects.read(place.bucket, place.prefix + name, from, to, out,
                patience.compareTo(A_REQUESTS_PATIENCE) < 0 ? patience : A_REQUESTS_PATIENCE);
    }

    URI address(String location, String name, String type, String disposition) {
        Place place = Place.of(location);
        return objects.presigned(place.bucket, place.prefix + name, type, disposition);
    }

    void discard(String location) throws IOException {
        Place place = Place.of(location);
        objects.deleteAll(place.bucket, place.prefix);
    }

    /**
     * Deletes objects and uploads of artifacts that are nobody's.
     *
     * @param nobodys whether an artifact id may go
     * @param before only those that were all begun before
     */
    void sweep(Predicate<String> nobodys, Instant before) throws IOException {
        String bucket = objects.settings().bucket();
        String root = objects.settings().key(ALL);
        Map<String, Instant> newest = new HashMap<>();
        objects.list(bucket, root).forEach(object -> note(newest, object.key(), root, object.modified()));
        objects.uploads(bucket, root).forEach(upload -> note(newest, upload.key(), root, upload.begun()));
        for (Map.Entry<String, Instant> one : newest.entrySet()) {
            if (one.getValue().isBefore(before) && nobodys.test(one.getKey())) {
                discard(location(one.getKey()));
            }
        }
    }

    private static void note(Map<String, Instant> newest, String key, String root, Instant at) {
        int end = key.indexOf('/', root.length());
        if (end > root.length()) {
            newest.merge(key.substring(root.length(), end), at, (one, other) -> one.isAfter(other) ? one : other);
        }
    }
}
