package io.espalier.api;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;

import com.networknt.schema.Error;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.dialect.Dialect;
import com.networknt.schema.dialect.Dialects;
import com.networknt.schema.keyword.NonValidationKeyword;
import org.springframework.core.io.ClassPathResource;
import org.springframework.stereotype.Component;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/** The contract as it was built in: served, read for its words, and asked whether a document has the shape it promises. */
@Component
final class OpenApi {

    private static final String LOCATION = "https://espalier.invalid/openapi.yaml";

    /** Under which {@link #digestible} puts the bounds; the contract itself does not use it. */
    static final String DEEPER = "allOf";

    private static final List<String> BOUNDS = List.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum");

    /** JSON Schema as OpenAPI 3.1 uses it; what else stands in the document is none of the validator's business. */
    static final Dialect DIALECT = Dialect.builder(Dialects.getDraft202012())
            .unknownKeywordFactory((keyword, context) -> new NonValidationKeyword(keyword)).build();

    private final byte[] yaml;
    private final JsonNode root;
    private final SchemaRegistry registry;

    OpenApi() {
        try {
            yaml = new ClassPathResource("contract/openapi.yaml").getContentAsByteArray();
        } catch (IOException e) {
            throw new UncheckedIOException(
                    "contract/openapi.yaml: not on the class path (expected: the build copies the top-level openapi.yaml)", e);
        }
        root = new YAMLMapper().readTree(yaml);
        registry = SchemaRegistry.withDialect(DIALECT,
                builder -> builder.schemas(location -> LOCATION.equals(location) ? digestible(root).toString() : null));
    }

    byte[] yaml() {
        return yaml.clone();
    }

    /** The contract's text as a tree. */
    JsonNode root() {
        return root;
    }

    /** The tree of one component schema. */
    JsonNode component(String name) {
        return root.required("components").required("schemas").required(name);
    }

    /** Everything in which the document departs from the component schema; empty when nothing does. */
    List<Error> departures(JsonNode document, String component) {
        Schema schema = registry.getSchema(SchemaLocation.of(LOCATION + "#/components/schemas/" + component));
        return schema.validate(document);
    }

    /**
     * A copy in which the bounds of integers, and of what may be a number or {@code null}, stand one level deeper. Why: json-schema-validator 3.0.0
     * cannot read a bound beside a list of types, and beside {@code integer} it takes every number for a long and falls over those that are none.
     */
    static JsonNode digestible(JsonNode document) {
        JsonNode copy = document.deepCopy();
        lowerBounds(copy);
        return copy;
    }

    private static void lowerBounds(JsonNode node) {
        if (node instanceof ObjectNode schema && (schema.path("type").isArray() || "integer".equals(schema.path("type").asString("")))) {
            ObjectNode bounds = schema.objectNode();
            for (String keyword : BOUNDS) {
                if (schema.has(keyword)) {
                    bounds.set(keyword, schema.remove(keyword));
                }
            }
            if (!bounds.isEmpty()) {
                schema.putArray(DEEPER).add(bounds);
            }
        }
        node.forEach(OpenApi::lowerBounds);
    }
}
