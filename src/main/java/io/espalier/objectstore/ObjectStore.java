package io.espalier.objectstore;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.FileSystemException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.stereotype.Component;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.ResponseInputStream;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.core.exception.AbortedException;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.Delete;
import software.amazon.awssdk.services.s3.model.DeleteObjectsResponse;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.MultipartUpload;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/**
 * The bucket's door. The client is made when somebody first needs it; a request that fails for a reason that may pass is tried again, with growing pauses,
 * for {@link S3Settings#retryFor()}.
 */
@Component
public final class ObjectStore implements DisposableBean {

    private static final Logger log = LoggerFactory.getLogger(ObjectStore.class);
    private static final Duration FIRST_REST = Duration.ofMillis(200);
    private static final Duration LONGEST_REST = Duration.ofSeconds(5);
    private static final int COPY = 1 << 16;

    private final S3Settings settings;
    private S3Client client;
    private S3Presigner presigner;

    ObjectStore(S3Settings settings) {
        this.settings = settings;
    }

    public S3Settings settings() {
        return settings;
    }

    /** Whether a bucket is named. */
    public boolean there() {
        return !settings.bucket().isEmpty();
    }

    public synchronized S3Client client() {
        if (client == null) {
            // why without checksums of its own: where one is wanted it is given, computed once, and servers that know no trailers understand it
            client = S3Client.builder().region(Region.of(settings.region())).credentialsProvider(credentials())
                    .endpointOverride(address(settings.endpoint())).serviceConfiguration(style())
                    .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
                    .responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
                    .httpClient(UrlConnectionHttpClient.builder().connectionTimeout(Duration.ofSeconds(5))
                            .socketTimeout(Duration.ofSeconds(30)).build())
                    .build();
        }
        return client;
    }

    private synchronized S3Presigner presigner() {
        if (presigner == null) {
            String reached = settings.publicEndpoint().isEmpty() ? settings.endpoint() : settings.publicEndpoint();
            presigner = S3Presigner.builder().region(Region.of(settings.region())).credentialsProvider(credentials())
                    .endpointOverride(address(reached)).serviceConfiguration(style()).build();
        }
        return presigner;
    }

    private static URI address(String endpoint) {
        return endpoint.isEmpty() ? null : URI.create(endpoint);
    }

    private S3Configuration style() {
        return S3Configuration.builder().pathStyleAccessEnabled(settings.pathStyle()).chunkedEncodingEnabled(false).build();
    }

    private AwsCredentialsProvider credentials() {
        return settings.accessKey().isEmpty()
                ? DefaultCredentialsProvider.builder().build()
                : StaticCredentialsProvider.create(AwsBasicCredentials.create(settings.accessKey(), settings.secretKey()));
    }

    /**
     * An object in a list.
     *
     * @param modified by the server's clock
     */
    public record Listed(String key, long bytes, Instant modified) {}

    /** A begun upload that nobody has finished or given up. */
    public record Begun(String key, String uploadId, Instant begun) {}

    /** Every object whose key begins so, by key. Lists and deletes do not wait for a server that is away. */
    public List<Listed> list(String bucket, String prefix) throws IOException {
        return once(uri(bucket, prefix) + " was not listed", () -> client().listObjectsV2Paginator(b -> b.bucket(bucket).prefix(prefix))
                .contents().stream().map(ObjectStore::listed).toList());
    }

    private static Listed listed(S3Object object) {
        return new Listed(object.key(), object.size(), object.lastModified());
    }

    /** Every upload under way whose key begins so. */
    public List<Begun> uploads(String bucket, String prefix) throws IOException {
        return once(uri(bucket, prefix) + ": uploads were not listed",
                () -> client().listMultipartUploadsPaginator(b -> b.bucket(bucket).prefix(prefix)).uploads().stream()
                        .filter(upload -> upload.key().startsWith(prefix)).map(ObjectStore::begun).toList());
    }

    private static Begun begun(MultipartUpload upload) {
        return new Begun(upload.key(), upload.uploadId(), upload.initiated() == null ? Instant.EPOCH : upload.initiated());
    }

    /** Gives an upload up; what it stored goes. */
    public void abort(String bucket, String key, String uploadId) throws IOException {
        once(uri(bucket, key) + ": an upload was not given up", () -> {
            try {
                client().abortMultipartUpload(b -> b.bucket(bucket).key(key).uploadId(uploadId));
            } catch (AwsServiceException e) {
                if (e.statusCode() != 404) {
                    throw e;
                }
            }
            return null;
        });
    }

    /** Deletes every object whose key begins so, and gives up every upload. */
    public void deleteAll(String bucket, String prefix) throws IOException {
        for (Begun upload : uploads(bucket, prefix)) {
            abort(bucket, upload.key(), upload.uploadId());
        }
        List<ObjectIdentifier> keys = list(bucket, prefix).stream().map(object -> ObjectIdentifier.builder().key(object.key()).build())
                .toList();
        for (int at = 0; at < keys.size(); at += 1000) {
            List<ObjectIdentifier> some = keys.subList(at, Math.min(at + 1000, keys.size()));
            DeleteObjectsResponse answer = once(uri(bucket, prefix) + " was not deleted", () -> client()
                    .deleteObjects(b -> b.bucket(bucket).delete(Delete.builder().objects(some).quiet(true).build())));
            if (answer.hasErrors() && !answer.errors().isEmpty()) {
                throw new ObjectStoreException(uri(bucket, answer.errors().getFirst().key()) + " was not deleted: "
                        + answer.errors().getFirst().code() + ", and so " + (answer.errors().size() - 1) + " more");
            }
        }
    }

    /** Length and SHA-256, as it was given when the object was put; empty when there is none. */
    Optional<Head> head(String bucket, String key) throws IOException {
        try {
            return Optional.of(persist(uri(bucket, key) + " was not looked at",
                    () -> Head.of(client().headObject(b -> b.bucket(bucket).key(key)))));
        } catch (ObjectStoreException e) {
            if (e.status() == 404) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /** Adds a file, once: see {@link Upload}. */
    public void put(Upload.Source source, String bucket, String key, Consumer<Long> told) throws IOException {
        new Upload(this, source, bucket, key, told).run();
    }

    /**
     * Copies the bytes from the first position (inclusive) to the second (exclusive). A connection that breaks is taken up where it broke; a reader that
     * goes away ends it.
     */
    public void read(String bucket, String key, long from, long to, OutputStream out) throws IOException {
        read(bucket, key, from, to, out, settings.retryFor());
    }

    /** @param retryFor for whoever cannot wait as long as the settings say */
    public void read(String bucket, String key, long from, long to, OutputStream out, Duration retryFor) throws IOException {
        long at = from;
        int broken = 0;
        while (at < to) {
            long begin = at;
            ResponseInputStream<GetObjectResponse> in = persist(uri(bucket, key) + " was not read", retryFor,
                    () -> client().getObject(b -> b.bucket(bucket).key(key).range("bytes=" + begin + "-" + (to - 1))));
            try {
                at = copy(in, at, to, out);
            } finally {
                // why not close: that reads to the end first
                in.abort();
            }
            broken = at > begin ? 0 : broken + 1;
            if (broken > 3) {
                throw new ObjectStoreException(uri(bucket, key) + ": ends at byte " + at + " (expected: " + to + ")");
            }
        }
    }

    private static long copy(InputStream in, long from, long to, OutputStream out) throws IOException {
        byte[] buffer = new byte[COPY];
        long at = from;
        while (at < to) {
            int n;
            try {
                n = in.read(buffer, 0, (int) Math.min(COPY, to - at));
            } catch (IOException e) {
                log.info("a read broke off at byte {} and is taken up there: {}", at, e.toString());
                return at;
            }
            if (n < 0) {
                return at;
            }
            out.write(buffer, 0, n);
            at += n;
        }
        return at;
    }

    /**
     * An address from which anybody can read the object, for {@link S3Settings#presignFor()}.
     *
     * @param type media type that the server is to say
     * @param disposition {@code Content-Disposition} that the server is to say
     */
    public URI presigned(String bucket, String key, String type, String disposition) {
        return URI.create(presigner().presignGetObject(b -> b.signatureDuration(settings.presignFor())
                .getObjectRequest(get -> get.bucket(bucket).key(key).responseContentType(type).responseContentDisposition(disposition)))
                .url().toString());
    }

    static String uri(String bucket, String key) {
        return "s3://" + bucket + "/" + key;
    }

    /** Asks until there is an answer, a refusal that stands, or no time left. */
    <T> T persist(String what, Supplier<T> request) throws IOException {
        return persist(what, settings.retryFor(), request);
    }

    /** Asks for what somebody will ask for again: with the client's own few tries, and no waiting. */
    private <T> T once(String what, Supplier<T> request) throws IOException {
        return persist(what, Duration.ZERO, request);
    }

    private static <T> T persist(String what, Duration retryFor, Supplier<T> request) throws IOException {
        long until = System.nanoTime() + retryFor.toNanos();
        Duration rest = FIRST_REST;
        while (true) {
            try {
                return request.get();
            } catch (SdkException | UncheckedIOException e) {
                // why the second: the client of the JDK lets some broken connections through like that
                ObjectStoreException told = new ObjectStoreException(what, e);
                if (e.getCause() instanceof FileSystemException ours) {
                    throw ours;
                }
                if (Thread.currentThread().isInterrupted() || e instanceof AbortedException) {
                    throw interrupted(told);
                }
                if (!mayPass(e) || System.nanoTime() + rest.toNanos() > until) {
                    throw told;
                }
                log.warn("{}; tried again in {} ms", told.getMessage(), rest.toMillis());
                sleep(rest, told);
                rest = rest.multipliedBy(2).compareTo(LONGEST_REST) > 0 ? LONGEST_REST : rest.multipliedBy(2);
            }
        }
    }

    private static void sleep(Duration rest, ObjectStoreException told) throws IOException {
        try {
            Thread.sleep(rest);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw interrupted(told);
        }
    }

    private static IOException interrupted(ObjectStoreException told) {
        InterruptedIOException interrupted = new InterruptedIOException(told.getMessage());
        interrupted.initCause(told);
        return interrupted;
    }

    private static boolean mayPass(RuntimeException e) {
        if (e instanceof AwsServiceException service) {
            String code = service.awsErrorDetails() == null ? "" : String.valueOf(service.awsErrorDetails().errorCode());
            return service.statusCode() >= 500 && service.statusCode() != 501 || service.statusCode() == 429
                    || List.of("RequestTimeout", "SlowDown", "OperationAborted").contains(code);
        }
        return true;
    }

    @Override
    public synchronized void destroy() {
        List<AutoCloseable> open = new ArrayList<>();
        if (client != null) {
            open.add(client);
        }
        if (presigner != null) {
            open.add(presigner);
        }
        open.forEach(one -> {
            try {
                one.close();
            } catch (Exception e) {
                log.debug("not closed", e);
            }
        });
    }
}
