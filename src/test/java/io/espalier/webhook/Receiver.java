package io.espalier.webhook;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;

import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpServer;

/** Somebody who is told, on loopback: keeps what comes, checks signatures by itself, and answers as it is told to. */
public final class Receiver implements AutoCloseable {

    /** What came. */
    public record Received(String path, Headers headers, byte[] body) {

        public String header(String name) {
            return headers.getFirst(name);
        }

        public String text() {
            return new String(body, StandardCharsets.UTF_8);
        }

        /** Whether one of its signatures is by this secret, as the specification says to look. */
        public boolean signedBy(String secret) {
            try {
                Mac mac = Mac.getInstance("HmacSHA256");
                mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.split("_", 2)[1]), "RAW"));
                mac.update(header("webhook-id").getBytes(StandardCharsets.US_ASCII));
                mac.update((byte) '.');
                mac.update(header("webhook-timestamp").getBytes(StandardCharsets.US_ASCII));
                mac.update((byte) '.');
                byte[] own = mac.doFinal(body);
                return Arrays.stream(header("webhook-signature").split(" ")).filter(one -> one.startsWith("v1,"))
                        .anyMatch(one -> Arrays.equals(Base64.getDecoder().decode(one.substring(3)), own));
            } catch (java.security.GeneralSecurityException e) {
                throw new AssertionError(e);
            }
        }
    }

    /** Decides how the so manieth message is answered; may write headers, and may take its time. */
    @FunctionalInterface
    public interface Answer {
        int to(int number, Headers headers) throws Exception;
    }

    private final HttpServer server;
    private final List<Received> received = new CopyOnWriteArrayList<>();

    public Receiver(Answer answer) throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            int number;
            synchronized (received) {
                received.add(new Received(exchange.getRequestURI().getPath(), exchange.getRequestHeaders(), body));
                number = received.size();
            }
            try {
                exchange.sendResponseHeaders(answer.to(number, exchange.getResponseHeaders()), -1);
            } catch (Exception e) {
                throw new IOException(e);
            } finally {
                exchange.close();
            }
        });
        server.start();
    }

    public String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort() + "/hook";
    }

    public List<Received> received() {
        return List.copyOf(received);
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
