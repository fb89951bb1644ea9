package io.espalier.transformer;

/**
 * Which atoms of each expert take part in the computation, and which experts the router knows. Reading a model through a plan gives the pruned model's
 * numbers without writing it.
 */
@FunctionalInterface
public interface KeptAtoms {

    /** The model as it is. */
    KeptAtoms ALL = (layer, expert) -> null;

    /** @return ascending atom indices, or {@code null} for all of the expert's atoms */
    int[] of(int layer, int expert);

    /** Whether the expert is gone: the router chooses among the others, its softmax runs over them alone. */
    default boolean removed(int layer, int expert) {
        return false;
    }
}
