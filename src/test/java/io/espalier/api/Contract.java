package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.http.HttpHeaders;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SchemaRegistryConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/**
 * The top-level {@code openapi.yaml}, read afresh, as a witness beside every exchange of every test: address, method, status, media type, headers and
 * body must all stand in it. Stricter than a client has to be: in a response, a field that is not documented is a breach.
 */
final class Contract {

    static final Path FILE = Path.of("openapi.yaml");
    static final Contract IT = new Contract();

    private static final String LOCATION = "https://espalier.invalid/contract-under-test.yaml";
    /** Of the dashboard, which is no operation. */
    private static final Pattern PAGE = Pattern.compile("/|/index\\.html|/dashboard/.+");
    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final JsonNode root;
    private final SchemaRegistry registry;

    private Contract() {
        try {
            root = new YAMLMapper().readTree(Files.readAllBytes(FILE));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        root.at("/components/schemas").forEach(Contract::close);
        registry = SchemaRegistry.withDialect(OpenApi.DIALECT,
                builder -> builder.schemas(location -> LOCATION.equals(location) ? OpenApi.digestible(root).toString() : null)
                        .schemaRegistryConfig(SchemaRegistryConfig.builder().formatAssertionsEnabled(true).build()));
    }

    JsonNode root() {
        return root;
    }

    /** {@code GET /v1/models/{name}} and all the others. */
    Set<String> operations() {
        Set<String> operations = new TreeSet<>();
        root.path("paths").properties().forEach(path -> path.getValue().propertyNames()
                .forEach(method -> operations.add(method.toUpperCase(java.util.Locale.ROOT) + " " + path.getKey())));
        return operations;
    }

    /** The first media type that the body of an operation may be of; JSON where it has none. */
    String bodyType(String operation) {
        String[] words = operation.split(" ");
        JsonNode types = root.path("paths").path(words[1]).path(words[0].toLowerCase(java.util.Locale.ROOT)).at("/requestBody/content");
        return types.isEmpty() ? "application/json" : types.propertyNames().iterator().next();
    }

    /** Everything in which a document departs from the schema at a pointer into the contract. */
    List<String> departures(String pointer, JsonNode document) {
        return registry.getSchema(SchemaLocation.of(LOCATION + "#" + pointer)).validate(document).stream()
                .map(error -> error.getInstanceLocation() + ": " + error.getMessage()).toList();
    }

    /** Holds one exchange to the contract. */
    void hold(String method, String path, int status, HttpHeaders headers, byte[] body) {
        String exchange = method + " " + path + " -> " + status;
        String template = template(path);
        if (status >= 400) {
            holdProblem(exchange, status, headers, body, method);
        }
        if (template == null && path.matches("/(livez|readyz|actuator.*)")) {
            return;
        }
        if (template == null && status == 200 && PAGE.matcher(path).matches()) {
            return;
        }
        if (template == null) {
            assertThat(status).as(exchange + ", which no path of the contract matches").isIn(400, 401, 404, 429);
            return;
        }
        String name = "HEAD".equals(method) ? "get" : method.toLowerCase(java.util.Locale.ROOT);
        JsonNode operation = root.path("paths").path(template).path(name);
        if (operation.isMissingNode() && status == 401) {
            return;
        }
        if ("OPTIONS".equals(method) || operation.isMissingNode()) {
            holdOtherMethod(exchange, template, "OPTIONS".equals(method) ? List.of(200, 400) : List.of(400, 405), status, headers);
            return;
        }
        String at = "/paths/" + template.replace("/", "~1") + "/" + name + "/responses/" + status;
        if (root.at(at).isMissingNode() && status == 200) {
            at = at.replaceFirst("200$", "2XX");
        }
        if (root.at(at).isMissingNode()) {
            assertThat(status).as(exchange + ", a status that the contract does not name").isGreaterThanOrEqualTo(500);
            at = "/paths/" + template.replace("/", "~1") + "/" + name + "/responses/default";
        }
        holdResponse(exchange, resolved(at), headers, "HEAD".equals(method) ? null : body);
    }

    /** What the contract says of every address at its top: OPTIONS is answered, what it does not know is refused, and both with what it knows. */
    private void holdOtherMethod(String exchange, String template, List<Integer> statuses, int status, HttpHeaders headers) {
        assertThat(status).as(exchange + ", a method that the contract does not know").isIn(statuses);
        if (status != 400) {
            Set<String> known = new TreeSet<>();
            root.path("paths").path(template).propertyNames().forEach(word -> known.add(word.toUpperCase(java.util.Locale.ROOT)));
            assertThat(headers.firstValue("Allow").orElse("").split(",\\s*")).as(exchange + ": Allow").containsAll(known);
        }
    }

    private void holdResponse(String exchange, String at, HttpHeaders headers, byte[] body) {
        JsonNode response = root.at(at);
        assertThat(response.isMissingNode()).as(exchange + ": the contract has nothing at " + at).isFalse();
        response.path("headers").properties().forEach(entry -> {
            JsonNode header = root.at(resolved(at + "/headers/" + entry.getKey()));
            String given = headers.firstValue(entry.getKey()).orElse(null);
            assertThat(given != null || !header.path("required").asBoolean(false)).as(exchange + ": header " + entry.getKey()).isTrue();
            if (given != null && header.at("/schema/const").isString()) {
                assertThat(given).as(exchange + ": header " + entry.getKey()).isEqualTo(header.at("/schema/const").stringValue());
            }
        });
        if (!response.has("content")) {
            assertThat(body == null ? 0 : body.length).as(exchange + ": no body is documented").isZero();
            return;
        }
        String type = headers.firstValue("Content-Type").orElse("none").replaceAll(";.*", "");
        assertThat(response.path("content").propertyNames()).as(exchange + ": media types").contains(type);
        String schema = at + "/content/" + type.replace("/", "~1") + "/schema";
        if (body != null && type.endsWith("json") && !root.at(schema).isMissingNode()) {
            assertThat(departures(schema, JSON.readTree(body)))
                    .as(exchange + "\n" + new String(body, java.nio.charset.StandardCharsets.UTF_8)).isEmpty();
        }
    }

    /** Holds a refusal to what is said of problems, whatever was asked. */
    void holdProblem(String exchange, int status, HttpHeaders headers, byte[] body, String method) {
        assertThat(headers.firstValue("Content-Type")).as(exchange).hasValue("application/problem+json");
        if ("HEAD".equals(method)) {
            return;
        }
        JsonNode problem = JSON.readTree(body);
        assertThat(departures("/components/schemas/Problem", problem)).as(exchange + "\n" + problem).isEmpty();
        assertThat(problem.path("status").intValue()).as(exchange).isEqualTo(status);
        String code = problem.path("code").stringValue();
        assertThat(problem.path("type").stringValue()).as(exchange).isEqualTo("/problems/" + code.replace('_', '-'));
        assertThat(root.at("/info/description").stringValue()).as(exchange).contains("| `" + code + "` | " + status + " |");
    }

    /** The pointer itself, or where its {@code $ref} leads. */
    private String resolved(String pointer) {
        JsonNode reference = root.at(pointer).path("$ref");
        return reference.isString() ? reference.stringValue().substring(1) : pointer;
    }

    private String template(String path) {
        String plain = path.replaceAll("\\?.*", "");
        List<String> found = new ArrayList<>();
        root.path("paths").propertyNames().forEach(template -> {
            String pattern = template.replaceAll("\\{[a-z]+}", "\\\\E[^/]+\\\\Q");
            if (Pattern.matches("\\Q" + pattern + "\\E", plain)) {
                found.add(template);
            }
        });
        return found.isEmpty() ? null : found.getFirst();
    }

    private static void close(JsonNode schema) {
        if (schema instanceof ObjectNode object) {
            if (object.has("properties") && !object.has("additionalProperties")) {
                object.put("additionalProperties", false);
            }
            object.forEach(Contract::close);
        } else if (schema instanceof ArrayNode array) {
            array.forEach(Contract::close);
        }
    }
}
