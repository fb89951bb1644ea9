package io.espalier.api;

import java.util.List;

import io.espalier.catalog.ModelFacts;
import io.espalier.job.Paces;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Preflight;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.Violation;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What was found of an order. Fields as {@link Preflight.Findings} has them.
 *
 * @param recipe with all that was filled in
 * @param model what its headers say; {@code null} when they cannot be read
 * @param time by jobs that have succeeded here
 */
@JsonNaming(SnakeCaseStrategy.class)
record PreflightView(PruningRecipe recipe, List<Violation> violations, ErrorCode errorCode, ModelFacts model, String architecture,
        Integer layers, Integer experts, PruningResult.Size size, Preflight.Memory memory, List<Preflight.Foreseen> outputs,
        Preflight.Tokens calibration, Preflight.Tokens evaluation, Preflight.Decoding continuations,
        Preflight.Disk disk, Preflight.Scores scores, Paces.Estimate time,
        List<Preflight.Unknown> unknown) {}
