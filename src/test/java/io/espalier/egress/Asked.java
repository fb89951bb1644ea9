package io.espalier.egress;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** A server on loopback that writes down what it was asked, and answers as it is told to. */
final class Asked implements AutoCloseable {

    /** How a connection is answered once its request's head was read. */
    @FunctionalInterface
    interface Answer {
        void to(Socket connection) throws Exception;
    }

    final List<String> requests = new CopyOnWriteArrayList<>();
    private final ServerSocket server = new ServerSocket();

    Asked(Answer answer) throws IOException {
        server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        Thread.ofVirtual().start(() -> {
            while (!server.isClosed()) {
                try {
                    Socket connection = server.accept();
                    Thread.ofVirtual().start(() -> serve(connection, answer));
                } catch (IOException e) {
                    return;
                }
            }
        });
    }

    static EgressSettings settings(boolean http, List<Integer> ports, Duration connect, String... allow) {
        return new EgressSettings(List.of(allow), http, ports, connect, Duration.ofSeconds(20), Duration.ofSeconds(60), "");
    }

    static Answer says(String status, String headers, String body) {
        return connection -> connection.getOutputStream().write(("HTTP/1.1 " + status + "\r\n" + headers + "Content-Length: "
                + body.length() + "\r\n\r\n" + body).getBytes(StandardCharsets.ISO_8859_1));
    }

    int port() {
        return server.getLocalPort();
    }

    URI at(String path) {
        return URI.create("http://127.0.0.1:" + port() + path);
    }

    private void serve(Socket connection, Answer answer) {
        try (connection) {
            StringBuilder head = new StringBuilder();
            while (head.indexOf("\r\n\r\n") < 0) {
                head.append((char) connection.getInputStream().read());
            }
            int length = head.toString().toLowerCase(java.util.Locale.ROOT).lines().filter(line -> line.startsWith("content-length:"))
                    .mapToInt(line -> Integer.parseInt(line.substring(15).strip())).findFirst().orElse(0);
            requests.add(head + new String(connection.getInputStream().readNBytes(length), StandardCharsets.UTF_8));
            answer.to(connection);
            connection.shutdownOutput();
            while (connection.getInputStream().read() >= 0) {
                // until the other side hangs up: closed before that, what was written might be lost
            }
        } catch (Exception e) {
            // the other side hung up
        }
    }

    @Override
    public void close() throws IOException {
        server.close();
    }
}
