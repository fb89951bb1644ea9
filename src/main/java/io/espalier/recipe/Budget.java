package io.espalier.recipe;

import java.math.BigDecimal;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * How much has to go: a share, or down to a size. Exactly one of ratio and the two targets is given. A ratio is an exact decimal: {@code floor(N * (1 -
 * ratio))} of N is kept, and 0.9 of 10 leaves 1, not the 0 that binary rounding gives.
 *
 * @param ratio the share to remove, more than 0 and less than 1
 * @param ratioOf the share of what; {@code routed_atoms} when absent beside a ratio, and absent beside a target
 * @param targetParameters parameters that the whole model may have at most after
 * @param targetBytes bytes that all its tensors may have at most after
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
@JsonNaming(SnakeCaseStrategy.class)
public record Budget(BigDecimal ratio, RatioOf ratioOf, Long targetParameters, Long targetBytes) {

    /** What the ratio is a share of. */
    public enum RatioOf {
        /** Atomic experts (one row of gate and up, one column of down) of the routed experts; the papers' "ratio". */
        @JsonProperty("routed_atoms")
        ROUTED_ATOMS,
        /** All parameters of the model, embeddings included. */
        @JsonProperty("total_parameters")
        TOTAL_PARAMETERS,
        /** All tensor bytes of the checkpoint. */
        @JsonProperty("bytes")
        BYTES
    }

    public Budget {
        ratioOf = ratioOf == null && targetParameters == null && targetBytes == null ? RatioOf.ROUTED_ATOMS : ratioOf;
    }

    /** A share. */
    public Budget(BigDecimal ratio, RatioOf ratioOf) {
        this(ratio, ratioOf, null, null);
    }

    /** What is counted: what the ratio is a share of, or what the target is a number of. */
    public RatioOf unit() {
        return targetParameters != null ? RatioOf.TOTAL_PARAMETERS : targetBytes != null ? RatioOf.BYTES : ratioOf;
    }

    /** The target; {@code null} beside a ratio. */
    public Long target() {
        return targetParameters != null ? targetParameters : targetBytes;
    }

    /** How many of {@code total} have to go, not rounded. */
    public BigDecimal toRemove(long total) {
        return target() == null ? ratio.multiply(BigDecimal.valueOf(total)) : BigDecimal.valueOf(total - target());
    }

    /** The field that says how much: {@code budget.ratio}. */
    public String field() {
        return "budget." + (targetParameters != null ? "target_parameters" : targetBytes != null ? "target_bytes" : "ratio");
    }

    /** How much, as a phrase: {@code 0.25 of routed_atoms}. */
    public String amount() {
        return target() == null ? ratio.toPlainString() + " of " + ratioOf.name().toLowerCase(Locale.ROOT) : target().toString();
    }

    void violations(String at, List<Violation> found) {
        long given = Stream.of(ratio, targetParameters, targetBytes).filter(x -> x != null).count();
        if (given == 0) {
            found.add(Violation.missing(at + ".ratio", "more than 0 and less than 1; or target_parameters or target_bytes in its place"));
        } else if (given > 1) {
            found.add(new Violation(at, given + " of ratio, target_parameters and target_bytes", "exactly one of them"));
        }
        if (ratio != null && (ratio.signum() <= 0 || ratio.compareTo(BigDecimal.ONE) >= 0)) {
            found.add(new Violation(at + ".ratio", ratio.toPlainString(), "more than 0 and less than 1"));
        }
        if (ratio == null && target() != null && ratioOf != null) {
            found.add(new Violation(at + ".ratio_of", ratioOf.name().toLowerCase(Locale.ROOT),
                    "absent, only a ratio is a share of something"));
        }
        positive(targetParameters, at + ".target_parameters", found);
        positive(targetBytes, at + ".target_bytes", found);
    }

    private static void positive(Long target, String at, List<Violation> found) {
        if (target != null && target < 1) {
            found.add(new Violation(at, target.toString(), "at least 1"));
        }
    }
}
