package io.espalier.api;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.http.HttpHeaders;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * HTTP/1.1 over a bare socket: sends exactly the bytes that it is given, also those that no client library would send. Of an endless stream of events
 * it reads the beginning.
 */
final class Wire implements AutoCloseable {

    /** What came back. */
    record Answer(int status, HttpHeaders headers, byte[] body) {

        String type() {
            return headers.firstValue("Content-Type").orElse("none").replaceAll(";.*", "");
        }

        String text() {
            return new String(body, StandardCharsets.UTF_8);
        }
    }

    private static final int PATIENCE = 30_000;
    private static final int OF_A_STREAM = 40;

    private final String host;
    private final int port;
    private Socket socket;
    private InputStream in;

    Wire(String host, int port) {
        this.host = host;
        this.port = port;
    }

    /**
     * @param bodiless whether the answer has no body whatever its headers say
     * @param last whether the request leaves the connection in a state that nobody can go on from
     * @throws IOException when there is no answer, or none within 30 s
     */
    Answer exchange(byte[] request, boolean bodiless, boolean last) throws IOException {
        boolean reused = socket != null;
        try {
            return once(request, bodiless, last);
        } catch (SocketTimeoutException e) {
            close();
            throw new IOException("no answer within " + PATIENCE / 1000 + " s", e);
        } catch (IOException e) {
            close();
            if (!reused) {
                throw e;
            }
            // why: the service may have closed a connection that was idle, just when it was used again
            return once(request, bodiless, last);
        }
    }

    private Answer once(byte[] request, boolean bodiless, boolean last) throws IOException {
        if (socket == null) {
            socket = new Socket(host, port);
            socket.setTcpNoDelay(true);
            in = new BufferedInputStream(socket.getInputStream());
        }
        socket.setSoTimeout(PATIENCE);
        IOException refused = null;
        try {
            socket.getOutputStream().write(request);
            if (last) {
                socket.shutdownOutput();
            }
        } catch (IOException e) {
            // why: whoever refuses a body may stop reading it, and has answered
            refused = e;
        }
        Answer answer;
        try {
            answer = read(bodiless);
        } catch (IOException e) {
            throw refused == null ? e : refused;
        }
        if (last || refused != null || "close".equalsIgnoreCase(answer.headers.firstValue("Connection").orElse(""))
                || answer.type().equals("text/event-stream")) {
            close();
        }
        return answer;
    }

    private Answer read(boolean bodiless) throws IOException {
        String[] status = line().split(" ", 3);
        Map<String, List<String>> fields = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        for (String field = line(); !field.isEmpty(); field = line()) {
            int colon = field.indexOf(':');
            fields.computeIfAbsent(field.substring(0, colon), name -> new ArrayList<>()).add(field.substring(colon + 1).strip());
        }
        int code = Integer.parseInt(status[1]);
        if (code < 200) {
            return read(bodiless);
        }
        HttpHeaders headers = HttpHeaders.of(fields, (name, value) -> true);
        boolean none = bodiless || code == 204 || code == 304;
        return new Answer(code, headers, none ? new byte[0] : body(headers));
    }

    private byte[] body(HttpHeaders headers) throws IOException {
        if (headers.firstValue("Content-Type").orElse("").startsWith("text/event-stream")) {
            return beginning();
        }
        if (headers.firstValue("Transfer-Encoding").orElse("").equalsIgnoreCase("chunked")) {
            ByteArrayOutputStream body = new ByteArrayOutputStream();
            for (int size = Integer.parseInt(line(), 16); size > 0; size = Integer.parseInt(line(), 16)) {
                body.write(exactly(size));
                line();
            }
            line();
            return body.toByteArray();
        }
        return headers.firstValue("Content-Length").isPresent()
                ? exactly(Integer.parseInt(headers.firstValue("Content-Length").get()))
                : in.readAllBytes();
    }

    private byte[] beginning() throws IOException {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        socket.setSoTimeout(OF_A_STREAM);
        try {
            for (int b = in.read(); b >= 0 && body.size() < 100_000; b = in.read()) {
                body.write(b);
            }
        } catch (SocketTimeoutException e) {
            // as much as was there
        }
        return body.toByteArray();
    }

    private byte[] exactly(int length) throws IOException {
        byte[] bytes = in.readNBytes(length);
        if (bytes.length < length) {
            throw new EOFException("the answer broke off after " + bytes.length + " of " + length + " bytes");
        }
        return bytes;
    }

    private String line() throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        for (int b = in.read(); b != '\n'; b = in.read()) {
            if (b < 0) {
                throw new EOFException("the connection was closed in the middle of the answer's head");
            }
            line.write(b);
        }
        return line.toString(StandardCharsets.ISO_8859_1).stripTrailing();
    }

    @Override
    public void close() {
        try {
            if (socket != null) {
                socket.close();
            }
        } catch (IOException e) {
            // gone either way
        }
        socket = null;
    }
}
