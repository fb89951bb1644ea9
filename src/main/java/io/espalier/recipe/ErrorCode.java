package io.espalier.recipe;

import java.util.Arrays;
import java.util.Locale;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;

/** Why a job failed: a stable word for programs. The message beside it is for people. */
public enum ErrorCode {
    /** The order names something that is not there or cannot be combined; nothing was computed. */
    @JsonProperty("invalid_recipe")
    INVALID_RECIPE,
    /** The checkpoint breaks its own format. */
    @JsonProperty("malformed_checkpoint")
    MALFORMED_CHECKPOINT,
    /** The configuration names an architecture that is not implemented. */
    @JsonProperty("unsupported_architecture")
    UNSUPPORTED_ARCHITECTURE,
    /** A configuration value would change the mathematics and is not implemented. */
    @JsonProperty("unsupported_configuration")
    UNSUPPORTED_CONFIGURATION, @JsonProperty("model_without_experts")
    MODEL_WITHOUT_EXPERTS, @JsonProperty("too_few_tokens")
    TOO_FEW_TOKENS, @JsonProperty("sequence_too_long")
    SEQUENCE_TOO_LONG, @JsonProperty("malformed_corpus")
    MALFORMED_CORPUS,
    /** No width that is a multiple of the alignment is left. */
    @JsonProperty("alignment_leaves_nothing")
    ALIGNMENT_LEAVES_NOTHING,
    /** FP8 weights would have to be rounded anew, which the cut never does. */
    @JsonProperty("fp8_alignment")
    FP8_ALIGNMENT,
    /** The budget asks for more than the routed experts hold. */
    @JsonProperty("budget_unreachable")
    BUDGET_UNREACHABLE,
    /** A weight, an activation, a loss or a score is NaN or infinite. */
    @JsonProperty("not_finite")
    NOT_FINITE, @JsonProperty("disk_full")
    DISK_FULL,
    /** Reading or writing failed for another reason than a full disk. */
    @JsonProperty("io_error")
    IO_ERROR, @JsonProperty("out_of_memory")
    OUT_OF_MEMORY,
    /** The model or a text is no longer what the finished slices were measured on. */
    @JsonProperty("inputs_changed")
    INPUTS_CHANGED,
    /** The same piece of work ended the process that carried it out, again and again. */
    @JsonProperty("poison_slice")
    POISON_SLICE,
    /** Our mistake. */
    @JsonProperty("internal_error")
    INTERNAL_ERROR;

    /** The code that a job was ended with; one that only a newer version of the service knows is read as {@link #INTERNAL_ERROR}. */
    @JsonCreator
    static ErrorCode read(String word) {
        return Arrays.stream(values()).filter(code -> code.name().toLowerCase(Locale.ROOT).equals(word)).findFirst().orElse(INTERNAL_ERROR);
    }
}
