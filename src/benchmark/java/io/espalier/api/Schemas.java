package io.espalier.api;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** What the contract's schemas describe: the places in a document, and documents that keep to them. */
final class Schemas {

    private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
    private static final int DEEP = 6;

    private Schemas() {}

    /** The node, or what its {@code $ref} leads to; what stands beside the {@code $ref} goes before. */
    static JsonNode resolved(JsonNode contract, JsonNode node) {
        if (!node.path("$ref").isString()) {
            return node;
        }
        JsonNode target = resolved(contract, contract.at(node.path("$ref").stringValue().substring(1)));
        if (node.size() == 1 || !(target instanceof ObjectNode object)) {
            return target;
        }
        ObjectNode merged = object.deepCopy();
        node.properties().stream().filter(entry -> !entry.getKey().equals("$ref"))
                .forEach(entry -> merged.set(entry.getKey(), entry.getValue()));
        return merged;
    }

    /** Every place that a document may have, as a JSON pointer, with its schema; the whole document first. Of an array it is the first element. */
    static Map<String, JsonNode> places(JsonNode contract, JsonNode schema) {
        Map<String, JsonNode> places = new LinkedHashMap<>();
        places(contract, schema, "", new HashSet<>(), places);
        return places;
    }

    private static void places(JsonNode contract, JsonNode said, String at, Set<String> within, Map<String, JsonNode> places) {
        String reference = said.path("$ref").asString("");
        if (!reference.isEmpty() && !within.add(reference)) {
            return;
        }
        JsonNode schema = resolved(contract, said);
        places.merge(at, schema, (first, again) -> first.has("type") || first.has("enum") ? first : again);
        schema.path("properties").properties().forEach(property -> places(contract, property.getValue(),
                at + "/" + property.getKey().replace("~", "~0").replace("/", "~1"), within, places));
        if (schema.has("items")) {
            places(contract, schema.path("items"), at + "/0", within, places);
        }
        for (String several : List.of("anyOf", "oneOf", "allOf")) {
            schema.path(several).forEach(one -> places(contract, one, at, within, places));
        }
        within.remove(reference);
    }

    /** A document that keeps to the schema, as far as types and bounds go. */
    static JsonNode sample(JsonNode contract, JsonNode said, Random random) {
        return sample(contract, said, random, 0);
    }

    private static JsonNode sample(JsonNode contract, JsonNode said, Random random, int depth) {
        JsonNode schema = resolved(contract, said);
        if (schema.has("const")) {
            return schema.path("const");
        }
        if (schema.has("enum")) {
            return schema.path("enum").get(random.nextInt(schema.path("enum").size()));
        }
        if (schema.has("example") && random.nextBoolean()) {
            return schema.path("example");
        }
        if (schema.path("examples").isArray() && random.nextBoolean()) {
            return schema.path("examples").get(random.nextInt(schema.path("examples").size()));
        }
        if (schema.has("default") && random.nextInt(4) == 0) {
            return schema.path("default");
        }
        for (String several : List.of("anyOf", "oneOf", "allOf")) {
            if (schema.has(several)) {
                return sample(contract, schema.path(several).get(random.nextInt(schema.path(several).size())), random, depth);
            }
        }
        return switch (type(schema, random)) {
            case "object" -> object(contract, schema, random, depth);
            case "array" -> array(contract, schema, random, depth);
            case "integer" -> NODES.numberNode(integer(schema, random));
            case "number" -> NODES.numberNode(number(schema, random));
            case "boolean" -> NODES.booleanNode(random.nextBoolean());
            case "null" -> NODES.nullNode();
            default -> NODES.stringNode(string(schema, random));
        };
    }

    private static String type(JsonNode schema, Random random) {
        JsonNode type = schema.path("type");
        if (type.isArray()) {
            return type.get(random.nextInt(type.size())).stringValue();
        }
        return type.asString(schema.has("properties") ? "object" : schema.has("items") ? "array" : "string");
    }

    private static ObjectNode object(JsonNode contract, JsonNode schema, Random random, int depth) {
        ObjectNode object = NODES.objectNode();
        List<String> required = new ArrayList<>();
        schema.path("required").forEach(name -> required.add(name.stringValue()));
        schema.path("properties").properties().forEach(property -> {
            if (required.contains(property.getKey()) || depth < DEEP && random.nextInt(3) == 0) {
                object.set(property.getKey(), sample(contract, property.getValue(), random, depth + 1));
            }
        });
        return object;
    }

    private static ArrayNode array(JsonNode contract, JsonNode schema, Random random, int depth) {
        ArrayNode array = NODES.arrayNode();
        int least = schema.path("minItems").asInt(0);
        int most = Math.min(schema.path("maxItems").asInt(3), Math.max(3, least));
        for (int n = least + random.nextInt(Math.max(1, most - least + 1)); n > 0; n--) {
            array.add(sample(contract, schema.path("items"), random, depth + 1));
        }
        return array;
    }

    private static long integer(JsonNode schema, Random random) {
        long least = schema.path("minimum").asLong(0);
        long most = Math.max(least, schema.path("maximum").asLong(least + 1000));
        long few = most - least < 0 ? 8 : Math.min(8, most - least);
        return random.nextBoolean() ? least + random.nextInt((int) few + 1) : most;
    }

    private static double number(JsonNode schema, Random random) {
        double least = schema.path("exclusiveMinimum").asDouble(schema.path("minimum").asDouble(0));
        double most = schema.path("exclusiveMaximum").asDouble(schema.path("maximum").asDouble(least + 1));
        return least + (most - least) * (1 + random.nextInt(98)) / 100;
    }

    private static String string(JsonNode schema, Random random) {
        return switch (schema.path("format").asString("")) {
            case "date-time" -> "2026-11-24T22:05:10Z";
            case "uri", "uri-reference" -> "https://hooks.example.com/" + random.nextInt(1000);
            case "uuid" -> new java.util.UUID(random.nextLong(), random.nextLong()).toString();
            default -> {
                String word = "x" + Integer.toString(random.nextInt(100_000), 36);
                yield word.substring(0, Math.min(word.length(), schema.path("maxLength").asInt(word.length())));
            }
        };
    }
}
