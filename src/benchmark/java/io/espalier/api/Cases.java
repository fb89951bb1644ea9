package io.espalier.api;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BiConsumer;
import java.util.zip.GZIPOutputStream;

import io.espalier.api.Draft.Framing;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.util.RawValue;

/** All that can be wrong with one operation's requests, each as one change to a valid one. */
final class Cases {

    /** One thing that is changed. */
    record Case(String what, BiConsumer<Draft, Random> change) {

        void apply(Draft draft, Random random) {
            change.accept(draft, random);
            draft.changes.add(what);
        }
    }

    private static final List<String> TYPES = List.of("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
            "application/xml", "nonsense", "a/b/c", "application/json; charset=klingon", "application/json; charset=utf-16", "*/*", "",
            "application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json", "application/json, text/plain");
    private static final List<String> ACCEPTS = List.of("text/html", "image/png", "nonsense", "a/b/c", "*/*", "", "application/*",
            "application/json;q=0", "application/json;q=2", "text/event-stream", "application/vnd.safetensors", "application/octet-stream",
            "application/problem+json", "application/json, text/event-stream;q=0.9", "application/yaml", "text/html, */*;q=0.1",
            "application/x-tar", "x".repeat(3000));
    private static final Map<String, List<String>> HEADERS = Map.ofEntries(
            Map.entry("If-None-Match", List.of("*", "\"x\"", "W/\"x\"", "\"", "x, y, \"", ",,,", "\"a\",".repeat(300))),
            Map.entry("If-Match", List.of("*", "\"x\"", "garbage")),
            Map.entry("If-Modified-Since", List.of("yesterday", "Thu, 01 Jan 1970 00:00:00 GMT")),
            Map.entry("Range",
                    List.of("bytes=0-0", "bytes=-1", "bytes=5-", "bytes=9-1", "bytes=99999999999999999999-", "bytes=a-b", "bytes=",
                            "lines=1-2", "bytes=0-1,3-4", "bytes=-0", "bytes=0-,".repeat(200))),
            Map.entry("If-Range", List.of("\"x\"", "garbage", "")),
            Map.entry("Idempotency-Key", List.of("", " ", "a b", "é", "k".repeat(255), "k".repeat(256), "k".repeat(5000), "same")),
            Map.entry("Last-Event-ID", List.of("-1", "x", "0", "9223372036854775807", "9223372036854775808", "", "1.5")),
            Map.entry("Accept-Encoding", List.of("gzip", "br;q=1.0", "identity;q=0", "*;q=0")),
            Map.entry("Content-Encoding", List.of("gzip", "br", "nonsense")),
            Map.entry("Expect", List.of("100-continue", "garbage")),
            Map.entry("Origin", List.of("https://evil.example", "null")),
            Map.entry("X-HTTP-Method-Override", List.of("DELETE")), Map.entry("X-Forwarded-Host", List.of("evil.example")),
            Map.entry("Forwarded", List.of("host=evil.example;proto=gopher")), Map.entry("Cookie", List.of("a=b; c", "=;=;")),
            Map.entry("Authorization", List.of("Basic !!!", "Bearer x", "nonsense", "")),
            Map.entry("Accept-Language", List.of("xx-YY-ZZ;q=9")), Map.entry("X-Long", List.of("x".repeat(20_000))),
            Map.entry("Upgrade", List.of("h2c", "websocket")), Map.entry("Content-Length", List.of("-5", "x", "99999999999999999999")),
            Map.entry("Transfer-Encoding", List.of("gzip", "nonsense")), Map.entry("Connection", List.of("close", "Upgrade")));
    private static final List<String> METHODS = List.of("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get",
            "PROPFIND");

    private final JsonNode contract;
    private final Operation operation;
    private final List<Case> cases = new ArrayList<>();

    private Cases(JsonNode contract, Operation operation) {
        this.contract = contract;
        this.operation = operation;
    }

    static List<Case> of(JsonNode contract, Operation operation) {
        Cases all = new Cases(contract, operation);
        all.nothing();
        all.path();
        all.query();
        all.headers();
        all.methods();
        if (operation.reads()) {
            all.bodies();
            operation.mediaTypes(contract).stream().filter(type -> type.endsWith("json")).findFirst().ifPresent(all::places);
        }
        return all.cases;
    }

    private void add(String what, BiConsumer<Draft, Random> change) {
        cases.add(new Case(what, change));
    }

    private void nothing() {
        for (int i = 0; i < 5; i++) {
            add("nothing changed", (draft, random) -> {});
        }
    }

    private void path() {
        for (Operation.Parameter parameter : operation.in("path")) {
            for (String value : Oddities.encoded()) {
                add("path " + parameter.name() + " = " + shown(value), (draft, random) -> {
                    draft.path.put(parameter.name(), value);
                    draft.oddAddress |= value.isEmpty();
                });
            }
            for (String value : Oddities.oddAddresses()) {
                add("path " + parameter.name() + " = " + value, (draft, random) -> {
                    draft.path.put(parameter.name(), value);
                    draft.oddAddress = true;
                });
            }
            add("path " + parameter.name() + " in capitals", (draft, random) -> draft.path.computeIfPresent(parameter.name(),
                    (name, value) -> value.toUpperCase(java.util.Locale.ROOT)));
            add("path " + parameter.name() + " and more", (draft, random) -> draft.path.computeIfPresent(parameter.name(),
                    (name, value) -> value + "0"));
        }
        add("a slash at the end", (draft, random) -> {
            draft.target = draft.target().replaceFirst("\\?.*", "") + "/";
            draft.oddAddress = true;
        });
        add("a doubled slash", (draft, random) -> {
            draft.target = "/" + draft.target();
            draft.oddAddress = true;
        });
    }

    private void query() {
        for (Operation.Parameter parameter : operation.in("query")) {
            List<String> values = new ArrayList<>(Oddities.encoded());
            Oddities.json(Schemas.resolved(contract, parameter.schema())).forEach((what, value) -> {
                if (value != null && what.matches("(min|max|exc|word|miss|long).*")) {
                    values.add(value.replace("\"", ""));
                }
            });
            for (String value : values) {
                add("query " + parameter.name() + " = " + shown(value), (draft, random) -> draft.parameter(parameter.name(), value));
            }
            add("query " + parameter.name() + " twice", (draft, random) -> {
                String value = sample(parameter, random);
                draft.parameter(parameter.name(), value);
                draft.query.add(new Draft.Field(parameter.name(), value));
            });
            add("query " + parameter.name() + " without a value", (draft, random) -> draft.parameter(parameter.name(), null));
            add("query " + parameter.name() + " that cannot be decoded", (draft, random) -> draft.parameter(parameter.name(), "%zz"));
        }
        add("a query parameter that nobody knows", (draft, random) -> draft.parameter("nobody_knows", "1"));
        add("a query parameter without a name", (draft, random) -> draft.parameter("", "1"));
        add("2,000 query parameters", (draft, random) -> {
            for (int i = 0; i < 2000; i++) {
                draft.query.add(new Draft.Field("p", null));
            }
        });
        add("a query that is no query", (draft, random) -> draft.parameter("x", "{}|\"<>"));
        add("a fragment", (draft, random) -> draft.parameter("x", "1#y"));
    }

    private void headers() {
        HEADERS.forEach((name, values) -> values.forEach(value -> add(name + ": " + shown(value), (draft, random) -> {
            draft.header(name, value);
            if (name.equals("Content-Length") || name.equals("Transfer-Encoding") || name.equals("Expect")) {
                draft.framing = Framing.LENGTH;
                draft.alone = true;
            }
        })));
        for (Operation.Parameter parameter : operation.in("header")) {
            for (String value : Oddities.encoded()) {
                add(parameter.name() + ": " + shown(value), (draft, random) -> draft.header(parameter.name(), value));
            }
        }
        ACCEPTS.forEach(accept -> add("Accept: " + shown(accept), (draft, random) -> draft.header("Accept", accept)));
        add("Accept twice", (draft, random) -> draft.headers.addAll(
                List.of(new Draft.Field("Accept", "text/html"), new Draft.Field("Accept", "application/json"))));
        add("a header twice", (draft, random) -> draft.headers.addAll(
                List.of(new Draft.Field("Idempotency-Key", "a"), new Draft.Field("Idempotency-Key", "b"))));
    }

    private void methods() {
        METHODS.stream().filter(method -> !method.equals(operation.method()))
                .forEach(method -> add("method " + method, (draft, random) -> draft.method = method));
    }

    private void bodies() {
        TYPES.forEach(type -> add("Content-Type: " + type, (draft, random) -> draft.header("Content-Type", type)));
        add("no Content-Type", (draft, random) -> draft.header("Content-Type", null));
        body("an empty body", content -> new byte[0]);
        for (String text : List.of("null", "[]", "\"x\"", "1", "true", "{", "}", "{}", "{}{}", "[{}]", "{\"a\"}", " ", "\u0000", "//\n{}",
                "<x/>",
                "a=b&c=d", "{\"a\":1,}", "{'a':1}")) {
            body("body " + text, content -> text.getBytes(StandardCharsets.UTF_8));
        }
        for (int part = 1; part < 8; part++) {
            int eighths = part;
            body("body cut off after " + part + "/8", content -> Arrays.copyOf(content, content.length * eighths / 8));
        }
        body("a byte order mark", content -> joined(new byte[]{(byte) 0xEF, (byte) 0xBB, (byte) 0xBF}, content));
        body("UTF-16", content -> new String(content, StandardCharsets.UTF_8).getBytes(StandardCharsets.UTF_16));
        body("bytes that are no UTF-8", content -> joined(content, new byte[]{(byte) 0xC3, (byte) 0x28, (byte) 0xFF}));
        body("no UTF-8 in a string",
                content -> joined("{\"model\": \"".getBytes(StandardCharsets.UTF_8), new byte[]{(byte) 0xED, (byte) 0xA0,
                        (byte) 0x80, '"', '}'}));
        body("more after the end", content -> joined(content, content));
        body("the first byte is another", content -> {
            byte[] changed = content.length == 0 ? new byte[1] : content.clone();
            changed[0] ^= 0x55;
            return changed;
        });
        add("9 MB", (draft, random) -> draft.body = ("{\"x\": \"" + "a".repeat(9_000_000) + "\"}").getBytes(StandardCharsets.UTF_8));
        add("gzip that is none", (draft, random) -> draft.header("Content-Encoding", "gzip"));
        add("gzip", (draft, random) -> {
            draft.header("Content-Encoding", "gzip");
            draft.body = zipped(draft.content());
        });
        add("chunked", (draft, random) -> draft.framing = Framing.CHUNKED);
        add("chunks that are none", (draft, random) -> draft.framing = Framing.BAD_CHUNKS);
        add("broken off", (draft, random) -> draft.framing = Framing.BROKEN_OFF);
    }

    private void body(String what, java.util.function.UnaryOperator<byte[]> change) {
        add(what, (draft, random) -> draft.body = change.apply(draft.content()));
    }

    /** Every field of the body, everything that it can be in place of what it should be. */
    private void places(String mediaType) {
        Schemas.places(contract, operation.body(contract, mediaType).path("schema")).forEach((pointer, schema) -> {
            Oddities.json(schema)
                    .forEach((what, json) -> add(pointer + ": " + what, (draft, random) -> draft.json = put(draft.json, pointer, json)));
            if (schema.has("maxItems")) {
                add(pointer + ": too long", (draft, random) -> {
                    ArrayNode many = JsonNodeFactory.instance.arrayNode();
                    for (int i = schema.path("maxItems").asInt(); i >= 0; i--) {
                        many.add(Schemas.sample(contract, schema.path("items"), random));
                    }
                    draft.json = put(draft.json, pointer, many.toString());
                });
            }
            if (schema.has("properties")) {
                add(pointer + ": an unknown field", (draft, random) -> draft.json = put(draft.json, pointer + "/nobody_knows", "1"));
                add(pointer + ": a field without a name", (draft, random) -> draft.json = put(draft.json, pointer + "/", "1"));
                add(pointer + ": a field of controls", (draft, random) -> draft.json = put(draft.json, pointer + "/a\u0000\u202e", "1"));
                add(pointer + ": a field of 2,000 characters",
                        (draft, random) -> draft.json = put(draft.json, pointer + "/" + "n".repeat(2000),
                                "1"));
            }
            add(pointer + ": a valid sample", (draft, random) -> draft.json = put(draft.json, pointer,
                    Schemas.sample(contract, schema, random).toString()));
            String name = pointer.replaceAll(".*/", "");
            if (!name.isEmpty() && !name.equals("0")) {
                add(pointer + ": twice", (draft, random) -> draft.json = put(draft.json, pointer, "1, \"" + name + "\": 2"));
            }
        });
    }

    /** The document with another value at the pointer, made reachable where it is not; {@code null} takes it out. */
    static JsonNode put(JsonNode document, String pointer, String json) {
        JsonNode value = json == null ? null : JsonNodeFactory.instance.rawValueNode(new RawValue(json));
        if (pointer.isEmpty()) {
            return value;
        }
        JsonNode root = document instanceof ObjectNode || document instanceof ArrayNode
                ? document.deepCopy()
                : JsonNodeFactory.instance.objectNode();
        String[] steps = pointer.substring(1).split("/", -1);
        JsonNode at = root;
        for (int i = 0; i < steps.length; i++) {
            boolean end = i == steps.length - 1;
            JsonNode next = end ? value : child(at, steps[i]);
            if (!end && !(next instanceof ObjectNode) && !(next instanceof ArrayNode)) {
                next = steps[i + 1].equals("0") ? JsonNodeFactory.instance.arrayNode() : JsonNodeFactory.instance.objectNode();
            }
            set(at, steps[i].replace("~1", "/").replace("~0", "~"), next);
            at = next;
        }
        return root;
    }

    private static JsonNode child(JsonNode at, String step) {
        return at instanceof ArrayNode array ? array.path(0) : at.path(step);
    }

    private static void set(JsonNode at, String step, JsonNode value) {
        switch (at) {
            case ObjectNode object when value == null -> object.remove(step);
            case ObjectNode object -> object.set(step, value);
            case ArrayNode array when value == null -> array.removeAll();
            case ArrayNode array when array.isEmpty() -> array.add(value);
            case ArrayNode array -> array.set(0, value);
            default -> throw new IllegalArgumentException(step);
        }
    }

    private String sample(Operation.Parameter parameter, Random random) {
        return Schemas.sample(contract, parameter.schema(), random).asString("");
    }

    private static byte[] zipped(byte[] content) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream zip = new GZIPOutputStream(out)) {
            zip.write(content);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    private static byte[] joined(byte[] first, byte[] second) {
        byte[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }

    private static String shown(String value) {
        return value.length() <= 60 ? value : value.substring(0, 60) + "...";
    }
}
