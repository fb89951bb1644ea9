package io.espalier.api;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;

import tools.jackson.databind.JsonNode;

/**
 * One operation of the contract, as far as a request has to know it.
 *
 * @param method {@code POST}
 * @param path with {@code {id}} in it
 * @param node the operation's own words
 * @param parameters of the path, the query and the headers, those said for the whole path too
 */
record Operation(String method, String path, JsonNode node, List<Parameter> parameters) {

    /** @param in {@code path}, {@code query} or {@code header} */
    record Parameter(String name, String in, String description, boolean required, JsonNode schema, JsonNode example) {}

    private static final Set<String> METHODS = Set.of("get", "put", "post", "delete", "patch");

    /** All of them, in the contract's order. */
    static List<Operation> all(JsonNode contract) {
        List<Operation> all = new ArrayList<>();
        contract.path("paths").properties().forEach(path -> path.getValue().properties().forEach(entry -> {
            if (METHODS.contains(entry.getKey())) {
                List<Parameter> parameters = new ArrayList<>();
                read(contract, path.getValue().path("parameters"), parameters);
                read(contract, entry.getValue().path("parameters"), parameters);
                all.add(new Operation(entry.getKey().toUpperCase(Locale.ROOT), path.getKey(), entry.getValue(), List.copyOf(parameters)));
            }
        }));
        return List.copyOf(all);
    }

    private static void read(JsonNode contract, JsonNode parameters, List<Parameter> into) {
        parameters.forEach(said -> {
            JsonNode parameter = Schemas.resolved(contract, said);
            into.add(new Parameter(parameter.path("name").stringValue(), parameter.path("in").stringValue(),
                    parameter.path("description").asString(""),
                    parameter.path("required").asBoolean(false), parameter.path("schema"), parameter.path("example")));
        });
    }

    /** {@code POST /v1/pruning-jobs} */
    String name() {
        return method + " " + path;
    }

    List<Parameter> in(String place) {
        return parameters.stream().filter(parameter -> parameter.in().equals(place)).toList();
    }

    /** Whether it reads a body. */
    boolean reads() {
        return node.has("requestBody");
    }

    /** Media types that it reads. */
    List<String> mediaTypes(JsonNode contract) {
        return List.copyOf(Schemas.resolved(contract, node.path("requestBody")).path("content").propertyNames());
    }

    /** What stands about a body of that type. */
    JsonNode body(JsonNode contract, String mediaType) {
        return Schemas.resolved(contract, node.path("requestBody")).path("content").path(mediaType);
    }

    /** Valid bodies that stand in the contract. */
    List<JsonNode> examples(JsonNode contract, String mediaType) {
        List<JsonNode> examples = new ArrayList<>();
        JsonNode body = body(contract, mediaType);
        if (body.has("example")) {
            examples.add(body.path("example"));
        }
        body.path("examples").forEach(example -> {
            JsonNode value = Schemas.resolved(contract, example).path("value");
            if (!value.isMissingNode()) {
                examples.add(value);
            }
        });
        return examples;
    }
}
