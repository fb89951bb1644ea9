package io.espalier.artifact;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;

import io.espalier.objectstore.ObjectStore;
import io.espalier.objectstore.S3Server;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import software.amazon.awssdk.core.sync.RequestBody;

class S3StoreTest {

    private static final Instant PAST = Instant.parse("2020-01-01T00:00:00Z");
    private static final Instant FUTURE = Instant.parse("2100-01-01T00:00:00Z");

    @TempDir
    private Path directory;
    private String bucket;
    private S3Server.Client client;
    private ObjectStore objects;
    private S3Store store;

    @BeforeEach
    void open() {
        bucket = S3Server.bucket();
        client = new S3Server.Client(S3Server.settings(S3Server.port(), bucket));
        objects = client.store;
        store = new S3Store(objects);
    }

    @AfterEach
    void close() {
        client.close();
    }

    @Test
    void onlyWhatIsNobodysAndOldEnoughIsSwept() throws IOException {
        put("espalier/artifacts/art_a/config.json");
        put("espalier/artifacts/art_a/sub/weights.bin");
        put("espalier/artifacts/art_b/config.json");
        objects.client().createMultipartUpload(b -> b.bucket(bucket).key("espalier/artifacts/art_c/weights.bin"));
        put("espalier/artifacts-of-others/art_d/config.json");
        put("espalier/artifacts/no-artifact");

        store.sweep(_ -> true, PAST);
        assertThat(keys()).as("too young").hasSize(5);
        store.sweep(id -> !id.equals("art_b"), FUTURE);
        assertThat(keys()).containsExactly("espalier/artifacts-of-others/art_d/config.json", "espalier/artifacts/art_b/config.json",
                "espalier/artifacts/no-artifact");
        assertThat(objects.uploads(bucket, "")).isEmpty();
    }

    @Test
    void anArtifactIsFoundByItsLocationWhateverTheSettingsSayNow() throws IOException {
        String other = S3Server.bucket();
        Files.writeString(directory.resolve("config.json"), "{}");
        List<ArtifactFile> files = List
                .of(new ArtifactFile("config.json", 2, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"));
        store.put("art_e", directory, files, _ -> {});
        assertThat(store.location("art_e")).isEqualTo("s3://" + bucket + "/espalier/artifacts/art_e/");
        try (S3Server.Client elsewhere = new S3Server.Client(S3Server.settings(S3Server.port(), other))) {
            S3Store later = new S3Store(elsewhere.store);
            java.io.ByteArrayOutputStream out = new java.io.ByteArrayOutputStream();
            later.write(store.location("art_e"), "config.json", 0, 2, out);
            assertThat(out.toString()).isEqualTo("{}");
            later.discard(store.location("art_e"));
        }
        assertThat(keys()).isEmpty();
    }

    private void put(String key) {
        objects.client().putObject(b -> b.bucket(bucket).key(key), RequestBody.fromString("x"));
    }

    private List<String> keys() throws IOException {
        return objects.list(bucket, "").stream().map(ObjectStore.Listed::key).toList();
    }
}
