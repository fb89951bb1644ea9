package io.espalier.recipe;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What the names in a recipe stood for when it was ordered: every name looked up, every path real and allowed. Kept with the job, so that the worker
 * starts from what was allowed and not from what a name means by then.
 *
 * @param modelDirectory real absolute path of the checkpoint
 * @param calibration path or text, never a name; {@code null} when the method sees no tokens
 * @param evaluation path or text, never a name; {@code null} when none was ordered
 */
@JsonNaming(SnakeCaseStrategy.class)
public record ResolvedInputs(String modelDirectory, CorpusRef calibration, CorpusRef evaluation) {}
