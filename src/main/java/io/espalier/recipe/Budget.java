package io.espalier.recipe;

import java.math.BigDecimal;
import java.util.List;

import com.fasterxml.jackson.annotation.JsonProperty;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * How much has to go, as an exact decimal: {@code floor(N * (1 - ratio))} of N is kept, and 0.9 of 10 leaves 1, not the 0 that binary rounding
 * gives.
 *
 * @param ratio the share to remove, more than 0 and less than 1
 * @param ratioOf the share of what; {@code routed_atoms} when absent
 */
@JsonNaming(SnakeCaseStrategy.class)
public record Budget(BigDecimal ratio, RatioOf ratioOf) {

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
        ratioOf = ratioOf == null ? RatioOf.ROUTED_ATOMS : ratioOf;
    }

    void violations(String at, List<Violation> found) {
        if (ratio == null) {
            found.add(Violation.missing(at + ".ratio", "more than 0 and less than 1"));
        } else if (ratio.signum() <= 0 || ratio.compareTo(BigDecimal.ONE) >= 0) {
            found.add(new Violation(at + ".ratio", ratio.toPlainString(), "more than 0 and less than 1"));
        }
    }
}
