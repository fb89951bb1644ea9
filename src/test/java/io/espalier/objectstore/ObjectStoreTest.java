package io.espalier.objectstore;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.util.unit.DataSize;

/** Against a real server on loopback, with connections that break. */
class ObjectStoreTest {

    private static final int MIB = 1 << 20;

    @TempDir
    private Path directory;
    private String bucket;
    private CuttingProxy proxy;
    private S3Server.Client client;
    private ObjectStore store;

    @BeforeEach
    void open() throws IOException {
        bucket = S3Server.bucket();
        proxy = new CuttingProxy(S3Server.port());
        client = new S3Server.Client(S3Server.settings(proxy.port(), bucket));
        store = client.store;
    }

    @AfterEach
    void close() throws IOException {
        client.close();
        proxy.close();
    }

    @Test
    void whatIsPutIsReadBackWholeAndInPieces() throws Exception {
        byte[] bytes = bytes(12 * MIB + 17);
        List<Long> told = new ArrayList<>();
        store.put(source("long", bytes), bucket, "a/long", told::add);
        store.put(source("short", "abc".getBytes()), bucket, "a/short with space+%", told::add);
        store.put(source("none", new byte[0]), bucket, "a/none", told::add);

        assertThat(told).containsExactly(5L * MIB, 5L * MIB, 2L * MIB + 17, 3L, 0L);
        assertThat(read("a/long", 0, bytes.length)).isEqualTo(bytes);
        assertThat(read("a/long", 5 * MIB - 3, 10 * MIB + 3)).isEqualTo(Arrays.copyOfRange(bytes, 5 * MIB - 3, 10 * MIB + 3));
        assertThat(read("a/short with space+%", 1, 2)).isEqualTo("b".getBytes());
        assertThat(store.list(bucket, "a/")).extracting(ObjectStore.Listed::key).containsExactly("a/long", "a/none",
                "a/short with space+%");
        assertThat(store.uploads(bucket, "")).isEmpty();
    }

    @Test
    void aConnectionThatBreaksInTheMiddleOfAnUploadCostsOnePart() throws Exception {
        byte[] bytes = bytes(16 * MIB);
        proxy.cutUpAfter(8 * MIB);
        store.put(source("cut", bytes), bucket, "cut", n -> {});
        assertThat(proxy.cuts()).isPositive();
        assertThat(read("cut", 0, bytes.length)).isEqualTo(bytes);
    }

    @Test
    void whileAnUploadIsUnderWayNobodySeesTheObject() throws Exception {
        store.put(source("under-way", bytes(11 * MIB)), bucket, "under-way", n -> {
            try {
                assertThat(store.list(bucket, "")).isEmpty();
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        assertThat(store.list(bucket, "")).hasSize(1);
    }

    @Test
    void anUploadThatIsToldToStopLeavesNothing() throws Exception {
        assertThatThrownBy(() -> store.put(source("stopped", bytes(11 * MIB)), bucket, "stopped", n -> {
            throw new CancellationException("enough");
        })).isInstanceOf(CancellationException.class);
        assertThat(store.list(bucket, "")).isEmpty();
        assertThat(store.uploads(bucket, "")).isEmpty();
    }

    @Test
    void aConnectionThatStaysAwayIsAnErrorThatNamesTheObjectAndNoKey() throws Exception {
        proxy.refuse(true);
        try (S3Server.Client impatient = new S3Server.Client(impatient(S3Server.SECRET_KEY))) {
            assertThatThrownBy(() -> impatient.store.put(source("away", bytes(3)), bucket, "away", n -> {}))
                    .isInstanceOf(ObjectStoreException.class).hasMessageStartingWith("s3://" + bucket + "/away was not stored: ")
                    .hasMessageNotContaining(S3Server.SECRET_KEY);
        }
    }

    @Test
    void anObjectIsWrittenOnce() throws Exception {
        store.put(source("first", "first".getBytes()), bucket, "once", n -> {});
        assertThatThrownBy(() -> store.put(source("other", "other".getBytes()), bucket, "once", n -> {}))
                .isInstanceOf(ObjectStoreException.class).extracting(e -> ((ObjectStoreException) e).status()).isEqualTo(412);
        assertThat(read("once", 0, 5)).isEqualTo("first".getBytes());
        // the same again is what a lost answer looks like
        store.put(source("first", "first".getBytes()), bucket, "once", n -> {});
    }

    @Test
    void aReadThatBreaksOffIsTakenUpWhereItBroke() throws Exception {
        byte[] bytes = bytes(9 * MIB);
        store.put(source("read", bytes), bucket, "read", n -> {});
        proxy.cutDownAfter(4 * MIB);
        assertThat(read("read", 0, bytes.length)).isEqualTo(bytes);
        assertThat(proxy.cuts()).isPositive();
    }

    @Test
    void aReaderThatGoesAwayEndsTheRead() throws Exception {
        store.put(source("gone", bytes(9 * MIB)), bucket, "gone", n -> {});
        long[] taken = new long[1];
        assertThatThrownBy(() -> store.read(bucket, "gone", 0, 9 * MIB, new OutputStream() {
            @Override
            public void write(int b) {
                throw new AssertionError("byte by byte");
            }

            @Override
            public void write(byte[] bytes, int from, int length) throws IOException {
                taken[0] += length;
                throw new IOException("broken pipe");
            }
        })).isInstanceOf(IOException.class).hasMessage("broken pipe");
        assertThat(taken[0]).isLessThanOrEqualTo(1 << 16);
    }

    @Test
    void everythingUnderAPrefixIsDeletedWithTheUploadsThatNobodyFinished() throws Exception {
        store.put(source("x", bytes(3)), bucket, "p/x", n -> {});
        store.put(source("y", bytes(3)), bucket, "q/y", n -> {});
        store.client().createMultipartUpload(b -> b.bucket(bucket).key("p/half"));
        assertThat(store.uploads(bucket, "p/")).hasSize(1);
        store.deleteAll(bucket, "p/");
        assertThat(store.uploads(bucket, "")).isEmpty();
        assertThat(store.list(bucket, "")).extracting(ObjectStore.Listed::key).containsExactly("q/y");
        store.deleteAll(bucket, "p/");
    }

    @Test
    void aSignedAddressAnswersWithoutAKeyAndInRanges() throws Exception {
        store.put(source("signed", "0123456789".getBytes()), bucket, "signed", n -> {});
        URI address = store.presigned(bucket, "signed", "text/plain", "attachment; filename=\"s\"");
        HttpResponse<String> answer = HttpClient.newHttpClient().send(
                HttpRequest.newBuilder(address).header("Range", "bytes=2-4").build(), HttpResponse.BodyHandlers.ofString());
        assertThat(answer.statusCode()).isEqualTo(206);
        assertThat(answer.body()).isEqualTo("234");
        assertThat(answer.headers().firstValue("Content-Type").orElseThrow()).startsWith("text/plain");
        assertThat(address.toString()).doesNotContain(S3Server.SECRET_KEY);
    }

    @Test
    void aSignedAddressIsOneThatClientsReach() throws Exception {
        store.put(source("outside", "0123456789".getBytes()), bucket, "outside", n -> {});
        S3Settings here = S3Server.settings(S3Server.port(), bucket);
        S3Settings inside = new S3Settings("http://s3.internal:9000", here.endpoint(), here.region(), true, here.accessKey(),
                here.secretKey(),
                bucket, here.prefix(), here.partSize(), here.presignFor(), here.retryFor(), here.keepLeftovers());
        try (S3Server.Client client = new S3Server.Client(inside)) {
            URI address = client.store.presigned(bucket, "outside", "text/plain", "attachment; filename=\"s\"");
            HttpResponse<String> answer = HttpClient.newHttpClient().send(HttpRequest.newBuilder(address).build(),
                    HttpResponse.BodyHandlers.ofString());
            assertThat(answer.body()).isEqualTo("0123456789");
        }
    }

    @Test
    void aWrongKeyIsRefusedAtOnceAndInWords() throws Exception {
        try (S3Server.Client wrong = new S3Server.Client(impatient("another"))) {
            assertThatThrownBy(() -> wrong.store.list(bucket, "")).isInstanceOf(ObjectStoreException.class).hasMessageContaining("403")
                    .hasMessageNotContaining("another");
        }
        assertThat(S3Server.settings(1, bucket).toString()).doesNotContain(S3Server.SECRET_KEY).doesNotContain(S3Server.ACCESS_KEY);
    }

    private S3Settings impatient(String secret) {
        return new S3Settings("http://127.0.0.1:" + proxy.port(), "", "us-east-1", true, S3Server.ACCESS_KEY, secret, bucket, "",
                DataSize.ofMegabytes(5), Duration.ofMinutes(1), Duration.ofMillis(300), Duration.ofHours(1));
    }

    private byte[] read(String key, long from, long to) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        store.read(bucket, key, from, to, out);
        return out.toByteArray();
    }

    private Upload.Source source(String name, byte[] bytes) throws Exception {
        Path file = Files.write(directory.resolve(name), bytes);
        return new Upload.Source(file, bytes.length, HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes)));
    }

    private static byte[] bytes(int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }
}
