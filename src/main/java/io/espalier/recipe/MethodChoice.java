package io.espalier.recipe;

import java.math.BigDecimal;
import java.util.Arrays;
import java.util.List;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * The criterion and its options; a bare JSON string is a name without options. An option that the criterion does not have is refused, never ignored.
 *
 * @param name the criterion
 * @param unrouted what becomes of experts that no calibration token reached (heapr, activation); {@code keep} when absent
 * @param scope within what the atoms compete; {@code global} when absent
 * @param tokenCountExponent gamma in {@code score * (routed tokens / calibration tokens)^gamma}, 0 to 1 (heapr, activation); 0, the paper's, when
 *     absent
 * @param seed of the draw (random only); 0 when absent
 */
@JsonNaming(SnakeCaseStrategy.class)
public record MethodChoice(MethodName name, Unrouted unrouted, Scope scope, BigDecimal tokenCountExponent, Long seed) {

    /** What becomes of experts without a calibration token. The official code prunes them first; that is a decision, so it has a name. */
    public enum Unrouted {
        /** Ranked above every measured atom, and reported. */
        @JsonProperty("keep")
        KEEP,
        /** Ranked below every measured atom. */
        @JsonProperty("prune")
        PRUNE,
        /** Given the mean score of the measured atoms of the layer. */
        @JsonProperty("layer_mean")
        LAYER_MEAN
    }

    /** Within what the atoms compete for the budget. */
    public enum Scope {
        @JsonProperty("global")
        GLOBAL, @JsonProperty("layer")
        LAYER, @JsonProperty("expert")
        EXPERT
    }

    @JsonCreator(mode = JsonCreator.Mode.PROPERTIES)
    public MethodChoice {
        name = name == null ? MethodName.HEAPR : name;
        scope = scope == null ? Scope.GLOBAL : scope;
        if (weighsTokens(name)) {
            unrouted = unrouted == null ? Unrouted.KEEP : unrouted;
            tokenCountExponent = tokenCountExponent == null ? BigDecimal.ZERO : tokenCountExponent;
        }
        if (name == MethodName.RANDOM) {
            seed = seed == null ? 0L : seed;
        }
    }

    public static MethodChoice of(MethodName name) {
        return new MethodChoice(name, null, null, null, null);
    }

    @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
    static MethodChoice named(String name) {
        return of(Arrays.stream(MethodName.values()).filter(known -> known.json().equals(name)).findFirst()
                .orElseThrow(() -> new IllegalArgumentException("there is no method " + name)));
    }

    /** The same as far as scores go: within what atoms compete is a matter of the plan. */
    public MethodChoice ofScores() {
        return within(null);
    }

    /** The same criterion, its atoms competing within another scope; {@code null} for the default. */
    public MethodChoice within(Scope other) {
        return new MethodChoice(name, unrouted, other, tokenCountExponent, seed);
    }

    /** Everything that changes a score, one text for one meaning. */
    public String identity() {
        return String.join("|", name.json(), String.valueOf(unrouted), String.valueOf(seed),
                tokenCountExponent == null ? "null" : tokenCountExponent.stripTrailingZeros().toPlainString());
    }

    private static boolean weighsTokens(MethodName name) {
        return name == MethodName.HEAPR || name == MethodName.ACTIVATION;
    }

    void violations(String at, List<Violation> found) {
        if (!weighsTokens(name)) {
            if (unrouted != null) {
                found.add(new Violation(at + ".unrouted", unrouted.name().toLowerCase(java.util.Locale.ROOT),
                        "absent, " + name.json() + " has no such option"));
            }
            if (tokenCountExponent != null) {
                found.add(new Violation(at + ".token_count_exponent", tokenCountExponent.toPlainString(),
                        "absent, " + name.json() + " has no such option"));
            }
        } else if (tokenCountExponent.signum() < 0 || tokenCountExponent.compareTo(BigDecimal.ONE) > 0) {
            found.add(new Violation(at + ".token_count_exponent", tokenCountExponent.toPlainString(), "0 to 1"));
        }
        if (name != MethodName.RANDOM && seed != null) {
            found.add(new Violation(at + ".seed", seed.toString(), "absent, " + name.json() + " has no such option"));
        }
        if (name == MethodName.FREQUENCY && scope == Scope.EXPERT) {
            found.add(new Violation(at + ".scope", "expert", "global or layer, because frequency ranks whole experts"));
        }
    }
}
