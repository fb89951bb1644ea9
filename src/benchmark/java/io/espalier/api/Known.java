package io.espalier.api;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import tools.jackson.databind.JsonNode;

/** What exists behind the addresses of the contract, as answers tell: by the addresses in them, and by the ids and names in lists. */
final class Known {

    private static final int KEPT = 100;
    private static final Pattern PARAMETER = Pattern.compile("\\{([^}]+)}");

    /** By an address up to its last parameter: values of its parameters, in order. */
    private final Map<String, List<List<String>>> values = new LinkedHashMap<>();
    private final Map<String, Pattern> patterns = new LinkedHashMap<>();

    Known(List<Operation> operations) {
        operations.stream().map(operation -> key(operation.path())).filter(key -> !key.isEmpty()).distinct().forEach(key -> {
            values.put(key, new ArrayList<>());
            patterns.put(key, Pattern.compile(
                    PARAMETER.matcher(key).replaceAll(Matcher.quoteReplacement("([^/?]+)")) + "(?:[/?].*)?"));
        });
    }

    private static String key(String path) {
        return path.substring(0, path.lastIndexOf('}') + 1);
    }

    /** Takes down what an answer of the operation tells. */
    void learn(String path, JsonNode answer) {
        answer.path("items").forEach(item -> item(path, item));
        item(path, answer);
        addresses(answer);
    }

    /** What has an id or a name, and what it has of such itself. */
    private void item(String path, JsonNode item) {
        for (String name : List.of("id", "name")) {
            if (item.path(name).isString()) {
                String own = path + "/" + item.path(name).stringValue();
                address(own);
                item.properties().forEach(field -> field.getValue().forEach(part -> {
                    if (part.path("name").isString()) {
                        address(own + "/" + field.getKey() + "/" + part.path("name").stringValue());
                    }
                }));
            }
        }
    }

    private void addresses(JsonNode node) {
        if (node.isString() && node.stringValue().startsWith("/v1/") && node.stringValue().length() < 300) {
            address(node.stringValue());
        }
        node.forEach(this::addresses);
    }

    private void address(String address) {
        patterns.forEach((key, pattern) -> {
            Matcher matcher = pattern.matcher(address);
            if (matcher.matches()) {
                List<String> found = new ArrayList<>();
                for (int group = 1; group <= matcher.groupCount(); group++) {
                    found.add(matcher.group(group));
                }
                List<List<String>> known = values.get(key);
                if (!known.contains(found)) {
                    known.add(found);
                    if (known.size() > KEPT) {
                        known.removeFirst();
                    }
                }
            }
        });
    }

    void forgetAll() {
        values.values().forEach(List::clear);
    }

    /** Values for the parameters of a path: of something that exists, where anything does. */
    Map<String, String> fill(String path, Random random) {
        Map<String, String> filled = new LinkedHashMap<>();
        List<List<String>> known = values.getOrDefault(key(path), List.of());
        List<String> chosen = known.isEmpty() ? List.of() : known.get(random.nextInt(known.size()));
        Matcher names = PARAMETER.matcher(path);
        for (int i = 0; names.find(); i++) {
            filled.put(names.group(1), i < chosen.size() ? chosen.get(i) : "none");
        }
        return filled;
    }

    /** Something that exists, of whatever kind. */
    String anything(Random random) {
        List<String> all = values.values().stream().flatMap(List::stream).flatMap(List::stream).toList();
        return all.isEmpty() ? "none" : all.get(random.nextInt(all.size()));
    }
}
