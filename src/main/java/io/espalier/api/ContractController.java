package io.espalier.api;

import java.util.Arrays;

import io.espalier.recipe.MethodName;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** What the contract says, and what it says of the methods. */
@RestController
final class ContractController {

    private final OpenApi contract;

    ContractController(OpenApi contract) {
        this.contract = contract;
    }

    @GetMapping(path = "/openapi.yaml", produces = "application/yaml")
    byte[] contract() {
        return contract.yaml();
    }

    @GetMapping(path = "/v1/methods", produces = MediaType.APPLICATION_JSON_VALUE)
    Page.Whole<Method> methods() {
        JsonNode choice = contract.component("MethodChoice");
        return new Page.Whole<>(Arrays.stream(MethodName.values()).map(name -> Method.of(name, choice)).toList());
    }

    @GetMapping(path = "/v1/methods/{name}", produces = MediaType.APPLICATION_JSON_VALUE)
    Method method(@PathVariable String name) {
        return Arrays.stream(MethodName.values()).filter(known -> known.json().equals(name)).findFirst()
                .map(known -> Method.of(known, contract.component("MethodChoice")))
                .orElseThrow(() -> new ProblemException(ProblemCode.NOT_FOUND, "there is no method " + Given.printable(name)
                        + "; GET /v1/methods lists them"));
    }

    @GetMapping(path = "/v1/architectures", produces = MediaType.APPLICATION_JSON_VALUE)
    Page.Whole<ArchitectureView> architectures() {
        return new Page.Whole<>(contract.component("Architecture").required("x-architectures").properties().stream()
                .map(each -> ArchitectureView.of(each.getKey(), each.getValue())).toList());
    }

    /** @param schema of an order's {@code method} with this name: the contract's, less the options that the criterion does not have */
    @JsonNaming(SnakeCaseStrategy.class)
    record Method(MethodName name, String title, String description, boolean needsTokens, String paper, String cost, ObjectNode schema) {

        static Method of(MethodName name, JsonNode choice) {
            JsonNode own = choice.required("x-methods").required(name.json());
            ObjectNode schema = JsonNodeFactory.instance.objectNode();
            schema.put("$schema", "https://json-schema.org/draft/2020-12/schema").put("type", "object").put("additionalProperties", false);
            schema.putArray("required").add("name");
            ObjectNode properties = schema.putObject("properties");
            properties.putObject("name").put("const", name.json());
            for (JsonNode option : own.required("options")) {
                String word = option.stringValue();
                ObjectNode property = (ObjectNode) choice.required("properties").required(word).deepCopy();
                if (own.has(word)) {
                    property.set("enum", own.get(word));
                }
                properties.set(word, property);
            }
            return new Method(name, own.required("title").stringValue(), own.required("description").stringValue(), name.needsTokens(),
                    own.required("paper").stringValue(null), own.required("cost").stringValue(), schema);
        }
    }
}
