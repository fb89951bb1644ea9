package io.espalier.plan;

import java.math.BigDecimal;
import java.math.RoundingMode;
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
 * <p>Each layout is a {@link Competition}; orders, questions what an order would do and curves all go through it.
 *
 * @param budget how much has to go
 * @param layout ragged: as above; uniform: every expert keeps its best W atoms, W the widest aligned width that reaches the target; per_layer: a W for
 *     each layer ({@link LayerWidths}); experts: whole experts ({@link WholeExperts})
 * @param alignment every width after is a multiple of this, at least 1; whole experts keep their widths
 * @param allowEmptyExperts whether an expert may lose all its atoms
 * @param scope within what units compete
 * @param granularity whether atoms or whole experts go
 * @param sourceBlock atoms that share FP8 scales in the source, as {@link #sourceBlock(Checkpoint, List)} finds it; 1 where each goes by itself
 * @param demands what engines ask of the shapes beside alignment
 * @param protections what stays whatever the budget. Protected atoms rank above all others of their expert; experts that stay whole are in no share
 */
public record Allocation(Budget budget, Layout layout, int alignment, boolean allowEmptyExperts, Scope scope, Granularity granularity,
        int sourceBlock, EngineDemands demands, Protections protections) {

    /** Nothing is protected; one device, and experts enough for every token. */
    public Allocation(Budget budget, Layout layout, int alignment, boolean allowEmptyExperts, Scope scope, Granularity granularity,
            int sourceBlock) {
        this(budget, layout, alignment, allowEmptyExperts, scope, granularity, sourceBlock, EngineDemands.NONE, Protections.NONE);
    }

    /** Each atom goes by itself. */
    public Allocation(Budget budget, Layout layout, int alignment, boolean allowEmptyExperts, Scope scope, Granularity granularity) {
        this(budget, layout, alignment, allowEmptyExperts, scope, granularity, 1);
    }

    /** The same with another budget. */
    Allocation within(Budget other) {
        return new Allocation(other, layout, alignment, allowEmptyExperts, scope, granularity, sourceBlock, demands, protections);
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
     *     {@code INVALID_RECIPE} for words that contradict each other or the model
     */
    public KeepPlan plan(List<ExpertScores> experts, ModelSize model) {
        return stay(RankedScores.of(experts, sourceBlock), model).plan();
    }

    /** The same decision without saying which atoms; after the first time with these scores and this alignment, a walk over them. */
    public Stay stay(RankedScores scores, ModelSize model) {
        return competition(scores, model).stay(this);
    }

    /** Takes this order's budget, and after it greater ones. */
    Competition competition(RankedScores scores, ModelSize model) {
        refuseContradictions();
        long total = total(scores, model);
        if (budget.target() != null && budget.target() >= total) {
            throw refused(ErrorCode.INVALID_RECIPE, budget.field(), budget.amount(), "less than " + total + ", what the model has before");
        }
        Guarded guarded = Guarded.of(protections, scores.experts());
        return switch (layout) {
            case RAGGED -> new RaggedCompetition(this, scores, guarded, total);
            case UNIFORM -> new OneWidth(this, scores, guarded, total);
            case PER_LAYER -> new LayerWidths(this, scores, guarded, total);
            case EXPERTS -> new WholeExperts(this, scores, guarded, total);
        };
    }

    static PruningException refused(ErrorCode code, String field, String given, String expected) {
        return new PruningException(code, List.of(new Violation(field, given, expected)));
    }

    private void refuseContradictions() {
        if (granularity == Granularity.EXPERT && (layout == Layout.UNIFORM || layout == Layout.PER_LAYER)) {
            throw refused(ErrorCode.INVALID_RECIPE, "layout", layout.json(),
                    "ragged or experts, because frequency removes whole experts and one width for all keeps every expert");
        }
        if ((granularity == Granularity.EXPERT || layout == Layout.EXPERTS) && scope == Scope.EXPERT) {
            throw refused(ErrorCode.INVALID_RECIPE, "method.scope", "expert", "global or layer, because whole experts compete");
        }
        if (protections.ofWholeExperts() && layout == Layout.UNIFORM) {
            throw refused(ErrorCode.INVALID_RECIPE, "layout", "uniform",
                    "ragged or per_layer, because one width for all cannot spare protected layers or experts");
        }
    }

    /** Every width is a multiple of this: an aligned share for each device. */
    int step() {
        return layout == Layout.EXPERTS ? 1 : Math.multiplyExact(alignment, demands.tensorParallel());
    }

    /** The step as an order says it. */
    String alignmentWords() {
        return alignment + (demands.tensorParallel() == 1 ? "" : " on each of tensor_parallel " + demands.tensorParallel())
                + (sourceBlock == 1 ? "" : " in whole source blocks of " + sourceBlock);
    }

    /** {@code ratio 0.5}, or {@code budget.target_bytes 1000}. */
    String budgetWords() {
        return budget.target() == null ? "ratio " + budget.ratio().toPlainString() : budget.field() + " " + budget.amount();
    }

    /** What so many of an expert's atoms weigh, whole blocks. */
    long cost(ExpertScores expert, long atoms) {
        return expert.cost(budget.unit(), atoms, sourceBlock);
    }

    private long total(RankedScores scores, ModelSize model) {
        return switch (budget.unit()) {
            case ROUTED_ATOMS -> scores.experts().stream().mapToLong(expert -> expert.scores().length).sum();
            case TOTAL_PARAMETERS -> model.parameters();
            case BYTES -> model.bytes();
        };
    }

    long routedCost(List<ExpertScores> experts) {
        return experts.stream().mapToLong(expert -> cost(expert, expert.scores().length)).sum();
    }

    /** {@code ceil(ratio * total * part / whole)}, or the same share of what is above the target. */
    long target(long total, long part, long whole) {
        return budget.toRemove(total).multiply(BigDecimal.valueOf(part)).divide(BigDecimal.valueOf(whole), 0, RoundingMode.CEILING)
                .longValueExact();
    }

    /** @param most what can be removed */
    PruningException unreachable(BigDecimal most, long total, String why) {
        String expected = budget.target() == null
                ? "at most " + most.divide(BigDecimal.valueOf(total), 6, RoundingMode.FLOOR).max(BigDecimal.ZERO).toPlainString()
                : "at least " + BigDecimal.valueOf(total).subtract(most.setScale(0, RoundingMode.FLOOR)).toPlainString();
        return refused(ErrorCode.BUDGET_UNREACHABLE, budget.field(), budget.amount(), expected + ", " + why);
    }
}
