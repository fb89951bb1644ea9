package io.espalier.objectstore;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.UploadPartResponse;

/**
 * A file becomes an object, once. Nobody sees it before it is whole: a short file is one request, a long one is uploaded in parts that count only when
 * the last request names them all. Every part is sent with its SHA-256, which the server checks. A part that fails is sent again, and only that. An object
 * that is there already is never replaced; one with the same length and digest is taken for the work of a request whose answer was lost.
 */
public final class Upload {

    static final String SHA256 = "sha256";
    private static final int MOST_PARTS = 10_000;
    private static final int READ = 1 << 16;

    /**
     * What is uploaded.
     *
     * @param sha256 hexadecimal
     */
    public record Source(Path file, long bytes, String sha256) {}

    private final ObjectStore store;
    private final Source source;
    private final String bucket;
    private final String key;
    private final Consumer<Long> told;

    /** @param told how many bytes are there after each part; may throw to end it */
    Upload(ObjectStore store, Source source, String bucket, String key, Consumer<Long> told) {
        this.store = store;
        this.source = source;
        this.bucket = bucket;
        this.key = key;
        this.told = told;
    }

    void run() throws IOException {
        try {
            if (source.bytes <= store.settings().partSize().toBytes()) {
                whole();
            } else {
                inParts();
            }
        } catch (ObjectStoreException e) {
            if (!there(e)) {
                throw e;
            }
        }
    }

    /** Whether a refusal means that a request before it was carried out. */
    private boolean there(ObjectStoreException refused) throws IOException {
        return (refused.status() == 412 || refused.status() == 404 || refused.status() == 409)
                && store.head(bucket, key).filter(head -> head.equals(new Head(source.bytes, source.sha256))).isPresent();
    }

    private void whole() throws IOException {
        store.persist(what(), () -> store.client().putObject(
                b -> b.bucket(bucket).key(key).ifNoneMatch("*").checksumSHA256(base64(source.sha256)).metadata(metadata()),
                body(0, source.bytes)));
        told.accept(source.bytes);
    }

    private void inParts() throws IOException {
        String upload = store.persist(what(), () -> store.client().createMultipartUpload(
                b -> b.bucket(bucket).key(key).checksumAlgorithm(ChecksumAlgorithm.SHA256).metadata(metadata()))).uploadId();
        try {
            List<CompletedPart> parts = parts(upload);
            store.persist(what(), () -> store.client().completeMultipartUpload(
                    b -> b.bucket(bucket).key(key).uploadId(upload).ifNoneMatch("*").multipartUpload(m -> m.parts(parts))));
        } catch (IOException | RuntimeException e) {
            giveUp(upload, e);
            throw e;
        }
    }

    private List<CompletedPart> parts(String upload) throws IOException {
        long size = Math.max(store.settings().partSize().toBytes(), Math.ceilDiv(source.bytes, MOST_PARTS));
        List<CompletedPart> parts = new ArrayList<>();
        for (long from = 0; from < source.bytes; from += size) {
            long begin = from;
            long length = Math.min(size, source.bytes - from);
            int number = parts.size() + 1;
            String sum = Base64.getEncoder().encodeToString(sum(begin, length));
            UploadPartResponse answer = store.persist(what() + ": part " + number, () -> store.client().uploadPart(
                    b -> b.bucket(bucket).key(key).uploadId(upload).partNumber(number).checksumSHA256(sum), body(begin, length)));
            parts.add(CompletedPart.builder().partNumber(number).eTag(answer.eTag()).checksumSHA256(sum).build());
            told.accept(length);
        }
        return parts;
    }

    private void giveUp(String upload, Exception why) {
        try {
            store.abort(bucket, key, upload);
        } catch (IOException | RuntimeException e) {
            // a sweep does it later
            why.addSuppressed(e);
        }
    }

    private String what() {
        return ObjectStore.uri(bucket, key) + " was not stored";
    }

    private Map<String, String> metadata() {
        return Map.of(SHA256, source.sha256);
    }

    private static String base64(String hex) {
        return Base64.getEncoder().encodeToString(HexFormat.of().parseHex(hex));
    }

    private byte[] sum(long from, long length) throws IOException {
        try (InputStream in = new Section(source.file, from, length)) {
            MessageDigest sum = MessageDigest.getInstance("SHA-256");
            byte[] buffer = new byte[READ];
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                sum.update(buffer, 0, n);
            }
            return sum.digest();
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }

    /** Opened anew for every try. */
    private RequestBody body(long from, long length) {
        return RequestBody.fromContentProvider(() -> {
            try {
                return new Section(source.file, from, length);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }, length, "application/octet-stream");
    }

    /** A stretch of a file. */
    private static final class Section extends InputStream {

        private final FileChannel channel;
        private long at;
        private final long end;

        Section(Path file, long from, long length) throws IOException {
            channel = FileChannel.open(file, StandardOpenOption.READ);
            at = from;
            end = from + length;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            if (at >= end) {
                return -1;
            }
            int n = channel.read(ByteBuffer.wrap(into, offset, (int) Math.min(length, end - at)), at);
            if (n > 0) {
                at += n;
            }
            return n;
        }

        @Override
        public void close() throws IOException {
            channel.close();
        }
    }
}
