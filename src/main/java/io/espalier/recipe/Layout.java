package io.espalier.recipe;

import com.fasterxml.jackson.annotation.JsonProperty;

/** Which shapes the pruned experts may have. */
public enum Layout {
    /** Every expert its own width: the exact global ranking. */
    @JsonProperty("ragged")
    RAGGED,
    /** One width for all experts of a layer; layers differ. */
    @JsonProperty("per_layer")
    PER_LAYER,
    /** One width for all experts of the model: stock engines load it. */
    @JsonProperty("uniform")
    UNIFORM,
    /** Whole experts go, equally many in every layer, router rows and all; widths stay: stock engines load it. */
    @JsonProperty("experts")
    EXPERTS;

    /** The word in an order. */
    public String json() {
        return name().toLowerCase(java.util.Locale.ROOT);
    }
}
