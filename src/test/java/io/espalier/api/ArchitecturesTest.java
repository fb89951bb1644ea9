package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;

import io.espalier.architecture.Architecture;
import io.espalier.recipe.MethodName;
import org.junit.jupiter.api.Test;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.JsonNode;

/** What is said of architectures and methods, against what there is. */
@ApiTest
class ArchitecturesTest {

    private final Api api;

    ArchitecturesTest(@LocalServerPort int port) {
        api = new Api(port);
    }

    @Test
    void theArchitecturesListedAreThoseImplemented() {
        JsonNode items = api.get("/v1/architectures").json().path("items");
        assertThat(items).extracting(each -> each.path("model_type").stringValue())
                .containsExactlyElementsOf(Architecture.all().sequencedKeySet());
        items.forEach(each -> {
            Architecture implemented = Architecture.all().get(each.path("model_type").stringValue());
            assertThat(each.path("prunable").booleanValue()).isEqualTo(implemented.expertWidthKey() != null);
            assertThat(each.path("layouts")).hasSize(implemented.expertWidthKey() == null ? 0 : 4);
        });
        assertThat(items.get(0).at("/layouts/2/layout").stringValue()).isEqualTo("uniform");
        assertThat(items.get(0).at("/layouts/2/engines/0/loads").stringValue()).isEqualTo("stock");
        assertThat(items.get(0).at("/layouts/0/engines/2/loads").stringValue()).isEqualTo("no");
    }

    @Test
    void oneMethodIsAsInTheList() {
        api.get("/v1/methods").json().path("items")
                .forEach(each -> assertThat(api.get("/v1/methods/" + each.path("name").stringValue()).json()).isEqualTo(each));
        assertThat(api.get("/v1/methods/sorcery").status()).isEqualTo(404);
    }

    /** Every value at a bound is taken, every value beside one is not, and every default is what is filled in. */
    @Test
    void theSchemaOfAMethodIsWhatAnOrderTakes() {
        for (MethodName name : MethodName.values()) {
            JsonNode schema = api.get("/v1/methods/" + name.json()).json().path("schema");
            assertThat(schema.path("$schema").stringValue()).isEqualTo("https://json-schema.org/draft/2020-12/schema");
            JsonNode plain = ordered(name, "").json().path("recipe").path("method");
            schema.path("properties").properties().forEach(property -> {
                if (!property.getKey().equals("name")) {
                    JsonNode option = property.getValue();
                    assertThat(option.path("description").isString() && option.has("type")).as(name + " " + property).isTrue();
                    assertThat(plain.path(property.getKey()).asString()).isEqualTo(option.path("default").asString());
                    for (String value : within(option)) {
                        assertThat(ordered(name, ", \"" + property.getKey() + "\": " + value).status()).as(name + " " + value)
                                .isEqualTo(200);
                    }
                    for (String value : outside(option)) {
                        Api.Answer refused = ordered(name, ", \"" + property.getKey() + "\": " + value);
                        assertThat(refused.violations()).as(name + " " + value).containsOnlyKeys("method." + property.getKey());
                    }
                }
            });
        }
    }

    private Api.Answer ordered(MethodName name, String options) {
        String order = Posted.SHORTEST.replaceFirst(",", ", \"method\": {\"name\": \"" + name.json() + "\"" + options + "},");
        return api.send("POST", "/v1/pruning-jobs?dry_run=true", order.getBytes(java.nio.charset.StandardCharsets.UTF_8), "Content-Type",
                "application/json");
    }

    private static List<String> within(JsonNode option) {
        List<String> values = new ArrayList<>();
        option.path("enum").forEach(value -> values.add(value.toString()));
        option.path("minimum").asDecimalOpt().ifPresent(bound -> values.add(bound.toPlainString()));
        option.path("maximum").asDecimalOpt().ifPresent(bound -> values.add(bound.toPlainString()));
        assertThat(values).isNotEmpty();
        return values;
    }

    private static List<String> outside(JsonNode option) {
        List<String> values = new ArrayList<>(List.of("[]"));
        option.path("minimum").asDecimalOpt().ifPresent(bound -> values.add(bound.subtract(BigDecimal.ONE).toPlainString()));
        option.path("maximum").asDecimalOpt().ifPresent(bound -> values.add(bound.add(BigDecimal.ONE).toPlainString()));
        if (option.has("enum")) {
            values.add("\"sorcery\"");
        }
        return values;
    }
}
