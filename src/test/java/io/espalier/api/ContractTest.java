package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

import io.espalier.catalog.Kind;
import io.espalier.catalog.ModelState;
import io.espalier.job.JobMetric;
import io.espalier.job.JobState;
import io.espalier.recipe.Alignment;
import io.espalier.recipe.Budget;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Layout;
import io.espalier.recipe.Loadability;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PruningRecipe;
import io.espalier.security.Role;
import io.espalier.security.SecuritySettings;
import io.espalier.webhook.Delivery;
import io.espalier.webhook.EventType;
import io.espalier.webhook.Webhook;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The top-level {@code openapi.yaml} and the running service say the same. */
@ApiTest
class ContractTest {

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final Api api;
    private final RequestMappingHandlerMapping mappings;

    ContractTest(@LocalServerPort int port, RequestMappingHandlerMapping requestMappingHandlerMapping) {
        api = new Api(port);
        mappings = requestMappingHandlerMapping;
    }

    @Test
    void it_is_served_as_it_is_committed() throws IOException {
        Api.Answer answer = api.get("/openapi.yaml");

        assertThat(answer.body()).isEqualTo(Files.readAllBytes(Contract.FILE));
        assertThat(answer.header("Content-Type")).isEqualTo("application/yaml");
    }

    @Test
    void it_names_every_operation_of_the_service_and_no_other() {
        Set<String> served = new TreeSet<>();
        mappings.getHandlerMethods().forEach((mapping, method) -> {
            if (method.getBeanType().getPackageName().equals("io.espalier.api") && method.getBeanType() != ErrorPages.class) {
                mapping.getMethodsCondition().getMethods()
                        .forEach(verb -> mapping.getPatternValues().forEach(path -> served.add(verb + " " + path)));
            }
        });

        assertThat(served).isEqualTo(Contract.IT.operations());
    }

    @Test
    void every_operation_has_a_line_in_the_table_of_permissions_and_says_what_a_stranger_gets() {
        assertThat(Permissions.operations()).isEqualTo(Contract.IT.operations());
        for (String operation : Contract.IT.operations()) {
            JsonNode said = Contract.IT.root().path("paths").path(operation.replaceAll(".* ", ""))
                    .path(operation.replaceAll(" .*", "").toLowerCase(java.util.Locale.ROOT));
            if (Permissions.isPublic(operation)) {
                assertThat(said.path("security").isArray() && said.path("security").isEmpty()).as(operation + ": security: []").isTrue();
            } else {
                assertThat(said.path("responses").propertyNames()).as(operation).contains("400", "401", "403", "429");
                assertThat(said.has("security")).as(operation + " is as secure as all").isFalse();
            }
        }
        assertThat(Contract.IT.root().at("/security/0/bearer").isArray()).isTrue();
        assertThat(Contract.IT.root().at("/components/securitySchemes/bearer/scheme").stringValue()).isEqualTo("bearer");
    }

    @Test
    void every_reference_in_it_leads_somewhere() {
        List<String> references = new ArrayList<>();
        collect(Contract.IT.root(), references);

        assertThat(references).isNotEmpty()
                .allSatisfy(reference -> assertThat(Contract.IT.root().at(reference.substring(1)).isMissingNode())
                        .as(reference).isFalse());
    }

    static List<List<Object>> enums() {
        return List.of(List.of("MethodName", MethodName.values()), List.of("Layout", Layout.values()), List.of("Phase", Phase.values()),
                List.of("ErrorCode", ErrorCode.values()), List.of("JobState", JobState.values()), List.of("Kind", Kind.values()),
                List.of("JobMetric", JobMetric.values()),
                List.of("ModelState", ModelState.values()),
                List.of("Role", Role.values()),
                List.of("SignInOffer/properties/mode", SecuritySettings.Mode.values()),
                List.of("MethodChoice/properties/unrouted", MethodChoice.Unrouted.values()),
                List.of("MethodChoice/properties/scope", MethodChoice.Scope.values()),
                List.of("Loadability/properties/loads", Loadability.Loads.values()),
                List.of("Budget/properties/ratio_of", Budget.RatioOf.values()),
                List.of("Achieved/properties/ratio_of", Budget.RatioOf.values()),
                List.of("WebhookDelivery/properties/event", EventType.values()), List.of("WebhookDeliveryState", Delivery.State.values()),
                List.of("Webhook/properties/disabled_reason", Webhook.Disabled.values()));
    }

    @ParameterizedTest
    @MethodSource("enums")
    void its_words_are_the_words_of_the_code(List<Object> pair) {
        List<String> words = Arrays.stream((Object[]) pair.getLast()).map(JSON::valueToTree).map(word -> ((JsonNode) word).stringValue())
                .toList();
        List<String> documented = new ArrayList<>();
        Contract.IT.root().at("/components/schemas/" + pair.getFirst() + "/enum").forEach(word -> {
            if (!word.isNull()) {
                documented.add(word.stringValue());
            }
        });

        assertThat(documented).containsExactlyInAnyOrderElementsOf(words);
    }

    @Test
    void every_code_of_a_problem_or_a_failed_job_stands_in_it_with_what_to_do() {
        String description = Contract.IT.root().at("/info/description").stringValue();

        for (ProblemCode code : ProblemCode.values()) {
            assertThat(description).contains("| `" + code.json() + "` | " + code.status().value() + " | ");
        }
        assertThat(Contract.IT.root().at("/components/schemas/ProblemCode/enum")).extracting(JsonNode::stringValue)
                .containsExactlyInAnyOrderElementsOf(Arrays.stream(ProblemCode.values()).map(ProblemCode::json).toList());
        for (ErrorCode code : ErrorCode.values()) {
            assertThat(description).contains("| `" + JSON.valueToTree(code).stringValue() + "` | ");
        }
    }

    @Test
    void its_alignments_are_those_that_a_recipe_takes() {
        List<Object> documented = new ArrayList<>();
        Contract.IT.root().at("/components/schemas/Alignment/enum")
                .forEach(value -> documented.add(value.isString() ? value.stringValue() : (Object) value.intValue()));
        List<Object> taken = new ArrayList<>(List.of(Alignment.AUTO.json()));
        for (int width = 1; width <= PruningRecipe.MAX_ALIGNMENT; width *= 2) {
            taken.add(width);
        }

        assertThat(documented).isEqualTo(taken);
    }

    @Test
    void its_defaults_are_those_that_are_filled_in() {
        JsonNode recipe = api.order(Posted.SHORTEST.replaceFirst("\\{", "{\"evaluation\": {\"corpus\": {\"text\": \"x\"}}, ")).json()
                .path("recipe");

        for (String component : List.of("PruningRecipe:", "Calibration:/calibration", "Budget:/budget", "Evaluation:/evaluation",
                "MethodChoice:/method")) {
            JsonNode object = recipe.at(component.replaceAll(".*:", ""));
            Contract.IT.root().at("/components/schemas/" + component.replaceAll(":.*", "") + "/properties").properties()
                    .forEach(property -> {
                        JsonNode fallback = property.getValue().path("default");
                        boolean fits = !(component.startsWith("MethodChoice") && property.getKey().equals("seed"));
                        if (!fallback.isMissingNode() && fits) {
                            assertThat(object.path(property.getKey()).asString()).as(property.getKey()).isEqualTo(fallback.asString());
                        }
                    });
        }
        assertThat(recipe.path("layout")).isEqualTo(Contract.IT.root().at("/components/schemas/Layout/default"));
    }

    @Test
    void its_example_orders_are_accepted() {
        Contract.IT.root().at("/paths/~1v1~1pruning-jobs/post/requestBody/content/application~1json/examples").forEach(example -> {
            Api.Answer answer = api.order(example.path("value").toString());
            assertThat(answer.status()).as(answer.text()).isEqualTo(202);
        });
    }

    @Test
    void the_methods_are_listed_with_exactly_the_options_that_a_recipe_takes() {
        JsonNode methods = api.get("/v1/methods").json().path("items");

        assertThat(methods).extracting(method -> method.path("name").stringValue())
                .containsExactlyElementsOf(Arrays.stream(MethodName.values()).map(MethodName::json).toList());
        for (JsonNode method : methods) {
            String name = method.path("name").stringValue();
            assertThat(method.path("needs_tokens").booleanValue()).isEqualTo(MethodName.valueOf(name.toUpperCase()).needsTokens());
            for (String option : List.of("\"unrouted\": \"keep\"", "\"scope\": \"global\"", "\"scope\": \"expert\"",
                    "\"token_count_exponent\": 1",
                    "\"seed\": 1")) {
                String choice = "{\"name\": \"" + name + "\", " + option + "}";
                boolean taken = api.order(Posted.SHORTEST.replaceFirst(",", ", \"method\": " + choice + ",")).status() == 202;
                JsonNode value = JSON.readTree(choice);
                String word = option.replaceAll("\"(\\w+)\".*", "$1");
                JsonNode property = method.at("/schema/properties/" + word);
                boolean promised = !property.isMissingNode()
                        && (!property.has("enum") || property.path("enum").toString().contains(value.path(word).toString()));
                assertThat(taken).as(choice + " against " + method.path("schema")).isEqualTo(promised);
            }
        }
    }

    @Test
    void the_bundled_model_and_texts_are_listed_and_found_by_name() {
        for (String room : List.of("/v1/models", "/v1/corpora")) {
            JsonNode items = api.get(room).json().path("items");
            assertThat(items).isNotEmpty();
            items.forEach(item -> item.properties().forEach(field -> assertThat(
                    api.get(room + "/" + item.path("name").stringValue()).json().path(field.getKey())).isEqualTo(field.getValue())));
        }
    }

    private static void collect(JsonNode node, List<String> references) {
        if (node.path("$ref").isString()) {
            references.add(node.path("$ref").stringValue());
        }
        node.forEach(child -> collect(child, references));
    }
}
