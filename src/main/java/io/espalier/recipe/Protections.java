package io.espalier.recipe;

import java.util.List;
import java.util.Objects;

import com.fasterxml.jackson.annotation.JsonInclude;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What stays whatever the budget. Whether there is such a layer, expert or atom is known once the model is.
 *
 * @param minWidth atoms that every routed expert keeps at least, or {@code null}
 * @param layers decoder layers whose routed experts keep all their atoms
 * @param experts experts that keep all or some of their atoms
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
@JsonNaming(SnakeCaseStrategy.class)
public record Protections(Integer minWidth, List<Integer> layers, List<Expert> experts) {

    /** Nothing is protected. */
    public static final Protections NONE = new Protections(null, List.of(), List.of());

    /**
     * @param layer index of the decoder layer
     * @param expert index within the layer
     * @param atoms the atoms that stay; {@code null} for all of them
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Expert(Integer layer, Integer expert, List<Integer> atoms) {

        public Expert {
            atoms = atoms == null ? null : known(atoms);
        }
    }

    public Protections {
        layers = layers == null ? List.of() : known(layers);
        experts = experts == null ? List.of() : known(experts);
    }

    /** Without the entries that the contract took out of an order that it refuses. */
    private static <T> List<T> known(List<T> given) {
        return given.stream().filter(Objects::nonNull).toList();
    }

    /** Whether a layer or an expert keeps all its atoms. */
    public boolean ofWholeExperts() {
        return !layers.isEmpty() || experts.stream().anyMatch(expert -> expert.atoms() == null);
    }

    void violations(String at, List<Violation> found) {
        for (int i = 0; i < experts.size(); i++) {
            if (experts.get(i).layer() == null) {
                found.add(Violation.missing(at + ".experts[" + i + "].layer", "an integer"));
            }
            if (experts.get(i).expert() == null) {
                found.add(Violation.missing(at + ".experts[" + i + "].expert", "an integer"));
            }
        }
        if (minWidth != null && minWidth < 1) {
            found.add(new Violation(at + ".min_width", minWidth.toString(), "at least 1"));
        }
    }
}
