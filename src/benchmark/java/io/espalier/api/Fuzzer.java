package io.espalier.api;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BiConsumer;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Asks a running service everything that the contract allows, with one thing wrong, then with several, and holds each answer to the contract. It knows of
 * no operation: all it does it reads from {@code openapi.yaml}.
 */
final class Fuzzer implements AutoCloseable {

    private static final String JOBS = "/v1/pruning-jobs";
    private static final int LOOK_AROUND = 500;
    /** Parameters that hold an answer back. */
    private static final Map<String, List<String>> SHORT = Map.of("wait", List.of("0s", "0", "1s"));

    private record Turn(Operation operation, Cases.Case change) {}

    private final JsonNode contract = Contract.IT.root();
    private final List<Operation> operations = Operation.all(contract);
    private final Known known = new Known(operations);
    private final Wire wire;
    private final String base;
    private final long seed;
    private final BiConsumer<String, Integer> worker;
    private final Witness witness = new Witness();
    private final Map<String, Map<Integer, Integer>> statuses = new TreeMap<>();
    private final Map<String, List<String>> findings = new LinkedHashMap<>();
    private final Map<String, Integer> accepted = new TreeMap<>();
    private final Map<String, Integer> deleted = new TreeMap<>();
    private int asked;
    private int cases;
    private int seeds;

    /** @param worker carries a job out, or half; its second argument counts up */
    Fuzzer(int port, long seed, BiConsumer<String, Integer> worker) {
        wire = new Wire("127.0.0.1", port);
        base = "http://127.0.0.1:" + port;
        this.seed = seed;
        this.worker = worker;
    }

    void run(int requests) {
        List<Turn> turns = new ArrayList<>();
        operations.forEach(operation -> Cases.of(contract, operation).forEach(change -> turns.add(new Turn(operation, change))));
        Collections.shuffle(turns, new Random(seed));
        cases = turns.size();
        Map<String, Long> before = sizes();
        for (int i = 0; i < requests; i++) {
            if (i % LOOK_AROUND == 0) {
                lookAround();
            }
            Random random = new Random(seed * 1_000_003 + i);
            Turn turn = turns.get(i % turns.size());
            Draft draft = valid(turn.operation(), random);
            turn.change().apply(draft, random);
            if (i >= turns.size()) {
                others(turns, turn.operation(), random).forEach(change -> change.apply(draft, random));
            }
            ask(draft);
        }
        afterwards(before);
    }

    private static List<Cases.Case> others(List<Turn> turns, Operation operation, Random random) {
        List<Cases.Case> own = turns.stream().filter(turn -> turn.operation() == operation).map(Turn::change).toList();
        return random.ints(random.nextInt(1, 3), 0, own.size()).mapToObj(own::get).toList();
    }

    /** Jobs in several states, and then all that the lists tell of. */
    private void lookAround() {
        for (int i = 0; i < 12; i++) {
            Draft order = new Draft(operations.stream().filter(o -> o.name().equals("POST " + JOBS)).findFirst().orElseThrow());
            order.json = JsonMapper.shared().readTree(Posted.SHORTEST);
            order.header("Content-Type", "application/json");
            order.changes.add("seed");
            Wire.Answer answer = ask(order);
            if (answer != null && answer.status() == 202) {
                worker.accept(JsonMapper.shared().readTree(answer.body()).path("id").stringValue(), seeds++);
            }
        }
        operations.stream().filter(operation -> operation.method().equals("POST") && !operation.path().contains("{")
                && !operation.path().equals(JOBS)).forEach(this::examples);
        known.forgetAll();
        Random random = new Random(seeds);
        for (int depth = 0; depth < 3; depth++) {
            for (Operation operation : operations) {
                if (operation.method().equals("GET")) {
                    Draft draft = new Draft(operation);
                    draft.path.putAll(known.fill(operation.path(), random));
                    draft.changes.add("look around");
                    ask(draft);
                }
            }
        }
    }

    /** What the contract shows, as it stands there. */
    private void examples(Operation operation) {
        operation.examples(contract, "application/json").forEach(example -> {
            Draft draft = new Draft(operation);
            draft.json = example.deepCopy();
            draft.header("Content-Type", "application/json");
            draft.changes.add("example");
            ask(draft);
        });
    }

    private Draft valid(Operation operation, Random random) {
        Draft draft = new Draft(operation);
        draft.path.putAll(known.fill(operation.path(), random));
        if (random.nextInt(30) == 0) {
            draft.path.replaceAll((name, value) -> known.anything(random));
        }
        for (Operation.Parameter parameter : operation.in("query")) {
            if (parameter.required() || random.nextInt(4) == 0) {
                List<String> few = SHORT.get(parameter.name());
                String value = few == null ? sample(parameter, random) : few.get(random.nextInt(few.size()));
                draft.parameter(parameter.name(), java.net.URLEncoder.encode(value, java.nio.charset.StandardCharsets.UTF_8));
            }
        }
        for (Operation.Parameter parameter : operation.in("header")) {
            if (parameter.required() || random.nextInt(10) == 0) {
                draft.header(parameter.name(), sample(parameter, random));
            }
        }
        if (operation.reads()) {
            body(draft, random);
        }
        return draft;
    }

    private void body(Draft draft, Random random) {
        List<String> types = draft.operation.mediaTypes(contract);
        String type = types.get(random.nextInt(types.size()));
        draft.header("Content-Type", type);
        List<JsonNode> examples = draft.operation.examples(contract, type);
        JsonNode schema = draft.operation.body(contract, type).path("schema");
        JsonNode body = examples.isEmpty() || random.nextInt(3) == 0
                ? Schemas.sample(contract, schema, random)
                : examples.get(random.nextInt(examples.size()));
        if (type.endsWith("json")) {
            draft.json = body.deepCopy();
        } else {
            draft.body = body.asString("some text\n").getBytes(java.nio.charset.StandardCharsets.UTF_8);
        }
    }

    private String sample(Operation.Parameter parameter, Random random) {
        boolean example = !parameter.example().isMissingNode() && random.nextBoolean();
        return (example ? parameter.example() : Schemas.sample(contract, parameter.schema(), random)).asString("");
    }

    private Wire.Answer ask(Draft draft) {
        asked++;
        Wire.Answer answer = null;
        List<String> wrong = new ArrayList<>();
        try {
            answer = wire.exchange(draft.bytes(), draft.method.equals("HEAD"), draft.last());
            wrong.addAll(departures(draft, answer));
        } catch (IOException e) {
            if (draft.framing != Draft.Framing.BROKEN_OFF) {
                wrong.add("no answer: " + e);
            }
        } catch (AssertionError e) {
            wrong.add(e.getMessage());
        }
        wrong.addAll(witness.said());
        for (String finding : wrong) {
            String kind = draft.method + " " + draft.operation.path() + ": "
                    + finding.lines().findFirst().orElse("").replace(draft.target(), "")
                            .replaceAll("[0-9]+", "#");
            findings.computeIfAbsent(kind.substring(0, Math.min(kind.length(), 200)), first -> new ArrayList<>())
                    .add(finding + "\n  request " + asked + " of seed " + seed + ":\n  " + draft.curl(base));
        }
        if (answer != null) {
            statuses.computeIfAbsent(draft.operation.name(), name -> new TreeMap<>()).merge(answer.status(), 1, Integer::sum);
            remember(draft, answer);
        }
        return answer;
    }

    private List<String> departures(Draft draft, Wire.Answer answer) {
        String exchange = draft.method + " " + draft.target();
        if (answer.status() >= 500) {
            return List.of(answer.status() + " " + answer.text());
        }
        if (draft.oddAddress && answer.status() >= 400) {
            Contract.IT.holdProblem(exchange, answer.status(), answer.headers(), answer.body(), draft.method);
        } else if (!draft.oddAddress) {
            // why: a method's name has a case, and the contract's names of it have the other
            String method = draft.method.equals("get") ? "lower-case-get" : draft.method;
            Contract.IT.hold(method, draft.target(), answer.status(), answer.headers(), answer.body());
        }
        return List.of();
    }

    private void remember(Draft draft, Wire.Answer answer) {
        // why by name: with its method changed, a request may have become that of another operation
        String asked = draft.method + " " + draft.operation.path();
        if (answer.status() >= 300 || draft.oddAddress || operations.stream().noneMatch(operation -> operation.name().equals(asked))) {
            return;
        }
        String collection = draft.operation.path().replaceFirst("/\\{.*", "");
        if (draft.method.equals("DELETE")) {
            deleted.merge(collection, 1, Integer::sum);
        } else if (answer.status() == 201 || !draft.method.equals("GET") && answer.status() == 202
                && draft.operation.path().equals(collection) && answer.headers().firstValue("Idempotency-Replayed").isEmpty()) {
            accepted.merge(collection, 1, Integer::sum);
        }
        if (answer.type().endsWith("json") && answer.status() != 206 && answer.body().length < 200_000) {
            // why not of what lies deeper: the id of a webhook's message is no webhook's
            boolean named = draft.operation.path().matches(java.util.regex.Pattern.quote(collection) + "(/\\{[^/]+})?");
            known.learn(named ? collection : "", JsonMapper.shared().readTree(answer.body()));
        }
    }

    /** How much there is behind every address that can be both listed and posted to. */
    private Map<String, Long> sizes() {
        Map<String, Long> sizes = new TreeMap<>();
        Set<String> posted = new TreeSet<>();
        operations.stream().filter(o -> o.method().equals("POST")).forEach(o -> posted.add(o.path()));
        operations.stream().filter(o -> o.method().equals("GET") && posted.contains(o.path()) && !o.path().contains("{")).forEach(list -> {
            long size = 0;
            String cursor = "";
            while (cursor != null) {
                Draft page = new Draft(list);
                if (list.in("query").stream().anyMatch(parameter -> parameter.name().equals("limit"))) {
                    page.parameter("limit", "200");
                }
                if (!cursor.isEmpty()) {
                    page.parameter("cursor", cursor);
                }
                Wire.Answer answer = ask(page);
                JsonNode items = answer == null ? JsonMapper.shared().createObjectNode() : JsonMapper.shared().readTree(answer.body());
                size += items.path("items").size();
                cursor = items.path("next_cursor").asString(null);
            }
            sizes.put(list.path(), size);
        });
        return sizes;
    }

    /** The service still takes an order and lists it; what was refused has stored nothing. */
    private void afterwards(Map<String, Long> before) {
        lookAround();
        sizes().forEach((path, size) -> {
            long grown = size - before.get(path) + deleted.getOrDefault(path, 0);
            long allowed = accepted.getOrDefault(path, 0);
            if (grown > allowed || path.equals(JOBS) && grown != allowed) {
                findings.put("stored: " + path, List.of(path + " has " + grown + " more than before, and " + allowed + " were accepted"));
            }
        });
        if (accepted.getOrDefault(JOBS, 0) == 0) {
            findings.put("dead", List.of("not one order was accepted"));
        }
    }

    /** How many single things can be wrong. */
    int cases() {
        return cases;
    }

    int asked() {
        return asked;
    }

    /** By operation and status, how many answers. */
    Map<String, Map<Integer, Integer>> statuses() {
        return statuses;
    }

    List<Operation> operations() {
        return operations;
    }

    /** What was found, the first of each kind in full. */
    List<String> findings() {
        return findings.values().stream().map(all -> all.getFirst() + (all.size() > 1 ? "\n  and " + (all.size() - 1) + " like it" : ""))
                .toList();
    }

    @Override
    public void close() {
        wire.close();
        witness.close();
    }
}
