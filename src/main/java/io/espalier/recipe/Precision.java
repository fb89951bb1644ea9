package io.espalier.recipe;

import com.fasterxml.jackson.annotation.JsonProperty;

/** What matrix products are computed in; everything that is summed is summed in float32 or wider. */
public enum Precision {
    /** Float32: the same numbers as the papers' reference, and the default. */
    @JsonProperty("f32")
    F32,
    /** Operands in bfloat16, accumulated in float32: faster where the processor has it, and nearly the same ranking. */
    @JsonProperty("bf16")
    BF16
}
