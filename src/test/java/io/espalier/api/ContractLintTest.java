package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiConsumer;

import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** The contract is written as a whole: what is said of one operation is said of all, in the same words. */
class ContractLintTest {

    private static final JsonNode ROOT = Contract.IT.root();
    private static final List<Operation> OPERATIONS = Operation.all(ROOT);
    private static final String SCHEMAS = "/components/schemas/";

    @Test
    void every_operation_has_a_name_of_its_own_one_known_tag_and_a_summary() {
        Set<String> tags = new TreeSet<>();
        ROOT.path("tags").forEach(tag -> tags.add(tag.path("name").stringValue()));
        Set<String> names = new HashSet<>();

        holds(OPERATIONS, (operation, wrong) -> {
            JsonNode node = operation.node();
            String name = node.path("operationId").asString("");
            check(name.matches("[a-z]+([A-Z][a-z]+)*") && names.add(name), "operationId " + name, wrong);
            check(node.path("summary").asString("").matches("[A-Z].*[.?]"), "summary", wrong);
            check(node.path("tags").size() == 1 && tags.contains(node.path("tags").path(0).asString("")), "tags", wrong);
        });
    }

    @Test
    void every_operation_names_every_way_to_go_wrong() {
        holds(OPERATIONS, (operation, wrong) -> {
            Set<String> named = new TreeSet<>(operation.node().path("responses").propertyNames());
            Set<String> due = new TreeSet<>(Set.of("400", "406", "default"));
            // why not of a PUT that makes: what the address names need not be there
            if (operation.path().contains("{") && !(operation.method().equals("PUT") && named.contains("201"))) {
                due.add("404");
            }
            if (operation.reads()) {
                due.addAll(Set.of("413", "415"));
                // why: what is wrong with a key's fields is answered as what is wrong with parameters
                boolean refusedAsRequest = operation.node().at("/responses/400/description").asString("").contains("`violations`");
                operation.mediaTypes(ROOT).stream().filter(type -> type.endsWith("json") && !refusedAsRequest)
                        .forEach(type -> due.add("422"));
            }
            check(named.containsAll(due), "responses " + named + ", expected with " + due, wrong);
            check(named.stream().anyMatch(status -> status.startsWith("2")), "no response of success", wrong);
            operation.node().path("responses").properties().forEach(response -> {
                JsonNode said = Schemas.resolved(ROOT, response.getValue());
                check(said.path("description").isString(), response.getKey() + " without a description", wrong);
                boolean refused = response.getKey().matches("[45]..|default");
                check(!refused || said.path("content").has("application/problem+json"), response.getKey() + " is no problem", wrong);
            });
            check(!operation.method().equals("DELETE") || named.contains("204"), "DELETE without 204", wrong);
            check(!named.contains("201") || Schemas.resolved(ROOT, operation.node().at("/responses/201")).path("headers").has("Location"),
                    "201 without Location", wrong);
        });
    }

    @Test
    void every_json_body_has_an_example_and_so_has_every_kind_of_json_answer() {
        Set<String> shown = new HashSet<>();
        OPERATIONS.forEach(operation -> answers(operation).forEach(answer -> {
            if (answer.has("example") || answer.path("examples").size() > 0) {
                shown.add(answer.path("schema").toString());
            }
        }));

        holds(OPERATIONS, (operation, wrong) -> {
            operation.mediaTypes(ROOT).stream().filter(type -> type.endsWith("json"))
                    .forEach(type -> check(!operation.examples(ROOT, type).isEmpty(), "request without an example", wrong));
            answers(operation).forEach(answer -> check(!answer.has("schema") || shown.contains(answer.path("schema").toString()),
                    "nowhere an example of " + answer.path("schema"), wrong));
        });
    }

    /** What stands about each JSON answer of success. */
    private static List<JsonNode> answers(Operation operation) {
        return operation.node().path("responses").properties().stream().filter(response -> response.getKey().startsWith("2"))
                .map(response -> Schemas.resolved(ROOT, response.getValue()).path("content").path("application/json")).toList();
    }

    @Test
    void every_parameter_says_what_it_is_for_and_how_far_it_goes() {
        holds(OPERATIONS, (operation, wrong) -> operation.parameters().forEach(parameter -> {
            check(!parameter.description().isEmpty(), parameter.name() + " without a description", wrong);
            bounded(parameter.schema(), parameter.name(), wrong);
            check(parameter.in().equals("header") || parameter.name().matches("[a-z]+(_[a-z]+)*"), parameter.name() + ": not snake_case",
                    wrong);
        }));
    }

    @Test
    void every_field_of_a_request_is_bounded() {
        holds(OPERATIONS.stream().filter(Operation::reads).toList(),
                (operation, wrong) -> operation.mediaTypes(ROOT).stream().filter(type -> type.endsWith("json")).forEach(type -> Schemas
                        .places(ROOT, operation.body(ROOT, type).path("schema")).forEach((at, schema) -> bounded(schema, at, wrong))));
    }

    @Test
    void every_field_is_described_and_named_like_the_others() {
        List<String> wrong = new ArrayList<>();
        ROOT.at("/components/schemas").properties().forEach(schema -> {
            check(schema.getKey().matches("([A-Z][a-z]+)+"), schema.getKey() + ": not PascalCase", wrong);
            fields(schema.getValue(), schema.getKey(), wrong);
        });
        assertThat(wrong).isEmpty();
    }

    private static void fields(JsonNode schema, String at, List<String> wrong) {
        schema.path("properties").properties().forEach(property -> {
            String place = at + "." + property.getKey();
            check(property.getKey().matches("[a-z][a-z0-9]*(_[a-z0-9]+)*"), place + ": not snake_case", wrong);
            check(Schemas.resolved(ROOT, property.getValue()).path("description").isString() || describedByItsKind(property.getValue()),
                    place + " without a description", wrong);
        });
        schema.properties().stream().filter(entry -> !entry.getKey().equals("default") && !entry.getKey().startsWith("x-"))
                .forEach(entry -> {
                    if (entry.getKey().equals("properties")) {
                        entry.getValue().properties().forEach(property -> fields(property.getValue(), at + "." + property.getKey(), wrong));
                    } else if (entry.getValue().isContainer()) {
                        entry.getValue().forEach(part -> fields(part, at, wrong));
                        fields(entry.getValue(), at, wrong);
                    }
                });
    }

    /** One of several, of which one has a description, or {@code null}. */
    private static boolean describedByItsKind(JsonNode schema) {
        return schema.path("anyOf").valueStream().anyMatch(kind -> Schemas.resolved(ROOT, kind).path("description").isString());
    }

    @Test
    void lists_are_all_read_alike() {
        holds(OPERATIONS.stream().filter(operation -> operation.method().equals("GET")).toList(), (operation, wrong) -> {
            JsonNode answer = Schemas.resolved(ROOT, operation.node().at("/responses/200/content/application~1json/schema"));
            Set<String> asked = new TreeSet<>(operation.in("query").stream().map(Operation.Parameter::name).toList());
            JsonNode fields = answer.path("properties");
            boolean paged = fields.has("items") && fields.has("next_cursor");
            boolean growing = fields.has("items") && fields.has("next_after");
            check(paged == asked.contains("cursor"), "cursor and next_cursor go together", wrong);
            check(growing == asked.contains("after"), "after and next_after go together", wrong);
            check((paged || growing) == asked.contains("limit"), "limit is for what comes in pages", wrong);
            check(!fields.has("items") || fields.path("items").path("type").asString("").equals("array"), "items is no array", wrong);
        });
    }

    @Test
    void everything_that_is_defined_is_used() {
        Set<String> used = new HashSet<>();
        references(ROOT, used);
        List<String> unused = new ArrayList<>();
        ROOT.path("components").properties().stream().filter(kind -> !kind.getKey().equals("securitySchemes"))
                .forEach(kind -> kind.getValue().propertyNames().forEach(name -> {
                    String at = "#/components/" + kind.getKey() + "/" + name;
                    if (used.stream().noneMatch(reference -> reference.equals(at) || reference.startsWith(at + "/"))) {
                        unused.add(at);
                    }
                }));

        assertThat(unused).isEmpty();
    }

    @Test
    void every_example_keeps_to_its_schema() {
        List<String> wrong = new ArrayList<>();
        int[] checked = {0};
        examples(ROOT.path("paths"), "/paths", wrong, checked);
        examples(ROOT.at("/components/parameters"), "/components/parameters", wrong, checked);
        examples(ROOT.at("/components/responses"), "/components/responses", wrong, checked);

        assertThat(wrong).isEmpty();
        assertThat(checked[0]).isGreaterThan(30);
    }

    private static void examples(JsonNode node, String at, List<String> wrong, int[] checked) {
        if (node.has("schema") && node.path("schema").isObject()) {
            List<JsonNode> examples = new ArrayList<>();
            if (node.has("example")) {
                examples.add(node.path("example"));
            }
            node.path("examples").forEach(example -> examples.add(Schemas.resolved(ROOT, example).path("value")));
            examples.forEach(example -> {
                checked[0]++;
                wrong.addAll(Contract.IT.departures(at + "/schema", example).stream().map(departure -> at + " " + departure).toList());
            });
        }
        node.properties().stream().filter(entry -> !Set.of("schema", "example", "examples").contains(entry.getKey()))
                .forEach(entry -> examples(entry.getValue(), at + "/" + entry.getKey().replace("~", "~0").replace("/", "~1"), wrong,
                        checked));
    }

    /** Whether there is an end to what may be sent. */
    private static void bounded(JsonNode said, String at, List<String> wrong) {
        JsonNode schema = Schemas.resolved(ROOT, said);
        if (schema.has("enum") || schema.has("const") || schema.has("x-bounded-by")) {
            return;
        }
        List<String> types = schema.path("type").isArray()
                ? schema.path("type").valueStream().map(JsonNode::stringValue).toList()
                : List.of(schema.path("type").asString(""));
        for (Map.Entry<String, List<String>> due : Map.of("string", List.of("maxLength", "pattern"), "array", List.of("maxItems"),
                "integer", List.of("maximum", "exclusiveMaximum"), "number", List.of("maximum", "exclusiveMaximum")).entrySet()) {
            if (types.contains(due.getKey())) {
                check(due.getValue().stream().anyMatch(schema::has), at + ": a " + due.getKey() + " without " + due.getValue(), wrong);
            }
        }
    }

    private static void holds(List<Operation> operations, BiConsumer<Operation, List<String>> rule) {
        assertThat(operations).isNotEmpty();
        List<String> all = new ArrayList<>();
        operations.forEach(operation -> {
            List<String> wrong = new ArrayList<>();
            rule.accept(operation, wrong);
            wrong.forEach(one -> all.add(operation.name() + ": " + one));
        });
        assertThat(all).isEmpty();
    }

    private static void check(boolean right, String otherwise, List<String> wrong) {
        if (!right) {
            wrong.add(otherwise);
        }
    }

    private static void references(JsonNode node, Set<String> used) {
        if (node.path("$ref").isString()) {
            used.add(node.path("$ref").stringValue());
        }
        node.forEach(child -> references(child, used));
    }
}
