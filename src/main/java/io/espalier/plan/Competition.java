package io.espalier.plan;

/** One layout's way from a budget to who stays. It is asked for one budget after the other, each for at least as much as the one before. */
interface Competition {

    /**
     * @param order the one that this was made for, with another budget or the same
     * @throws io.espalier.recipe.PruningException {@code BUDGET_UNREACHABLE} or {@code ALIGNMENT_LEAVES_NOTHING} when so much cannot go
     */
    Stay stay(Allocation order);
}
