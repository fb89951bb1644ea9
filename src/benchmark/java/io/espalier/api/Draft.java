package io.espalier.api;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import tools.jackson.databind.JsonNode;

/** A request in the making: valid to begin with, then changed in one place or several. */
final class Draft {

    /** How the body's length is told. */
    enum Framing {
        /** As it is. */
        LENGTH,
        /** In chunks. */
        CHUNKED,
        /** A length is promised that does not come. */
        BROKEN_OFF,
        /** The chunks are no chunks. */
        BAD_CHUNKS
    }

    /** One name and its value, as they stand in the request. */
    record Field(String name, String value) {}

    private static final int SHOWN = 2000;

    final Operation operation;
    /** As they stand in the address, encoded. */
    final Map<String, String> path = new LinkedHashMap<>();
    /** Encoded; without {@code =} when the value is {@code null}. */
    final List<Field> query = new ArrayList<>();
    final List<Field> headers = new ArrayList<>();
    final List<String> changes = new ArrayList<>();
    String method;
    /** In place of path and query. */
    String target;
    JsonNode json;
    byte[] body;
    Framing framing = Framing.LENGTH;
    /** Whether the address is such that it may be taken for another one, or for none. */
    boolean oddAddress;
    /** Whether its head is such that the connection may not be used again. */
    boolean alone;

    Draft(Operation operation) {
        this.operation = operation;
        method = operation.method();
    }

    void header(String name, String value) {
        headers.removeIf(header -> header.name().equalsIgnoreCase(name));
        if (value != null) {
            headers.add(new Field(name, value));
        }
    }

    void parameter(String name, String value) {
        query.removeIf(parameter -> parameter.name().equals(name));
        query.add(new Field(name, value));
    }

    String target() {
        if (target != null) {
            return target;
        }
        String address = operation.path();
        for (Map.Entry<String, String> value : path.entrySet()) {
            address = address.replace("{" + value.getKey() + "}", value.getValue());
        }
        List<String> parameters = query.stream().map(field -> field.name() + (field.value() == null ? "" : "=" + field.value())).toList();
        return address + (parameters.isEmpty() ? "" : "?" + String.join("&", parameters));
    }

    byte[] content() {
        return body != null ? body : json == null ? new byte[0] : json.toString().getBytes(StandardCharsets.UTF_8);
    }

    /** Whether nobody can go on on the connection after it. */
    boolean last() {
        return alone || framing == Framing.BROKEN_OFF || framing == Framing.BAD_CHUNKS;
    }

    byte[] bytes() {
        byte[] content = content();
        StringBuilder head = new StringBuilder(method + " " + target() + " HTTP/1.1\r\nHost: localhost\r\n");
        headers.forEach(header -> head.append(header.name()).append(": ").append(header.value()).append("\r\n"));
        boolean told = headers.stream().anyMatch(header -> header.name().matches("(?i)Content-Length|Transfer-Encoding"));
        if (framing == Framing.CHUNKED || framing == Framing.BAD_CHUNKS) {
            head.append("Transfer-Encoding: chunked\r\n");
        } else if (!told && (content.length > 0 || operation.reads())) {
            head.append("Content-Length: ").append(content.length + (framing == Framing.BROKEN_OFF ? 100 : 0)).append("\r\n");
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream(content.length + 500);
        out.writeBytes(head.append("\r\n").toString().getBytes(StandardCharsets.UTF_8));
        switch (framing) {
            case CHUNKED -> {
                if (content.length > 0) {
                    out.writeBytes((Integer.toHexString(content.length) + "\r\n").getBytes(StandardCharsets.US_ASCII));
                    out.writeBytes(content);
                    out.writeBytes("\r\n".getBytes(StandardCharsets.US_ASCII));
                }
                out.writeBytes("0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            }
            case BAD_CHUNKS -> out.writeBytes("zz\r\n{}\r\n".getBytes(StandardCharsets.US_ASCII));
            default -> out.writeBytes(content);
        }
        return out.toByteArray();
    }

    /** The request as a command that somebody can type; a long body is shortened. */
    String curl(String base) {
        StringBuilder command = new StringBuilder("curl -i --path-as-is -X " + method);
        headers.forEach(header -> command.append(" -H ").append(quoted(header.name() + ": " + header.value())));
        if (framing == Framing.CHUNKED || framing == Framing.BAD_CHUNKS) {
            command.append(" -H 'Transfer-Encoding: chunked'");
        }
        byte[] content = content();
        if (content.length > 0) {
            command.append(" --data-binary ").append(quoted(new String(content, StandardCharsets.UTF_8)));
        }
        return command + " " + quoted(base + target()) + "   # " + String.join("; ", changes)
                + (framing == Framing.LENGTH ? "" : "; framing " + framing);
    }

    private static String quoted(String text) {
        String shown = text.length() <= SHOWN ? text : text.substring(0, SHOWN) + "... (" + text.length() + " characters)";
        boolean plain = shown.chars().allMatch(c -> c >= ' ' && c != 0x7F);
        return plain
                ? "'" + shown.replace("'", "'\\''") + "'"
                : "$'" + shown.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\u0000", "\\0") + "'";
    }
}
