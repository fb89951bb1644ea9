package io.espalier.plan;

import java.util.List;

import io.espalier.recipe.MethodChoice.Scope;

/** What each competition (the model, a layer, an expert) still has to give. */
final class Shares {

    private final int[] shareOfExpert;
    private final long[] missing;

    Shares(List<ExpertScores> experts, Scope scope) {
        shareOfExpert = new int[experts.size()];
        int last = 0;
        for (int e = 1; e < experts.size(); e++) {
            boolean another = switch (scope) {
                case GLOBAL -> false;
                case LAYER -> experts.get(e).layer() != experts.get(e - 1).layer();
                case EXPERT -> true;
            };
            last += another ? 1 : 0;
            shareOfExpert[e] = last;
        }
        missing = new long[last + 1];
    }

    int count() {
        return missing.length;
    }

    /** The share that expert {@code e} gives to. */
    int of(int e) {
        return shareOfExpert[e];
    }

    void require(int share, long cost) {
        missing[share] += cost;
    }

    void gone(int e, long cost) {
        missing[shareOfExpert[e]] -= cost;
    }

    boolean misses(int share) {
        return missing[share] > 0;
    }
}
