package io.espalier.recipe;

import java.util.List;
import java.util.SequencedMap;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What can be said of an order before anything is computed. The workshop knows it, whoever takes orders asks, and neither knows the other; a process
 * without a worker has none.
 */
public interface Preflight {

    /**
     * Opens what the order names, headers only, and stores nothing.
     *
     * @param recipe without violations of its own
     * @param inputs what its names stand for
     */
    Findings look(PruningRecipe recipe, ResolvedInputs inputs);

    /**
     * What was found. Whatever is {@code null} has a sentence in {@code unknown}.
     *
     * @param errorCode that the job would fail with when it is opened; {@code null} when nothing was found against it
     * @param violations why
     * @param architecture {@code model_type} of the model
     * @param layers decoder layers
     * @param experts routed experts
     * @param size of the model
     * @param memory how the worker would fit the calibration into its memory
     * @param outputs what each output would come to, the order's own first
     * @param calibration its tokens
     * @param evaluation its tokens
     * @param continuations what decoding them would take; {@code null}, without a sentence, when none are ordered
     * @param disk room in the work directory
     * @param scores whether they are there already
     * @param unknown what could not be said
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Findings(ErrorCode errorCode, List<Violation> violations, String architecture, Integer layers, Integer experts,
            PruningResult.Size size, Memory memory, List<Foreseen> outputs, Tokens calibration, Tokens evaluation, Decoding continuations,
            Disk disk,
            Scores scores, List<Unknown> unknown) {}

    /**
     * @param device that was asked
     * @param budgetBytes what it may take
     * @param slices into how many the calibration set would be cut; 0 when nothing is measured
     * @param plan the decision, as the job's history has it; {@code null} when nothing is measured
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Memory(String device, long budgetBytes, int slices, SequencedMap<String, Object> plan) {}

    /**
     * @param layout as ordered
     * @param alignment atoms; what auto comes to
     * @param bytes of its files, as if all atoms scored the same
     * @param compatibility which engines would load it
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Foreseen(Layout layout, int alignment, long bytes, List<Loadability> compatibility) {}

    /**
     * @param asked for: windows times length
     * @param found in the text
     * @param all whether the text was counted to its end; {@code false}: it has at least so many
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Tokens(long asked, Long found, boolean all) {}

    /**
     * What letting the given model and the written ones continue prompts would take.
     *
     * @param tokens that are found one by one, at most, by all models
     * @param memoryBytes estimate for one model, of which the keys and values of all positions grow with the prompts
     * @param readBytes of weights that are read anew for each token, at most, by all models
     * @param fitsMemory whether the system's free memory holds the model's file, so that the disk is not read for each token
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Decoding(long tokens, long memoryBytes, long readBytes, boolean fitsMemory) {}

    /**
     * @param workBytes of files that exist while the job is at work, finished models aside
     * @param artifactBytes of all outputs
     * @param freeBytes where both are written
     * @param enough whether they fit
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Disk(long workBytes, Long artifactBytes, long freeBytes, Boolean enough) {}

    /**
     * @param exist whether calibration would be skipped
     * @param id of the score set, where it does
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Scores(Boolean exist, String id) {}

    /** @param field of the findings; {@code why} it is {@code null} */
    @JsonNaming(SnakeCaseStrategy.class)
    record Unknown(String field, String why) {}
}
