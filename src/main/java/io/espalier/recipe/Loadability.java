package io.espalier.recipe;

import com.fasterxml.jackson.annotation.JsonProperty;

/**
 * Whether an engine opens a pruned model, derived from its shapes and from what the engine's sources and documentation say; no engine was run.
 *
 * @param engine name, and major version where it matters
 * @param loads whether it does
 * @param needs what has to be done or given, where something has; else {@code null}
 * @param why what the answer follows from, a sentence
 */
public record Loadability(String engine, Loads loads, String needs, String why) {

    /** How it loads. */
    public enum Loads {
        /** As it is. */
        @JsonProperty("stock")
        STOCK,
        /** After what {@code needs} says. */
        @JsonProperty("needs")
        NEEDS,
        /** Not at all, as far as was found. */
        @JsonProperty("no")
        NO
    }

    public static Loadability stock(String engine, String why) {
        return new Loadability(engine, Loads.STOCK, null, why);
    }

    public static Loadability needs(String engine, String needs, String why) {
        return new Loadability(engine, Loads.NEEDS, needs, why);
    }

    public static Loadability no(String engine, String why) {
        return new Loadability(engine, Loads.NO, null, why);
    }
}
