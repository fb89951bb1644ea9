package io.espalier.plan;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

import io.espalier.recipe.Budget;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice.Scope;
import io.espalier.recipe.PruningException;

/**
 * From scores and a budget to who stays.
 *
 * <pre>
 * cost     what one atom weighs: 1, its parameters or its bytes, as the budget's ratio_of says
 * total    what the ratio is a share of: all routed atoms, all parameters or all bytes of the model
 * target   ceil(ratio * total), exact decimal: the cost that has to go. For routed_atoms, floor(N * (1 - ratio)) atoms stay
 * unit     alignment consecutive atoms of an expert's own ranking; width % alignment atoms at its bottom always go
 * order    units ascending by (mean score, layer, expert, rank); they go from the front until the target is reached
 * </pre>
 *
 * With scope layer or expert every layer or expert has its own target, its share of the target by cost. An expert keeps at least one unit unless it
 * may be empty. With alignment 1 the order is that of the atoms by (score, layer, expert, index).
 *
 * @param budget how much has to go
 * @param layout ragged: as above; uniform: every expert keeps its best W atoms, W the widest aligned width that reaches the target
 * @param alignment every width after is a multiple of this, at least 1
 * @param allowEmptyExperts whether an expert may lose all its atoms
 * @param scope within what units compete
 * @param granularity whether atoms or whole experts go
 */
public record Allocation(Budget budget, Layout layout, int alignment, boolean allowEmptyExperts, Scope scope, Granularity granularity) {

    /** What goes at once. */
    public enum Granularity {
        /** Aligned groups of atoms. */
        ATOM,
        /** Whole experts, ranked by mean score; where no expert may be empty, one that goes keeps its best unit. */
        EXPERT
    }

    /**
     * What a ratio can be a share of, routed atoms aside.
     *
     * @param parameters of the whole model
     * @param bytes of all its tensors
     */
    public record ModelSize(long parameters, long bytes) {}

    /**
     * Decides.
     *
     * @param experts every routed expert of the model, in order of (layer, expert)
     * @throws PruningException {@code NOT_FINITE} for a score that is NaN, {@code ALIGNMENT_LEAVES_NOTHING}, {@code BUDGET_UNREACHABLE}, or
     *     {@code INVALID_RECIPE} for whole experts in a uniform layout or within one expert
     */
    public KeepPlan plan(List<ExpertScores> experts, ModelSize model) {
        refuseContradictions();
        OwnRankings ranked = OwnRankings.of(experts, alignment);
        int[] widths = layout == Layout.UNIFORM ? uniform(ranked, model) : ragged(ranked, model);
        List<KeepPlan.Expert> kept = new ArrayList<>(experts.size());
        for (int e = 0; e < experts.size(); e++) {
            ExpertScores expert = experts.get(e);
            kept.add(new KeepPlan.Expert(expert.layer(), expert.expert(), expert.scores().length, ranked.best(e, widths[e])));
        }
        return KeepPlan.of(kept);
    }

    private void refuseContradictions() {
        if (granularity == Granularity.EXPERT && layout == Layout.UNIFORM) {
            throw new PruningException(ErrorCode.INVALID_RECIPE,
                    "layout: uniform (expected: ragged, because frequency removes whole experts and one width for all keeps every expert)");
        }
        if (granularity == Granularity.EXPERT && scope == Scope.EXPERT) {
            throw new PruningException(ErrorCode.INVALID_RECIPE,
                    "method.scope: expert (expected: global or layer, because whole experts compete)");
        }
    }

    private long cost(ExpertScores expert) {
        return switch (budget.ratioOf()) {
            case ROUTED_ATOMS -> 1;
            case TOTAL_PARAMETERS -> expert.parametersPerAtom();
            case BYTES -> expert.bytesPerAtom();
        };
    }

    private long total(OwnRankings ranked, ModelSize model) {
        return switch (budget.ratioOf()) {
            case ROUTED_ATOMS -> ranked.atoms();
            case TOTAL_PARAMETERS -> model.parameters();
            case BYTES -> model.bytes();
        };
    }

    private long routedCost(OwnRankings ranked) {
        return ranked.experts().stream().mapToLong(expert -> cost(expert) * expert.scores().length).sum();
    }

    /** {@code ceil(ratio * total * part / whole)}. */
    private long target(long total, long part, long whole) {
        return budget.ratio().multiply(BigDecimal.valueOf(total)).multiply(BigDecimal.valueOf(part))
                .divide(BigDecimal.valueOf(whole), 0, RoundingMode.CEILING).longValueExact();
    }

    /** Width after, for every expert. */
    private int[] uniform(OwnRankings ranked, ModelSize model) {
        long whole = routedCost(ranked);
        long total = total(ranked, model);
        long column = ranked.experts().stream().mapToLong(this::cost).sum();
        long left = whole - target(total, whole, whole);
        long width = Math.min(left < 0 ? 0 : left / column, ranked.narrowest());
        if (width == 0) {
            throw unreachable(new BigDecimal(whole - column * alignment).divide(new BigDecimal(total), 6, RoundingMode.FLOOR),
                    "one width for all is at least " + alignment);
        }
        if (width < alignment) {
            throw new PruningException(ErrorCode.ALIGNMENT_LEAVES_NOTHING, "alignment: " + alignment + " (expected: at most " + width
                    + ", the uniform expert width that ratio " + budget.ratio().toPlainString() + " leaves)");
        }
        int[] widths = new int[ranked.experts().size()];
        Arrays.fill(widths, Math.toIntExact(width - width % alignment));
        return widths;
    }

    /** Width after, for every expert. */
    private int[] ragged(OwnRankings ranked, ModelSize model) {
        int[] groups = ranked.groups();
        Shares shares = shares(ranked, model);
        boolean whole = granularity == Granularity.EXPERT;
        for (int unit : StableOrder.of(whole ? ranked.expertMeans() : ranked.unitMeans())) {
            int e = whole ? unit : ranked.expertOfUnit(unit);
            int going = whole ? groups[e] - spared() : Math.min(1, groups[e] - spared());
            if (going > 0 && shares.needs(e)) {
                groups[e] -= going;
                shares.gone(e, (long) going * alignment * cost(ranked.experts().get(e)));
            }
        }
        return Arrays.stream(groups).map(count -> count * alignment).toArray();
    }

    /** Units that an expert keeps whatever the budget. */
    private int spared() {
        return allowEmptyExperts ? 0 : 1;
    }

    private Shares shares(OwnRankings ranked, ModelSize model) {
        List<ExpertScores> experts = ranked.experts();
        Shares shares = new Shares(experts, scope);
        long whole = routedCost(ranked);
        long total = total(ranked, model);
        long[] costs = new long[shares.count()];
        long[] removable = new long[shares.count()];
        for (int e = 0; e < experts.size(); e++) {
            int width = experts.get(e).scores().length;
            costs[shares.of(e)] += cost(experts.get(e)) * width;
            removable[shares.of(e)] += cost(experts.get(e)) * Math.max(0, width - spared() * alignment);
            shares.gone(e, cost(experts.get(e)) * (width % alignment));
        }
        BigDecimal reachable = null;
        boolean reached = true;
        for (int s = 0; s < costs.length; s++) {
            long target = target(total, costs[s], whole);
            reached &= target <= removable[s];
            shares.require(s, target);
            BigDecimal most = BigDecimal.valueOf(removable[s]).multiply(BigDecimal.valueOf(whole))
                    .divide(BigDecimal.valueOf(costs[s]).multiply(BigDecimal.valueOf(total)), 6, RoundingMode.FLOOR);
            reachable = reachable == null ? most : reachable.min(most);
        }
        if (!reached) {
            throw unreachable(reachable,
                    allowEmptyExperts ? "all that routed experts hold" : "every expert keeps at least " + alignment + " atoms");
        }
        return shares;
    }

    private PruningException unreachable(BigDecimal most, String why) {
        String of = budget.ratioOf().name().toLowerCase(Locale.ROOT);
        return new PruningException(ErrorCode.BUDGET_UNREACHABLE, "budget.ratio: " + budget.ratio().toPlainString() + " of " + of
                + " (expected: at most " + most.max(BigDecimal.ZERO).toPlainString() + ", " + why + ")");
    }
}
