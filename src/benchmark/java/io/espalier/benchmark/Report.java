package io.espalier.benchmark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** What a benchmark found: tables and sentences for a person, the same as JSON for a program, with the machine and its load around them. */
public final class Report {

    static final double GIB = 1L << 30;

    private static final JsonMapper JSON = JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    private final String benchmark;
    private final Path file;
    private final ObjectNode json = JSON.createObjectNode();

    Report(String benchmark, Options options) {
        this(benchmark, options, Machine.factsWithEngine());
    }

    /** For a benchmark whose own process computes nothing. */
    public static Report withoutEngine(String benchmark, Options options) {
        return new Report(benchmark, options, Machine.facts());
    }

    private Report(String benchmark, Options options, Map<String, Object> facts) {
        this.benchmark = benchmark;
        this.file = options.path("json", Path.of("target", "benchmark", benchmark + ".json"));
        json.put("benchmark", benchmark).put("options", options.toString());
        System.out.println(benchmark + " " + options);
        ObjectNode machine = json.putObject("machine");
        facts.forEach((name, value) -> {
            machine.putPOJO(name, value);
            System.out.println("  " + name + ": " + shown(value));
        });
        load("load_at_start");
    }

    private void load(String when) {
        json.put(when, Machine.load());
        System.out.println("  " + when + ": " + shown(Machine.load()));
    }

    /** One figure or fact. */
    public void fact(String name, Object value) {
        json.putPOJO(name, value);
        System.out.println("  " + name + ": " + shown(value));
    }

    /** Whether a bar is reached, with both numbers. */
    public void bar(String name, double measured, String relation, double bar) {
        boolean met = relation.equals("<=") ? measured <= bar : measured >= bar;
        ObjectNode entry = json.withArray("bars").addObject().put("name", name).put("measured", measured);
        entry.put("relation", relation).put("bar", bar).put("met", met);
        System.out.println(
                "  bar " + (met ? "met:    " : "MISSED: ") + name + " " + shown(measured) + " (" + relation + " " + shown(bar) + ")");
    }

    /** Prints rows, each cell right-aligned under its column; keeps them under the title. */
    public void table(String title, List<String> columns, List<List<Object>> rows) {
        ArrayNode kept = json.putArray(title);
        List<List<String>> shown = new ArrayList<>(List.of(columns));
        for (List<Object> row : rows) {
            ObjectNode entry = kept.addObject();
            for (int c = 0; c < columns.size(); c++) {
                entry.putPOJO(columns.get(c), row.get(c));
            }
            shown.add(row.stream().map(Report::shown).toList());
        }
        System.out.println(System.lineSeparator() + title);
        for (List<String> row : shown) {
            StringBuilder line = new StringBuilder();
            for (int c = 0; c < row.size(); c++) {
                int column = c;
                int width = shown.stream().mapToInt(r -> r.get(column).length()).max().orElse(0);
                line.append("  ").append((c == 0 ? "%-" + width + "s" : "%" + width + "s").formatted(row.get(c)));
            }
            System.out.println(line);
        }
        System.out.println();
    }

    private static String shown(Object value) {
        return switch (value) {
            case null -> "-";
            case Double number when number.isNaN() -> "-";
            case Double number when number > 0.99 && number < 1 -> String.format(Locale.ROOT, "%.7f", number);
            case Double number when number == 0 || Math.abs(number) >= 1e-2 && Math.abs(number) < 1e6 -> String.format(Locale.ROOT,
                    Math.abs(number) >= 100 ? "%.0f" : Math.abs(number) >= 10 ? "%.1f" : "%.2f", number);
            case Double number -> String.format(Locale.ROOT, "%.2e", number);
            case Map<?, ?> map -> map.toString();
            default -> value.toString();
        };
    }

    /** Writes the JSON file. */
    public void finish() {
        load("load_at_end");
        try {
            Files.createDirectories(file.toAbsolutePath().getParent());
            Files.writeString(file, JSON.writeValueAsString(json));
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
        System.out.println(benchmark + " written to " + file);
    }
}
