package io.espalier.objectstore;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

import org.springframework.util.unit.DataSize;

/**
 * A real S3 server (s3proxy) on loopback that keeps objects in a directory and checks signatures, in a process of its own; one serves all tests of a
 * run. Each test takes a bucket of its own.
 */
public final class S3Server {

    public static final String ACCESS_KEY = "test-identity";
    public static final String SECRET_KEY = "test-credential-that-nobody-prints";

    private static final AtomicInteger buckets = new AtomicInteger();
    private static int port;

    private S3Server() {}

    /** Where it listens. */
    public static synchronized int port() {
        if (port == 0) {
            try {
                port = start();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        return port;
    }

    /** A new bucket's name. */
    public static String bucket() {
        String name = "bucket-" + ProcessHandle.current().pid() + "-" + buckets.incrementAndGet();
        try (Client client = new Client(settings(port(), name))) {
            client.store.client().createBucket(b -> b.bucket(name));
        }
        return name;
    }

    /** The way to a bucket, with parts of 5 MiB, the least there are. */
    public static S3Settings settings(int port, String bucket) {
        return new S3Settings("http://127.0.0.1:" + port, "", "us-east-1", true, ACCESS_KEY, SECRET_KEY, bucket, "espalier",
                DataSize.ofMegabytes(5),
                Duration.ofMinutes(15), Duration.ofSeconds(20), Duration.ofHours(24));
    }

    /** The same for a service. */
    public static String[] properties(int port, String bucket) {
        return new String[]{"espalier.artifacts.store=s3", "espalier.s3.endpoint=http://127.0.0.1:" + port, "espalier.s3.path-style=true",
                "espalier.s3.access-key=" + ACCESS_KEY, "espalier.s3.secret-key=" + SECRET_KEY, "espalier.s3.bucket=" + bucket,
                "espalier.s3.part-size=5MB", "espalier.s3.retry-for=20s"};
    }

    /** A door of the test's own. */
    public static final class Client implements AutoCloseable {

        public final ObjectStore store;

        public Client(S3Settings settings) {
            store = new ObjectStore(settings);
        }

        @Override
        public void close() {
            store.destroy();
        }
    }

    private static int start() throws IOException {
        Path directory = Files.createTempDirectory(Files.createDirectories(Path.of("target", "s3").toAbsolutePath()), "server");
        Files.createDirectories(directory.resolve("objects"));
        Files.writeString(directory.resolve("logback.xml"),
                "<configuration><appender name=\"o\" class=\"ch.qos.logback.core.ConsoleAppender\"><encoder><pattern>%d %m%n</pattern></encoder>"
                        + "</appender><root level=\"warn\"><appender-ref ref=\"o\"/></root></configuration>");
        int free;
        try (ServerSocket socket = new ServerSocket(0)) {
            free = socket.getLocalPort();
        }
        Files.write(directory.resolve("s3proxy.properties"), List.of("s3proxy.authorization=aws-v2-or-v4", "s3proxy.identity=" + ACCESS_KEY,
                "s3proxy.credential=" + SECRET_KEY, "s3proxy.endpoint=http://127.0.0.1:" + free, "jclouds.provider=filesystem-nio2",
                "jclouds.filesystem.basedir=" + directory.resolve("objects")));
        Process process = new ProcessBuilder(ProcessHandle.current().info().command().orElseThrow(), "-Xmx256m", "-XX:TieredStopAtLevel=1",
                "-cp",
                directory + ":" + Files.readString(Path.of("target", "s3proxy.classpath")).strip(), "org.gaul.s3proxy.Main", "--properties",
                directory.resolve("s3proxy.properties").toString()).redirectErrorStream(true)
                .redirectOutput(directory.resolve("log").toFile()).start();
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
        for (int i = 0; i < 600; i++) {
            try (Socket socket = new Socket()) {
                socket.connect(new InetSocketAddress("127.0.0.1", free), 500);
                return free;
            } catch (IOException e) {
                if (!process.isAlive()) {
                    break;
                }
                rest();
            }
        }
        throw new AssertionError("the S3 server did not come up:\n" + Files.readString(directory.resolve("log")));
    }

    private static void rest() {
        try {
            Thread.sleep(100);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
