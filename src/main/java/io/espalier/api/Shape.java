package io.espalier.api;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import com.networknt.schema.Error;
import com.networknt.schema.path.NodePath;
import io.espalier.recipe.Violation;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Holds a document to a component schema of the contract, and takes out of it whatever departs, so that the rest can still be judged: an order with a
 * wrong ratio and a wrong path learns of both.
 */
final class Shape {

    private final OpenApi contract;
    private final String component;
    private final Map<String, Violation> found = new LinkedHashMap<>();

    private Shape(OpenApi contract, String component) {
        this.contract = contract;
        this.component = component;
    }

    /** All departures of the document, one a field, in the order they were met; the document is left without the fields they name. */
    static List<Violation> trim(JsonNode document, OpenApi contract, String component) {
        Shape shape = new Shape(contract, component);
        shape.refuseUnfit(document, "");
        List<Error> departures = contract.departures(document, component);
        departures.forEach(e -> shape.add(document, e));
        departures.forEach(e -> take(document, e));
        return List.copyOf(shape.found.values());
    }

    /** Numbers without measure and text that no database keeps: they have the right type, so no schema sees them. */
    private void refuseUnfit(JsonNode node, String at) {
        List<String> refused = new ArrayList<>();
        if (node instanceof ObjectNode object) {
            object.properties().forEach(field -> {
                String name = at.isEmpty() ? field.getKey() : at + "." + field.getKey();
                JsonNode value = field.getValue();
                if (value.isBigDecimal() && Given.beyondMeasure(value.decimalValue())) {
                    found.putIfAbsent(Given.printable(name), new Violation(Given.printable(name), Given.of(value, false),
                            "a number with at most " + Given.MAX_SCALE + " digits after the point"));
                    refused.add(field.getKey());
                } else if (value.isBigDecimal() && value.decimalValue().stripTrailingZeros().scale() <= 0) {
                    // why: to a schema 8.0 and 1e3 are integers, but the validator asks such a node for a long and falls over one that is longer
                    field.setValue(object.numberNode(value.decimalValue().toBigIntegerExact()));
                } else if (value.isString() && !Given.storable(value.stringValue())) {
                    found.putIfAbsent(Given.printable(name), new Violation(Given.printable(name), Given.of(value, true),
                            "Unicode text without NUL and without half of a surrogate pair"));
                    refused.add(field.getKey());
                } else {
                    refuseUnfit(value, name);
                }
            });
            object.remove(refused);
        } else if (node instanceof ArrayNode array) {
            for (int i = 0; i < array.size(); i++) {
                refuseUnfit(array.get(i), at + "[" + i + "]");
            }
        }
    }

    private void add(JsonNode document, Error e) {
        String at = dotted(e.getInstanceLocation());
        JsonNode given = e.getInstanceNode();
        JsonNode schema = schemaOf(e);
        Violation violation = switch (e.getKeyword()) {
            case "required" ->
                Violation.missing(join(at, e.getProperty()), Expected.of(schema.path("properties").path(e.getProperty()), contract));
            case "additionalProperties" ->
                new Violation(Given.printable(join(at, e.getProperty())), Given.of(given.path(e.getProperty()), true),
                        "absent; the fields here are " + String.join(", ", schema.path("properties").propertyNames()));
            default ->
                new Violation(at, Given.of(given, "type".equals(e.getKeyword()) || amongNumbers(schema)), Expected.of(schema, contract));
        };
        found.putIfAbsent(violation.field(), violation);
    }

    /** Whether a text could be taken for the number that was meant. */
    private static boolean amongNumbers(JsonNode schema) {
        return schema.path("enum").valueStream().anyMatch(JsonNode::isNumber);
    }

    /** Takes the offending value out of the document. */
    private static void take(JsonNode document, Error e) {
        NodePath path = e.getInstanceLocation();
        JsonNode holder = document;
        String name = e.getProperty();
        if (!"additionalProperties".equals(e.getKeyword())) {
            if ("required".equals(e.getKeyword()) || path.getNameCount() == 0) {
                return;
            }
            name = path.getName(path.getNameCount() - 1);
            path = path.getParent();
        }
        for (int i = 0; i < path.getNameCount(); i++) {
            holder = holder.isArray() ? holder.path(Integer.parseInt(path.getName(i))) : holder.path(path.getName(i));
        }
        if (holder instanceof ObjectNode object) {
            object.remove(name);
        } else if (holder instanceof ArrayNode array) {
            // why not removed: those after it would no longer be where the other departures say
            array.setNull(Integer.parseInt(name));
        }
    }

    /** The schema object whose keyword was broken. */
    private JsonNode schemaOf(Error e) {
        NodePath fragment = e.getSchemaLocation().getFragment();
        JsonNode schema = contract.root();
        for (int i = 0; i < fragment.getNameCount() - 1 && !OpenApi.DEEPER.equals(fragment.getName(i)); i++) {
            schema = schema.path(fragment.getName(i));
        }
        return schema.isMissingNode() ? contract.component(component) : schema;
    }

    private static String dotted(NodePath path) {
        StringBuilder dotted = new StringBuilder();
        for (int i = 0; i < path.getNameCount(); i++) {
            dotted.append(i == 0 ? "" : ".").append(path.getName(i));
        }
        return dotted.toString();
    }

    private static String join(String at, String property) {
        return at.isEmpty() ? property : at + "." + property;
    }
}
