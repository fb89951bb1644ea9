package io.espalier.api;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;

import jakarta.servlet.http.HttpServletRequest;

import io.espalier.catalog.Catalog;
import io.espalier.catalog.ScoreSet;
import io.espalier.catalog.ScoreSets;
import io.espalier.job.IdempotencyKey;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.Violation;
import org.springframework.http.HttpHeaders;
import org.springframework.stereotype.Component;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DatabindException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads what a stranger posts: bytes, JSON, the contract's shape, the recipe's own rules, the names and paths in it. Bytes that are no JSON end the
 * reading; from there on everything that is wrong is collected and said at once.
 */
@Component
final class Orders {

    /**
     * An order that nothing is wrong with.
     *
     * @param inputs what its names stand for
     * @param key {@code null} when the client gave none
     */
    record Order(PruningRecipe recipe, ResolvedInputs inputs, IdempotencyKey key) {}

    private static final String SCHEMA = "PruningRecipe";

    private final OpenApi contract;
    private final Catalog catalog;
    private final ScoreSets scores;
    private final TransactionTemplate transaction;
    private final long maxBytes;
    private final JsonMapper strict;

    Orders(OpenApi contract, Catalog catalog, ScoreSets scores, PlatformTransactionManager transactions, ApiSettings settings) {
        transaction = new TransactionTemplate(transactions);
        this.contract = contract;
        this.catalog = catalog;
        this.scores = scores;
        maxBytes = settings.maxBody().toBytes();
        // why so tight: an order has some fifty tokens, with protections some thousands, and each that is wrong costs a sentence of the answer
        StreamReadConstraints measure = StreamReadConstraints.builder().maxNestingDepth(32).maxNumberLength(100).maxNameLength(1000)
                .maxTokenCount(10_000).maxStringLength((int) Math.min(Integer.MAX_VALUE - 8, maxBytes)).build();
        strict = JsonMapper.builder(JsonFactory.builder().streamReadConstraints(measure).build())
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                // why: a ratio is an exact decimal; a double in between would bend it
                .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS, DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
    }

    Order read(HttpServletRequest request, Caller caller) throws IOException {
        String given = PostKey.of(request);
        byte[] body = bytes(request);
        JsonNode document = parse(body);
        IdempotencyKey key = PostKey.with(given, body);
        List<Violation> violations = new ArrayList<>(Shape.trim(document, contract, SCHEMA));
        ResolvedInputs inputs = null;
        PruningRecipe recipe = null;
        if (document instanceof ObjectNode order) {
            own(order, caller, violations);
            MethodChoice measured = fill(order, violations);
            recipe = bind(document, PruningRecipe.class);
            List<Violation> further = new ArrayList<>(recipe.violations());
            if (measured != null && !measured.identity().equals(recipe.method().identity())) {
                further.add(new Violation("method", recipe.method().name().json() + " with its options",
                        "absent, or as the score set was measured: " + strict.writeValueAsString(measured)));
            }
            inputs = catalog.resolve(recipe, further);
            add(further, violations);
        }
        refuse(violations);
        return new Order(recipe, inputs, key);
    }

    /**
     * Takes an order while nothing that it names can be deleted, both in one transaction.
     *
     * @throws ProblemException when something was deleted since it was read
     */
    <T> T held(Order order, Supplier<T> taken) {
        return transaction.execute(_ -> {
            List<Violation> gone = new ArrayList<>();
            catalog.hold(order.recipe(), order.inputs(), gone);
            refuse(gone);
            return taken.get();
        });
    }

    /**
     * A question what an order would do: the words of an order that a plan depends on.
     *
     * @param set whose scores it is about
     * @return the order, which can be posted
     */
    PruningRecipe readPlan(HttpServletRequest request, ScoreSet set) throws IOException {
        JsonNode document = parse(bytes(request));
        List<Violation> violations = new ArrayList<>(Shape.trim(document, contract, "PlanOrder"));
        PruningRecipe recipe = null;
        if (document.isObject()) {
            recipe = bind(document, PlanOrder.class).on(set);
            add(recipe.violations(), violations);
        }
        refuse(violations);
        return recipe;
    }

    /**
     * Reads a document of another kind.
     *
     * @param component its schema in the contract
     * @param code what it is refused with
     */
    <T> T read(HttpServletRequest request, String component, Class<T> type, ProblemCode code) throws IOException {
        return read(bytes(request), component, type, code);
    }

    /** A document that is read once, however often it is posted with its key; {@code null} when the client gave none. */
    record Posted<T>(T document, IdempotencyKey key) {}

    /** The same, with the key that it was posted with. */
    <T> Posted<T> readPosted(HttpServletRequest request, String component, Class<T> type, ProblemCode code) throws IOException {
        String given = PostKey.of(request);
        byte[] body = bytes(request);
        T document = read(body, component, type, code);
        return new Posted<>(document, PostKey.with(given, body));
    }

    private <T> T read(byte[] body, String component, Class<T> type, ProblemCode code) {
        JsonNode document = parse(body);
        List<Violation> violations = Shape.trim(document, contract, component);
        if (!violations.isEmpty()) {
            throw ProblemException.violated(code, violations);
        }
        return bind(document, type, code);
    }

    /**
     * Any other document.
     *
     * @param component the schema that it is held to
     * @param violations takes what departs from it
     * @return what is left of it; {@code null} when it is no object
     */
    <T> T read(HttpServletRequest request, String component, Class<T> type, List<Violation> violations) throws IOException {
        JsonNode document = parse(bytes(request));
        violations.addAll(Shape.trim(document, contract, component));
        return document instanceof ObjectNode ? bind(document, type, ProblemCode.INVALID_MODEL) : null;
    }

    /**
     * Any other body: JSON, of a shape of the contract's, and as far as that goes judged by itself.
     *
     * @param schema of the contract
     * @param code that it is refused with
     * @param judge what is wrong with it by itself
     */
    <T> T read(HttpServletRequest request, String schema, Class<T> type, ProblemCode code, Function<T, List<Violation>> judge)
            throws IOException {
        JsonNode document = parse(bytes(request));
        List<Violation> violations = new ArrayList<>(Shape.trim(document, contract, schema));
        T read = null;
        if (document.isObject()) {
            read = bind(document, type, code);
            add(judge.apply(read), violations);
        }
        if (!violations.isEmpty()) {
            throw ProblemException.violated(code, violations);
        }
        return read;
    }

    /** An order is of the caller's project, whether it says so or not. */
    private static void own(ObjectNode order, Caller caller, List<Violation> violations) {
        if (caller.seesAll()) {
            return;
        }
        JsonNode said = order.path("project");
        if (!said.isMissingNode() && !caller.project().equals(said.asString(null))) {
            violations
                    .add(new Violation("project", Given.of(said, false), "absent, or " + caller.project() + ", the project of your token"));
        }
        order.put("project", caller.project());
    }

    /**
     * A document of one component schema of the contract.
     *
     * @throws ProblemException with everything in which it departs from the schema
     */
    <T> T read(HttpServletRequest request, String component, Class<T> type) throws IOException {
        return read(request, component, type, ProblemCode.INVALID_REQUEST);
    }

    /** Says for an order on stored scores what the scores say already; answers the method that they were measured by, if there are any. */
    private MethodChoice fill(ObjectNode order, List<Violation> violations) {
        String id = order.path("score_set").asString(null);
        if (id == null) {
            return null;
        }
        // why the order's project: whoever sees that is to see what its jobs refer to
        ScoreSet set = scores.findBriefly(id, order.path("project").asString(null)).orElse(null);
        ScoreOrigin origin = set == null ? null : set.origin();
        if (origin == null) {
            violations.add(new Violation("score_set", Given.printable(id),
                    "a score set of the order's project that GET /v1/score-sets lists with its address"));
            return null;
        }
        order.put("project", set.project());
        if (!order.has("model")) {
            order.put("model", origin.model());
        }
        ObjectNode method = strict.valueToTree(origin.method());
        JsonNode said = order.path("method");
        String name = said.isString() ? said.stringValue() : said.path("name").asString(origin.method().name().json());
        if (name.equals(origin.method().name().json())) {
            if (said instanceof ObjectNode options) {
                method.setAll(options);
            }
            order.set("method", method);
        }
        return origin.method();
    }

    private static void add(List<Violation> further, List<Violation> violations) {
        for (Violation violation : further) {
            if (violations.stream().noneMatch(said -> explains(said.field(), violation.field()))) {
                violations.add(violation);
            }
        }
    }

    private static void refuse(List<Violation> violations) {
        if (!violations.isEmpty()) {
            throw ProblemException.violated(ProblemCode.INVALID_RECIPE, violations);
        }
    }

    /**
     * A body is read as it comes.
     *
     * @throws ProblemException when it is said to be packed: nobody unpacks it here
     */
    static void requirePlain(HttpServletRequest request) {
        String coding = request.getHeader(HttpHeaders.CONTENT_ENCODING);
        if (coding != null && !coding.strip().equalsIgnoreCase("identity")) {
            throw new ProblemException(ProblemCode.UNSUPPORTED_MEDIA_TYPE,
                    "Content-Encoding: " + Given.printable(coding) + " (expected: none; send the body as it is)");
        }
    }

    private byte[] bytes(HttpServletRequest request) throws IOException {
        requirePlain(request);
        byte[] body = {};
        if (request.getContentLengthLong() <= maxBytes) {
            try (InputStream in = request.getInputStream()) {
                body = in.readNBytes((int) Math.min(Integer.MAX_VALUE - 8, maxBytes + 1));
            }
        }
        if (request.getContentLengthLong() > maxBytes || body.length > maxBytes) {
            throw new ProblemException(ProblemCode.BODY_TOO_LARGE, "the body is longer than " + maxBytes
                    + " bytes (expected: at most that many; put a long text into a file under a root and name it)");
        }
        return body;
    }

    private JsonNode parse(byte[] body) {
        try {
            JsonNode document = strict.readTree(body);
            if (document.isMissingNode()) {
                throw new ProblemException(ProblemCode.MALFORMED_JSON, "the body is empty (expected: a JSON object)");
            }
            return document;
        } catch (NumberFormatException e) {
            throw new ProblemException(ProblemCode.MALFORMED_JSON, "a number in the body has an exponent beyond all measure");
        } catch (JacksonException e) {
            TokenStreamLocation at = e.getLocation();
            String where = at == null ? "" : "line " + at.getLineNr() + ", column " + at.getColumnNr() + ": ";
            throw new ProblemException(ProblemCode.MALFORMED_JSON, where + Given.printable(e.getOriginalMessage()));
        }
    }

    private <T> T bind(JsonNode document, Class<T> type) {
        return bind(document, type, ProblemCode.INVALID_RECIPE);
    }

    private <T> T bind(JsonNode document, Class<T> type, ProblemCode otherwise) {
        try {
            return strict.treeToValue(document, type);
        } catch (DatabindException e) {
            // The contract let pass what the recipe cannot hold: a hole in the contract, yet nothing the client may see as our failure.
            JsonNode given = document;
            List<String> path = new ArrayList<>();
            for (JacksonException.Reference step : e.getPath()) {
                given = step.getPropertyName() == null ? given.path(step.getIndex()) : given.path(step.getPropertyName());
                path.add(String.valueOf(step.getPropertyName() == null ? step.getIndex() : step.getPropertyName()));
            }
            throw ProblemException.violated(otherwise, List.of(new Violation(Given.printable(String.join(".", path)), Given.of(given, true),
                    "what GET /openapi.yaml describes")));
        }
    }

    /**
     * Whether what was said of one field is why another looks wrong: it was taken out, and what is around it is judged without it.
     */
    private static boolean explains(String said, String field) {
        boolean within = said.isEmpty() || field.equals(said) || field.startsWith(said + ".") || said.startsWith(field + ".");
        boolean unknownMethod = (said.equals("method") || said.equals("method.name"))
                && (field.startsWith("method") || field.startsWith("calibration"));
        int dot = said.lastIndexOf('.');
        boolean sameCorpus = dot > 0 && said.substring(0, dot).endsWith(".corpus") && field.startsWith(said.substring(0, dot));
        return within || unknownMethod || sameCorpus;
    }
}
