package io.espalier.benchmark;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import ai.djl.Device;
import io.espalier.transformer.Compute;

/** What stands on a benchmark's command line: {@code --name=value}, or {@code --name} for {@code true}. A name that nobody asked about is refused. */
public final class Options {

    private final Map<String, String> given = new LinkedHashMap<>();

    /** @throws IllegalArgumentException when an argument is no option of the benchmark */
    static Options of(String[] arguments, String... known) {
        List<String> names = new ArrayList<>(List.of(known));
        names.addAll(List.of("cache", "precision", "lanes"));
        return only(arguments, names.toArray(String[]::new));
    }

    /** The same for a benchmark that computes nothing itself: besides its own options there is {@code --json}. */
    public static Options only(String[] arguments, String... known) {
        Options options = new Options();
        List<String> names = new ArrayList<>(List.of(known));
        names.add("json");
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            String name = parts[0].startsWith("--") ? parts[0].substring(2) : "";
            if (!names.contains(name)) {
                throw new IllegalArgumentException(argument + " (expected: one of --" + String.join(", --", names) + ")");
            }
            options.given.put(name, parts.length == 1 ? "true" : parts[1]);
        }
        return options;
    }

    public boolean flag(String name) {
        return Boolean.parseBoolean(given.get(name));
    }

    public String word(String name, String absent, String... allowed) {
        String value = given.getOrDefault(name, absent);
        if (!List.of(allowed).contains(value)) {
            throw new IllegalArgumentException("--" + name + "=" + value + " (expected: one of " + String.join(", ", allowed) + ")");
        }
        return value;
    }

    public String text(String name, String absent) {
        return given.getOrDefault(name, absent);
    }

    public int number(String name, int absent) {
        return given.containsKey(name) ? Integer.parseInt(given.get(name)) : absent;
    }

    /** A size in GiB; fractions allowed. */
    long gibibytes(String name, double absent) {
        return (long) ((given.containsKey(name) ? Double.parseDouble(given.get(name)) : absent) * (1L << 30));
    }

    public Path path(String name, Path absent) {
        return given.containsKey(name) ? Path.of(given.get(name)) : absent;
    }

    /** How our side computes: as a pruning run would on this machine, unless told otherwise. */
    Compute compute() {
        return new Compute(Device.cpu(), precision(), number("lanes", Machine.cores()), true, false, Integer.MAX_VALUE);
    }

    Compute.Precision precision() {
        return word("precision", "f32", "f32", "bf16").equals("bf16") ? Compute.Precision.BFLOAT16 : Compute.Precision.FLOAT32;
    }

    /** Where random checkpoints are kept from run to run. */
    Path cache() {
        return path("cache", Path.of("target", "benchmark", "checkpoints"));
    }

    @Override
    public String toString() {
        return given.toString();
    }
}
