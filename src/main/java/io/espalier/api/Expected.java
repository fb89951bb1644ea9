package io.espalier.api;

import java.util.ArrayList;
import java.util.List;

import tools.jackson.databind.JsonNode;

/** A schema said in a phrase: {@code a number more than 0 and less than 1}. */
final class Expected {

    private static final String NO_CONTROLS = "^[^\\x00-\\x1F\\x7F]*$";

    private Expected() {}

    static String of(JsonNode schema, OpenApi contract) {
        JsonNode reference = schema.path("$ref");
        if (reference.isString()) {
            String ref = reference.stringValue();
            return of(contract.component(ref.substring(ref.lastIndexOf('/') + 1)), contract);
        }
        if (schema.has("enum")) {
            return "one of " + String.join(", ", words(schema.path("enum")));
        }
        List<String> types = schema.path("type").isArray() ? words(schema.path("type")) : List.of(schema.path("type").asString("value"));
        StringBuilder phrase = new StringBuilder(String.join(" or ", types.stream().map(Expected::withArticle).toList()));
        if (schema.has("exclusiveMinimum") && schema.has("exclusiveMaximum")) {
            phrase.append(" more than ").append(schema.get("exclusiveMinimum").asString()).append(" and less than ")
                    .append(schema.get("exclusiveMaximum").asString());
        } else if (schema.has("minimum") && schema.has("maximum")) {
            phrase.append(" from ").append(schema.get("minimum").asString()).append(" to ").append(schema.get("maximum").asString());
        }
        if (schema.has("maxItems")) {
            phrase.append(" of ").append(schema.has("minItems") ? schema.get("minItems").asString() + " to " : "at most ")
                    .append(schema.get("maxItems").asString()).append(" entries");
        }
        if (schema.has("maxLength")) {
            phrase.append(" of ").append(schema.path("minLength").asString("0")).append(" to ").append(schema.get("maxLength").asString())
                    .append(" characters");
        } else if (schema.has("minLength")) {
            phrase.append(", not empty");
        }
        return phrase.append(form(schema.path("pattern").asString(""))).toString();
    }

    private static String form(String pattern) {
        return pattern.isEmpty()
                ? ""
                : pattern.equals(NO_CONTROLS) ? " without control characters" : " of the form " + pattern.replaceAll("^\\^|\\$$", "");
    }

    /** All but {@code null}, which is a way to say absent and nobody has to be told. */
    private static List<String> words(JsonNode array) {
        List<String> words = new ArrayList<>();
        array.forEach(word -> {
            if (!word.isNull() && !"null".equals(word.asString())) {
                words.add(word.asString());
            }
        });
        return words;
    }

    private static String withArticle(String type) {
        return ("aeiou".indexOf(type.charAt(0)) < 0 ? "a " : "an ") + type;
    }
}
