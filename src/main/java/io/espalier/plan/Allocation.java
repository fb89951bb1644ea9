package io.espalier.plan;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Scales;
import io.espalier.recipe.Budget;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice.Scope;
import io.espalier.recipe.Protections;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.Violation;

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
 * <p>Where FP8 weights have one scale for a block of atoms, blocks compete in the place of atoms, by the mean score of their atoms, and stay or go as a
 * whole: what a cut can then keep, its scales describe exactly. The last block of an expert may be smaller; in a uniform layout it stays in all experts
 * or in none.
 *
 * @param budget how much has to go
 * @param layout ragged: as above; uniform: every expert keeps its best W atoms, W the widest aligned width that reaches the target
 * @param alignment every width after is a multiple of this, at least 1
 * @param allowEmptyExperts whether an expert may lose all its atoms
 * @param scope within what units compete
 * @param granularity whether atoms or whole experts go
 * @param sourceBlock atoms that share FP8 scales in the source, as {@link #sourceBlock(Checkpoint, List)} finds it; 1 where each goes by itself
 * @param protections what stays whatever the budget. Protected atoms rank above all others of their expert; experts that stay whole are in no share
 */
public record Allocation(Budget budget, Layout layout, int alignment, boolean allowEmptyExperts, Scope scope, Granularity granularity,
        int sourceBlock, Protections protections) {

    /** Nothing is protected. */
    public Allocation(Budget budget, Layout layout, int alignment, boolean allowEmptyExperts, Scope scope, Granularity granularity,
            int sourceBlock) {
        this(budget, layout, alignment, allowEmptyExperts, scope, granularity, sourceBlock, Protections.NONE);
    }

    /** Each atom goes by itself. */
    public Allocation(Budget budget, Layout layout, int alignment, boolean allowEmptyExperts, Scope scope, Granularity granularity) {
        this(budget, layout, alignment, allowEmptyExperts, scope, granularity, 1);
    }

    /** The same with another budget. */
    Allocation within(Budget other) {
        return new Allocation(other, layout, alignment, allowEmptyExperts, scope, granularity, sourceBlock, protections);
    }

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

    /** Atoms of the source that share FP8 scales, 1 when none do. */
    public static int sourceBlock(Checkpoint source, List<ExpertTensors> experts) {
        return experts.stream().flatMap(expert -> Stream.of(expert.gate(), expert.up(), expert.down()))
                .map(slab -> source.matrix(slab).scales()).filter(scales -> scales != null && scales.inBlocks())
                .mapToInt(Scales::rowsEach).max().orElse(1);
    }

    /**
     * Decides.
     *
     * @param experts every routed expert of the model, in order of (layer, expert)
     * @throws PruningException {@code NOT_FINITE} for a score that is NaN, {@code ALIGNMENT_LEAVES_NOTHING}, {@code BUDGET_UNREACHABLE}, or
     *     {@code INVALID_RECIPE} for whole experts in a uniform layout or within one expert
     */
    public KeepPlan plan(List<ExpertScores> experts, ModelSize model) {
        return stay(RankedScores.of(experts, sourceBlock), model).plan();
    }

    /** The same decision without saying which atoms; after the first time with these scores and this alignment, a walk over them. */
    public Stay stay(RankedScores scores, ModelSize model) {
        refuseContradictions();
        long total = total(scores, model);
        if (budget.target() != null && budget.target() >= total) {
            throw refused(ErrorCode.INVALID_RECIPE, budget.field(), budget.amount(), "less than " + total + ", what the model has before");
        }
        Guarded guarded = Guarded.of(protections, scores.experts());
        return switch (layout) {
            case RAGGED -> ragged(scores, guarded, total);
            case UNIFORM -> uniform(scores, guarded, total);
        };
    }

    private static PruningException refused(ErrorCode code, String field, String given, String expected) {
        return new PruningException(code, List.of(new Violation(field, given, expected)));
    }

    private void refuseContradictions() {
        if (granularity == Granularity.EXPERT && layout == Layout.UNIFORM) {
            throw refused(ErrorCode.INVALID_RECIPE, "layout", "uniform",
                    "ragged, because frequency removes whole experts and one width for all keeps every expert");
        }
        if (granularity == Granularity.EXPERT && scope == Scope.EXPERT) {
            throw refused(ErrorCode.INVALID_RECIPE, "method.scope", "expert", "global or layer, because whole experts compete");
        }
        if (protections.ofWholeExperts() && layout == Layout.UNIFORM) {
            throw refused(ErrorCode.INVALID_RECIPE, "layout", "uniform",
                    "ragged, because one width for all cannot spare protected layers or experts");
        }
    }

    /** What so many of an expert's atoms weigh, whole blocks. */
    long cost(ExpertScores expert, long atoms) {
        return expert.cost(budget.unit(), atoms, sourceBlock);
    }

    private long cost(ExpertScores expert) {
        return cost(expert, expert.scores().length);
    }

    private long total(RankedScores scores, ModelSize model) {
        return switch (budget.unit()) {
            case ROUTED_ATOMS -> scores.experts().stream().mapToLong(expert -> expert.scores().length).sum();
            case TOTAL_PARAMETERS -> model.parameters();
            case BYTES -> model.bytes();
        };
    }

    long routedCost(OwnRankings ranked) {
        return ranked.experts().stream().mapToLong(this::cost).sum();
    }

    /** {@code ceil(ratio * total * part / whole)}, or the same share of what is above the target. */
    long target(long total, long part, long whole) {
        return budget.toRemove(total).multiply(BigDecimal.valueOf(part)).divide(BigDecimal.valueOf(whole), 0, RoundingMode.CEILING)
                .longValueExact();
    }

    private Stay uniform(RankedScores scores, Guarded guarded, long total) {
        OwnRankings ranked = guarded.atoms().isEmpty()
                ? scores.inUnitsOf(alignment).own()
                : scores.inUnitsOf(alignment, scores.raised(guarded.atoms())).own();
        long whole = routedCost(ranked);
        long left = whole - target(total, whole, whole);
        int least = widestOf(guarded, ranked);
        int reached = widestWithin(ranked, left);
        if (reached < Math.max(1, least)) {
            int narrowest = least == 0 ? alignment : Math.ceilDiv(least, alignment) * alignment;
            throw unreachable(BigDecimal.valueOf(whole - column(ranked, narrowest)), total, least == 0
                    ? "one width for all is at least " + alignment
                    : "one width for all is at least " + narrowest + " because of the protections");
        }
        int width = reached;
        while (width > 0 && (width % alignment != 0 || !ranked.inBlocks(width))) {
            width--;
        }
        if (width < Math.max(1, least)) {
            throw refused(ErrorCode.ALIGNMENT_LEAVES_NOTHING, "alignment", alignment + inBlocks(), "at most " + reached
                    + ", the uniform expert width that " + (budget.target() == null ? "ratio " : budget.field() + " ")
                    + (budget.target() == null ? budget.ratio().toPlainString() : budget.amount()) + " leaves"
                    + (least == 0 ? "" : ", and a width of " + least + " or more because of the protections"));
        }
        int[] widths = new int[ranked.experts().size()];
        Arrays.fill(widths, width);
        Stay stay = Stay.widths(ranked, widths);
        guarded.requireKept(stay);
        return stay;
    }

    /** The narrowest width at which every expert keeps what is protected. */
    private static int widestOf(Guarded guarded, OwnRankings ranked) {
        int least = 0;
        for (int e = 0; e < ranked.experts().size(); e++) {
            least = Math.max(least, guarded.width(e, ranked));
        }
        return least;
    }

    /** The widest width for all that weighs no more; 0 when none does. */
    private int widestWithin(OwnRankings ranked, long left) {
        int fits = 0;
        int tooWide = ranked.narrowest() + 1;
        while (fits + 1 < tooWide) {
            int middle = (fits + tooWide) >>> 1;
            if (column(ranked, middle) > left) {
                tooWide = middle;
            } else {
                fits = middle;
            }
        }
        return fits;
    }

    /** What experts of one width weigh. */
    private long column(OwnRankings ranked, int width) {
        long sum = 0;
        for (ExpertScores expert : ranked.experts()) {
            sum += cost(expert, width);
        }
        return sum;
    }

    private String inBlocks() {
        return sourceBlock == 1 ? "" : " in whole source blocks of " + sourceBlock;
    }

    private Stay ragged(RankedScores scores, Guarded guarded, long total) {
        Competition competition = competition(scores, guarded, total);
        competition.requireReachable(this);
        return competition.walk.take(competition.targets(this));
    }

    /**
     * A walk that has not begun, and what each share stands for.
     *
     * @param walk from the first unit
     * @param costs what the experts of each share weigh that are not protected as a whole
     * @param total what the budget is a share of
     * @param nothing whether nothing is protected
     */
    record Competition(RaggedWalk walk, long[] costs, long total, boolean nothing) {

        /** What each share has to give. */
        long[] targets(Allocation order) {
            long whole = Arrays.stream(costs).sum();
            return Arrays.stream(costs).map(cost -> cost == 0 ? 0 : order.target(total, cost, whole)).toArray();
        }

        void requireReachable(Allocation order) {
            long[] removable = walk.removable();
            long[] targets = targets(order);
            boolean reached = Arrays.stream(costs).sum() > 0;
            for (int s = 0; s < targets.length; s++) {
                reached &= targets[s] <= removable[s];
            }
            if (reached) {
                return;
            }
            BigDecimal whole = BigDecimal.valueOf(Arrays.stream(costs).sum());
            BigDecimal most = null;
            for (int s = 0; s < costs.length; s++) {
                if (costs[s] > 0) {
                    BigDecimal here = BigDecimal.valueOf(removable[s]).multiply(whole)
                            .divide(BigDecimal.valueOf(costs[s]), new MathContext(34, RoundingMode.FLOOR));
                    most = most == null ? here : most.min(here);
                }
            }
            throw order.unreachable(most == null ? BigDecimal.ZERO : most, total, order.leastWords(nothing));
        }
    }

    /** The competition of a ragged layout, whatever the budget asks for. */
    Competition competition(RankedScores scores, ModelSize model) {
        refuseContradictions();
        return competition(scores, Guarded.of(protections, scores.experts()), total(scores, model));
    }

    private Competition competition(RankedScores scores, Guarded guarded, long total) {
        RankedScores.InUnits inUnits = guarded.atoms().isEmpty()
                ? scores.inUnitsOf(alignment)
                : scores.inUnitsOf(alignment, scores.raised(guarded.atoms()));
        OwnRankings ranked = inUnits.own();
        boolean whole = granularity == Granularity.EXPERT;
        // why not the raised scores: what is protected stays anyway, and says nothing about the rest of its expert
        int[] order = whole ? StableOrder.of(scores.inUnitsOf(alignment).own().expertMeans()) : inUnits.experts();
        RaggedWalk walk = new RaggedWalk(ranked, order,
                guarded.units(ranked, allowEmptyExperts ? 0 : 1), scope, whole, this::cost);
        long[] costs = new long[walk.shares().count()];
        for (int e = 0; e < ranked.experts().size(); e++) {
            costs[walk.shares().of(e)] += guarded.whole()[e] ? 0 : cost(ranked.experts().get(e));
        }
        return new Competition(walk, costs, total, guarded.nothing());
    }

    private String leastWords(boolean nothing) {
        String least = sourceBlock == 1 ? alignment + " atoms" : "one unit of whole source blocks of " + sourceBlock + " atoms";
        return !nothing
                ? "the protections let no more go"
                : allowEmptyExperts ? "all that routed experts hold" : "every expert keeps at least " + least;
    }

    /** @param most what can be removed */
    PruningException unreachable(BigDecimal most, long total, String why) {
        String expected = budget.target() == null
                ? "at most " + most.divide(BigDecimal.valueOf(total), 6, RoundingMode.FLOOR).max(BigDecimal.ZERO).toPlainString()
                : "at least " + BigDecimal.valueOf(total).subtract(most.setScale(0, RoundingMode.FLOOR)).toPlainString();
        return refused(ErrorCode.BUDGET_UNREACHABLE, budget.field(), budget.amount(), expected + ", " + why);
    }
}
