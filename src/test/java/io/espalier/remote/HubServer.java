package io.espalier.remote;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;

/**
 * A hub on loopback that serves a directory as the Hugging Face Hub serves a repository: small files itself, weights by sending the client on to another
 * origin with a signature in the address. Each file can have a fault.
 */
public final class HubServer implements AutoCloseable {

    public static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
    public static final String SIGNATURE = "signed-and-secret";

    /** What a server does with a file in place of sending it. */
    @FunctionalInterface
    public interface Fault {
        /** @return whether the exchange is over; else the file is sent */
        boolean happens(HttpExchange exchange, byte[] content) throws IOException;
    }

    private final Path directory;
    private final HttpServer hub;
    private final HttpServer store;
    private final Map<String, Fault> faults = new ConcurrentHashMap<>();
    private final Map<String, Fault> heads = new ConcurrentHashMap<>();
    private final List<String> requests = new CopyOnWriteArrayList<>();
    private volatile String token;

    public HubServer(Path directory) {
        this.directory = directory;
        try {
            hub = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
            store = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        hub.createContext("/", exchange -> answered(exchange, this::hub));
        store.createContext("/", exchange -> answered(exchange, this::store));
        for (HttpServer server : List.of(hub, store)) {
            server.setExecutor(Executors.newCachedThreadPool(Thread.ofPlatform().daemon().factory()));
            server.start();
        }
    }

    /** The repository's address. */
    public String base() {
        return "http://127.0.0.1:" + hub.getAddress().getPort() + "/org/repo";
    }

    /** Asks for a token from now on. */
    public HubServer guarded(String secret) {
        token = secret;
        return this;
    }

    /** What happens when the bytes of a file are asked for, from now on. */
    public HubServer fault(String file, Fault fault) {
        faults.put(file, fault);
        return this;
    }

    /** What happens when a file is looked for, from now on. */
    public HubServer headFault(String file, Fault fault) {
        heads.put(file, fault);
        return this;
    }

    public void mend() {
        faults.clear();
        heads.clear();
    }

    /** {@code hub HEAD main/config.json - Bearer x}: who was asked for what, which bytes, and as whom. */
    public List<String> requests() {
        return requests;
    }

    /** Sends so many bytes of what was asked for and then breaks off. */
    public static Fault cutAfter(int bytes) {
        return (exchange, content) -> {
            int from = from(exchange);
            head(exchange, content, from);
            exchange.getResponseBody().write(content, from, Math.min(bytes, content.length - from));
            exchange.getResponseBody().flush();
            return true;
        };
    }

    /** Says that it is fine and sends for ever, without a length. */
    public static Fault endless() {
        return (exchange, content) -> {
            if (exchange.getRequestMethod().equals("HEAD")) {
                exchange.sendResponseHeaders(200, -1);
                return true;
            }
            exchange.sendResponseHeaders(200, 0);
            byte[] much = new byte[1 << 16];
            try (OutputStream out = exchange.getResponseBody()) {
                while (true) {
                    out.write(much);
                }
            }
        };
    }

    public static Fault status(int status) {
        return (exchange, _) -> {
            exchange.sendResponseHeaders(status, -1);
            return true;
        };
    }

    public static Fault redirect(String location) {
        return (exchange, _) -> {
            exchange.getResponseHeaders().add("Location", location);
            exchange.sendResponseHeaders(302, -1);
            return true;
        };
    }

    /** Sends slowly: so many bytes, then a rest, and on. */
    public static Fault slow(int bytes, long restMillis) {
        return (exchange, content) -> {
            int from = from(exchange);
            head(exchange, content, from);
            try {
                for (int at = from; at < content.length; at += bytes) {
                    exchange.getResponseBody().write(content, at, Math.min(bytes, content.length - at));
                    exchange.getResponseBody().flush();
                    Thread.sleep(restMillis);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return true;
        };
    }

    private void answered(HttpExchange exchange, Fault how) throws IOException {
        try (exchange) {
            how.happens(exchange, new byte[0]);
        } catch (IOException clientWentAway) {
            return;
        }
    }

    private boolean hub(HttpExchange exchange, byte[] none) throws IOException {
        String[] path = exchange.getRequestURI().getPath().replaceFirst("^/org/repo/resolve/", "").split("/");
        String file = path[path.length - 1];
        note("hub", exchange, path[0] + "/" + file);
        Path source = directory.resolve(file);
        boolean head = exchange.getRequestMethod().equals("HEAD");
        byte[] content = Files.isRegularFile(source) ? Files.readAllBytes(source) : none;
        Fault fault = head ? heads.get(file) : null;
        if (fault != null && fault.happens(exchange, content)) {
            return true;
        }
        if (token != null && !("Bearer " + token).equals(exchange.getRequestHeaders().getFirst("Authorization"))) {
            return status(401).happens(exchange, none);
        }
        if (!Files.isRegularFile(source)) {
            return status(404).happens(exchange, none);
        }
        Headers headers = exchange.getResponseHeaders();
        headers.add("X-Repo-Commit", COMMIT);
        if (file.endsWith(".safetensors")) {
            headers.add("X-Linked-Size", String.valueOf(content.length));
            headers.add("X-Linked-ETag", '"' + hex("SHA-256", content) + '"');
            return redirect("http://127.0.0.1:" + store.getAddress().getPort() + "/" + file + "?signature=" + SIGNATURE).happens(exchange,
                    none);
        }
        headers.add("ETag", '"' + hex("SHA-1", ("blob " + content.length + "\0").getBytes(StandardCharsets.US_ASCII), content) + '"');
        return send(exchange, file, content);
    }

    private boolean store(HttpExchange exchange, byte[] none) throws IOException {
        String file = exchange.getRequestURI().getPath().substring(1);
        note("store", exchange, file);
        byte[] content = Files.readAllBytes(directory.resolve(file));
        exchange.getResponseHeaders().add("ETag", "\"store-" + hex("SHA-1", content) + '"');
        return send(exchange, file, content);
    }

    private boolean send(HttpExchange exchange, String file, byte[] content) throws IOException {
        if (exchange.getRequestMethod().equals("HEAD")) {
            exchange.getResponseHeaders().add("Content-Length", String.valueOf(content.length));
            exchange.sendResponseHeaders(200, -1);
            return true;
        }
        Fault fault = faults.get(file);
        if (fault != null && fault.happens(exchange, content)) {
            return true;
        }
        int from = from(exchange);
        head(exchange, content, from);
        exchange.getResponseBody().write(content, from, content.length - from);
        return true;
    }

    private static int from(HttpExchange exchange) {
        String range = exchange.getRequestHeaders().getFirst("Range");
        return range == null ? 0 : Integer.parseInt(range.replaceAll("bytes=(\\d+)-", "$1"));
    }

    private static void head(HttpExchange exchange, byte[] content, int from) throws IOException {
        if (from > 0) {
            exchange.getResponseHeaders().add("Content-Range", "bytes " + from + "-" + (content.length - 1) + "/" + content.length);
        }
        exchange.sendResponseHeaders(from > 0 ? 206 : 200, content.length - from == 0 ? -1 : content.length - from);
    }

    private void note(String who, HttpExchange exchange, String what) {
        Headers headers = exchange.getRequestHeaders();
        requests.add(String.join(" ", who, exchange.getRequestMethod(), what,
                headers.getFirst("Range") == null ? "-" : headers.getFirst("Range"),
                headers.getFirst("Authorization") == null ? "-" : headers.getFirst("Authorization")));
    }

    /** Of several pieces, one after the other. */
    public static String hex(String algorithm, byte[]... pieces) {
        try {
            MessageDigest digest = MessageDigest.getInstance(algorithm);
            for (byte[] piece : pieces) {
                digest.update(piece);
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }

    @Override
    public void close() {
        hub.stop(0);
        store.stop(0);
    }
}
