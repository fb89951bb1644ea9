package io.espalier.recipe;

import com.fasterxml.jackson.annotation.JsonProperty;

/** Which shapes the pruned experts may have. */
public enum Layout {
    /** Every expert its own width: the exact global ranking. */
    @JsonProperty("ragged")
    RAGGED,
    /** One width for all experts of the model: stock engines load it. */
    @JsonProperty("uniform")
    UNIFORM
}
