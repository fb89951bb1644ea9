package io.espalier.recipe;

import com.fasterxml.jackson.annotation.JsonProperty;

/** The steps of a run, in order. */
public enum Phase {
    @JsonProperty("open")
    OPEN, @JsonProperty("calibrate")
    CALIBRATE, @JsonProperty("score")
    SCORE, @JsonProperty("plan")
    PLAN, @JsonProperty("cut")
    CUT, @JsonProperty("check")
    CHECK, @JsonProperty("publish")
    PUBLISH
}
