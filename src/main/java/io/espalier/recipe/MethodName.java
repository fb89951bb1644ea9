package io.espalier.recipe;

import com.fasterxml.jackson.annotation.JsonProperty;

/** The criteria that can rank atoms. */
public enum MethodName {
    /** Hessian-based atomic-expert scores in output space (arXiv 2509.22299). */
    @JsonProperty("heapr")
    HEAPR("heapr", true),
    /** Mean squared activation times the squared norm of the down column. */
    @JsonProperty("activation")
    ACTIVATION("activation", true),
    /** Whole experts by how many calibration tokens reached them. */
    @JsonProperty("frequency")
    FREQUENCY("frequency", true),
    /** Product of the norms of an atom's three weight vectors. */
    @JsonProperty("magnitude")
    MAGNITUDE("magnitude", false),
    /** A seeded draw: the control that every criterion has to beat. */
    @JsonProperty("random")
    RANDOM("random", false);

    private final String json;
    private final boolean needsTokens;

    MethodName(String json, boolean needsTokens) {
        this.json = json;
        this.needsTokens = needsTokens;
    }

    /** The name as it travels. */
    public String json() {
        return json;
    }

    /** Whether the criterion has to see calibration tokens. */
    public boolean needsTokens() {
        return needsTokens;
    }
}
