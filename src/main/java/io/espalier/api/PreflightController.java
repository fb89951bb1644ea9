package io.espalier.api;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

import jakarta.servlet.http.HttpServletRequest;

import io.espalier.catalog.Catalog;
import io.espalier.catalog.ModelFacts;
import io.espalier.job.Paces;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Preflight;
import io.espalier.recipe.Prompting;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Violation;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.http.CacheControl;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** What an order would come to, without ordering it. */
@RestController
@RequestMapping(path = PruningJobController.PATH, produces = MediaType.APPLICATION_JSON_VALUE)
final class PreflightController {

    private static final String NO_WORKER = "this process has no worker; ask one that has (espalier.worker.enabled)";
    private static final List<String> OF_THE_WORKSHOP = List.of("size", "memory", "outputs", "disk", "scores");

    private final Orders orders;
    private final PruningJobController jobs;
    private final Catalog catalog;
    private final Paces paces;
    private final Preflight workshop;

    PreflightController(Orders orders, PruningJobController jobs, Catalog catalog, Paces paces, ObjectProvider<Preflight> workshop) {
        this.orders = orders;
        this.jobs = jobs;
        this.catalog = catalog;
        this.paces = paces;
        this.workshop = workshop.getIfAvailable();
    }

    @PostMapping(consumes = MediaType.APPLICATION_JSON_VALUE, params = "dry_run")
    ResponseEntity<?> submit(Caller caller, @RequestParam("dry_run") String dryRun, HttpServletRequest request) throws IOException {
        return switch (dryRun) {
            case "true" -> {
                Orders.Order order = orders.read(request, caller);
                yield ResponseEntity.ok().cacheControl(CacheControl.noStore()).body(look(caller, order.recipe(), order.inputs()));
            }
            case "false" -> jobs.submit(caller, request);
            default -> throw ProblemException.violated(ProblemCode.INVALID_REQUEST,
                    List.of(new Violation("dry_run", Given.printable(dryRun), "true or false")));
        };
    }

    private PreflightView look(Caller caller, PruningRecipe recipe, ResolvedInputs inputs) {
        List<Violation> violations = new ArrayList<>();
        ModelFacts model = catalog.facts(inputs, violations);
        Preflight.Findings found = workshop == null ? none(recipe, violations) : workshop.look(recipe, inputs);
        List<Preflight.Unknown> unknown = new ArrayList<>(found.unknown());
        Paces.Estimate time = paces.estimate(caller.project(), ahead(recipe, inputs, found));
        if (time.totalSeconds() == null) {
            unknown.add(new Preflight.Unknown("time.total_seconds", "no job that could tell has succeeded here, of the "
                    + time.jobs() + " newest"));
        }
        return new PreflightView(recipe, found.violations(), found.errorCode(), model, found.architecture(), found.layers(),
                found.experts(), found.size(), found.memory(), found.outputs(), found.calibration(), found.evaluation(),
                found.continuations(), found.disk(),
                found.scores(), time, List.copyOf(unknown));
    }

    private static Preflight.Findings none(PruningRecipe recipe, List<Violation> violations) {
        List<Preflight.Unknown> unknown = new ArrayList<>();
        OF_THE_WORKSHOP.forEach(field -> unknown.add(new Preflight.Unknown(field, NO_WORKER)));
        unknown.add(new Preflight.Unknown("calibration", recipe.measuresTokens() ? NO_WORKER : "no tokens are measured"));
        unknown.add(new Preflight.Unknown("evaluation", recipe.evaluation() != null ? NO_WORKER : "no evaluation is ordered"));
        return new Preflight.Findings(violations.isEmpty() ? null : ErrorCode.MALFORMED_CHECKPOINT, violations, null, null, null, null,
                null,
                null, null, null, null, null, null, unknown);
    }

    private static Paces.Ahead ahead(PruningRecipe recipe, ResolvedInputs inputs, Preflight.Findings found) {
        boolean measures = recipe.measuresTokens() && (found.scores() == null || !Boolean.TRUE.equals(found.scores().exist()));
        long calibrated = measures ? (long) recipe.calibration().sequences() * recipe.calibration().sequenceLength() : 0;
        int outputs = recipe.outputs().size();
        long passes = recipe.evaluation() == null ? 0 : 1L + outputs * (recipe.evaluation().randomControl() ? 2 : 1);
        return new Paces.Ahead(inputs.modelDirectory(), recipe.method().name(), recipe.precision(),
                found.size() == null ? null : Long.valueOf(found.size().activeParameters()), calibrated, passes * evaluated(recipe, found),
                decoded(recipe),
                found.outputs() == null ? null : Long.valueOf(found.outputs().stream().mapToLong(Preflight.Foreseen::bytes).sum()));
    }

    private static long decoded(PruningRecipe recipe) {
        Prompting prompting = recipe.evaluation() == null ? null : recipe.evaluation().continuations();
        return prompting == null ? 0 : (1L + recipe.outputs().size()) * prompting.prompts() * prompting.tokens();
    }

    private static long evaluated(PruningRecipe recipe, Preflight.Findings found) {
        if (found.evaluation() != null) {
            return found.evaluation().asked();
        }
        Integer own = recipe.evaluation() == null ? Integer.valueOf(0) : recipe.evaluation().sequenceLength();
        return recipe.evaluation() == null
                ? 0
                : (long) recipe.evaluation().windows() * (own == null ? recipe.calibration().sequenceLength() : own);
    }
}
