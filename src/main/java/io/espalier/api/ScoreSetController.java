package io.espalier.api;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;

import io.espalier.catalog.ScoreSet;
import io.espalier.catalog.ScoreSets;
import io.espalier.recipe.Alignment;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice.Scope;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.Violation;
import org.springframework.http.CacheControl;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Scores that outlive their job: looked at, fetched, and asked what an order would do. */
@RestController
@RequestMapping(ScoreSetController.PATH)
final class ScoreSetController {

    static final String PATH = "/v1/score-sets";

    private static final String LIMIT = "50";
    private static final int MAX_LIMIT = 200;
    private static final String LIMITS = "an integer from 1 to " + MAX_LIMIT;
    private static final int MAX_POINTS = 1001;
    private static final String POINTS = "an integer from 2 to " + MAX_POINTS;
    private static final String DEVICES = "an integer from 1 to " + PruningRecipe.MAX_TENSOR_PARALLEL;
    private static final String PREFIX = "scr_";

    private final ScoreSets scores;
    private final Planner planner;
    private final Orders orders;

    ScoreSetController(ScoreSets scores, Planner planner, Orders orders) {
        this.scores = scores;
        this.planner = planner;
        this.orders = orders;
    }

    @GetMapping(produces = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<Page<ScoreSetView>> list(Caller caller, @RequestParam(required = false) String model,
            @RequestParam(required = false) String method,
            @RequestParam(required = false) String cursor,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit) {
        MethodName only = method == null ? null : word("method", method, MethodName.values(), MethodName::json);
        if (model != null && !Given.storable(model)) {
            throw violated("model", model, "Unicode text without NUL");
        }
        String after = cursor == null ? null : Page.Cursor.parse(cursor, PREFIX).afterId();
        // why: one more than asked for says whether there is a next page
        List<ScoreSet> found = scores.list(caller.project(), model, only, after, limit + 1);
        List<ScoreSet> page = found.subList(0, Math.min(limit, found.size()));
        String next = found.size() > limit ? new Page.Cursor(page.getLast().id()).text() : null;
        return fresh(new Page<>(page.stream().map(ScoreSetView::listed).toList(), next));
    }

    @GetMapping(path = "/{id}", produces = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<ScoreSetView> get(Caller caller, @PathVariable String id) {
        return ResponseEntity.ok().cacheControl(CacheControl.noStore()).varyBy(HttpHeaders.ACCEPT).body(ScoreSetView.of(known(id, caller)));
    }

    @GetMapping(path = "/{id}", produces = {Download.SAFETENSORS, MediaType.APPLICATION_OCTET_STREAM_VALUE})
    void file(Caller caller, @PathVariable String id, HttpServletRequest request, HttpServletResponse response) throws IOException {
        ScoreSet set = brief(id, caller);
        response.setHeader(HttpHeaders.VARY, HttpHeaders.ACCEPT);
        ScoreController.download(set, scores).send(request, response);
    }

    @GetMapping(path = "/{id}/coverage", produces = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<ScoreSetView.Coverage> coverage(Caller caller, @PathVariable String id,
            @RequestParam(defaultValue = "1") @Min(value = 0, message = "an integer, 0 or more") int floor) {
        return fresh(ScoreSetView.Coverage.of(known(id, caller), floor));
    }

    @PostMapping(path = "/{id}/plans", consumes = MediaType.APPLICATION_JSON_VALUE, produces = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<ScoreSetView.Plan> plan(Caller caller, @PathVariable String id, HttpServletRequest request) throws IOException {
        ScoreSet set = plannable(id, caller);
        PruningRecipe order = orders.readPlan(request, set);
        return fresh(ScoreSetView.Plan.of(set, order, planner.forecast(set, order)));
    }

    @GetMapping(path = "/{id}/curve", produces = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<ScoreSetView.Curves> curve(Caller caller, @PathVariable String id,
            @RequestParam(defaultValue = "101") @Min(value = 2, message = POINTS) @Max(value = MAX_POINTS, message = POINTS) int points,
            @RequestParam(name = "ratio_of", defaultValue = "routed_atoms") String ratioOf, @RequestParam(required = false) String layout,
            @RequestParam(defaultValue = "1") String alignment,
            @RequestParam(name = "tensor_parallel", defaultValue = "1") @Min(value = 1, message = DEVICES) @Max(value = PruningRecipe.MAX_TENSOR_PARALLEL, message = DEVICES) int tensorParallel,
            @RequestParam(defaultValue = "global") String scope) {
        ScoreSet set = plannable(id, caller);
        Layout only = layout == null ? null : word("layout", layout, Layout.values(), Layout::json);
        PlanOrder words = new PlanOrder(null, null, alignment(alignment), tensorParallel, false,
                word("scope", scope, Scope.values(), ScoreSetController::lower), null);
        return fresh(
                planner.curves(set, word("ratio_of", ratioOf, Budget.RatioOf.values(), ScoreSetController::lower), only, words, points));
    }

    private static Alignment alignment(String given) {
        if (given.equals(Alignment.AUTO.json())) {
            return Alignment.AUTO;
        }
        for (int atoms = 1; atoms <= PruningRecipe.MAX_ALIGNMENT; atoms *= 2) {
            if (given.equals(String.valueOf(atoms))) {
                return new Alignment(atoms);
            }
        }
        throw violated("alignment", given, "auto, or a power of two from 1 to " + PruningRecipe.MAX_ALIGNMENT);
    }

    private ScoreSet known(String id, Caller caller) {
        return scores.find(id, caller.project()).orElseThrow(() -> unknown(id));
    }

    private ScoreSet brief(String id, Caller caller) {
        return scores.findBriefly(id, caller.project()).orElseThrow(() -> unknown(id));
    }

    private static ProblemException unknown(String id) {
        return new ProblemException(ProblemCode.SCORE_SET_NOT_FOUND, "no score set has the id " + Given.printable(id));
    }

    private ScoreSet plannable(String id, Caller caller) {
        ScoreSet set = brief(id, caller);
        if (set.origin() == null) {
            throw new ProblemException(ProblemCode.SCORES_OUTDATED,
                    id + " was stored without what a plan needs (expected: a set that has an address); order its job again");
        }
        return set;
    }

    private static <T> ResponseEntity<T> fresh(T body) {
        return ResponseEntity.ok().cacheControl(CacheControl.noStore()).body(body);
    }

    private static String lower(Enum<?> word) {
        return word.name().toLowerCase(Locale.ROOT);
    }

    private static <E> E word(String parameter, String given, E[] words, Function<E, String> json) {
        return Arrays.stream(words).filter(word -> json.apply(word).equals(given)).findFirst()
                .orElseThrow(() -> violated(parameter, given, "one of " + String.join(", ", Arrays.stream(words).map(json).toList())));
    }

    private static ProblemException violated(String parameter, String given, String expected) {
        return ProblemException.violated(ProblemCode.INVALID_REQUEST, List.of(new Violation(parameter, Given.printable(given), expected)));
    }
}
