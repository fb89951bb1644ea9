package io.espalier.plan;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Scales;
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
 * <p>Where FP8 weights have one scale for a block of atoms, blocks compete in the place of atoms, by the mean score of their atoms, and stay or go as a
 * whole: what a cut can then keep, its scales describe exactly. The last block of an expert may be smaller; in a uniform layout it stays in all experts
 * or in none.
 *
 * @param budget how much has to go
 * @param layout ragged: as above; uniform: every expert keeps its best W atoms, W the widest aligned width that reaches the target; per_layer: a W for
 *     each layer ({@link LayerWidths}); experts: whole experts ({@link WholeExperts})
 * @param alignment every width after is a multiple of this, at least 1; whole experts keep their widths
 * @param allowEmptyExperts whether an expert may lose all its atoms
 * @param scope within what units compete
 * @param granularity whether atoms or whole experts go
 * @param sourceBlock atoms that share FP8 scales in the source, as {@link #sourceBlock(Checkpoint, List)} finds it; 1 where each goes by itself
 * @param demands what else engines ask of the shapes
 */
public record Allocation(Budget budget, Layout layout, int alignment, boolean allowEmptyExperts, Scope scope, Granularity granularity,
        int sourceBlock, EngineDemands demands) {

    /** One device, and experts enough for every token. */
    public Allocation(Budget budget, Layout layout, int alignment, boolean allowEmptyExperts, Scope scope, Granularity granularity,
            int sourceBlock) {
        this(budget, layout, alignment, allowEmptyExperts, scope, granularity, sourceBlock, EngineDemands.NONE);
    }

    /** Each atom goes by itself. */
    public Allocation(Budget budget, Layout layout, int alignment, boolean allowEmptyExperts, Scope scope, Granularity granularity) {
        this(budget, layout, alignment, allowEmptyExperts, scope, granularity, 1);
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
        refuseContradictions();
        if (layout == Layout.EXPERTS) {
            return wholeExperts(OwnRankings.of(experts, 1, 1), model);
        }
        OwnRankings ranked = OwnRankings.of(experts, step(), sourceBlock);
        int[][] stay = switch (layout) {
            case RAGGED -> ragged(ranked, model);
            case UNIFORM -> uniform(ranked, model);
            case PER_LAYER -> perLayer(ranked, model);
            case EXPERTS -> throw new IllegalStateException("planned above");
        };
        List<KeepPlan.Expert> kept = new ArrayList<>(experts.size());
        for (int e = 0; e < experts.size(); e++) {
            ExpertScores expert = experts.get(e);
            kept.add(new KeepPlan.Expert(expert.layer(), expert.expert(), expert.scores().length, stay[e]));
        }
        return KeepPlan.of(kept);
    }

    private void refuseContradictions() {
        if (granularity == Granularity.EXPERT && (layout == Layout.UNIFORM || layout == Layout.PER_LAYER)) {
            throw new PruningException(ErrorCode.INVALID_RECIPE, "layout: " + layout.json()
                    + " (expected: ragged or experts, because frequency removes whole experts and one width for all keeps every expert)");
        }
        if ((granularity == Granularity.EXPERT || layout == Layout.EXPERTS) && scope == Scope.EXPERT) {
            throw new PruningException(ErrorCode.INVALID_RECIPE,
                    "method.scope: expert (expected: global or layer, because whole experts compete)");
        }
    }

    /** Every width is a multiple of this: an aligned share for each device. */
    int step() {
        return Math.multiplyExact(alignment, demands.tensorParallel());
    }

    /** The step as an order says it. */
    String alignmentWords() {
        return "alignment: " + alignment + (demands.tensorParallel() == 1 ? "" : " on each of tensor_parallel " + demands.tensorParallel())
                + inBlocks();
    }

    private KeepPlan wholeExperts(OwnRankings ranked, ModelSize model) {
        List<ExpertScores> experts = ranked.experts();
        boolean[] goes = new WholeExperts(this, experts).decide(total(ranked, model), routedCost(ranked));
        List<KeepPlan.Expert> kept = new ArrayList<>(goes.length);
        for (int e = 0; e < goes.length; e++) {
            ExpertScores expert = experts.get(e);
            int width = expert.scores().length;
            kept.add(goes[e]
                    ? KeepPlan.Expert.removed(expert.layer(), expert.expert(), width)
                    : new KeepPlan.Expert(expert.layer(), expert.expert(), width, IntStream.range(0, width).toArray()));
        }
        return KeepPlan.of(kept);
    }

    private int[][] perLayer(OwnRankings ranked, ModelSize model) {
        int[] widths = new LayerWidths(this, ranked).decide(total(ranked, model));
        return IntStream.range(0, widths.length).mapToObj(e -> ranked.ofWidth(e, widths[e])).toArray(int[][]::new);
    }

    /** What so many of an expert's atoms weigh, whole blocks. */
    long cost(ExpertScores expert, long atoms) {
        return switch (budget.ratioOf()) {
            case ROUTED_ATOMS -> atoms;
            case TOTAL_PARAMETERS -> expert.parametersPerAtom() * atoms;
            case BYTES -> expert.bytesPerAtom() * atoms + expert.bytesPerBlock() * Math.ceilDiv(atoms, sourceBlock);
        };
    }

    private long cost(ExpertScores expert) {
        return cost(expert, expert.scores().length);
    }

    private long total(OwnRankings ranked, ModelSize model) {
        return switch (budget.ratioOf()) {
            case ROUTED_ATOMS -> ranked.atoms();
            case TOTAL_PARAMETERS -> model.parameters();
            case BYTES -> model.bytes();
        };
    }

    long routedCost(OwnRankings ranked) {
        return ranked.experts().stream().mapToLong(this::cost).sum();
    }

    /** {@code ceil(ratio * total * part / whole)}. */
    long target(long total, long part, long whole) {
        return budget.ratio().multiply(BigDecimal.valueOf(total)).multiply(BigDecimal.valueOf(part))
                .divide(BigDecimal.valueOf(whole), 0, RoundingMode.CEILING).longValueExact();
    }

    /** Atoms that stay, for every expert. */
    private int[][] uniform(OwnRankings ranked, ModelSize model) {
        long whole = routedCost(ranked);
        long total = total(ranked, model);
        long left = whole - target(total, whole, whole);
        int width = ranked.narrowest();
        while (width > 0 && column(ranked, width) > left) {
            width--;
        }
        if (width == 0) {
            throw unreachable(new BigDecimal(whole - column(ranked, step())).divide(new BigDecimal(total), 6, RoundingMode.FLOOR),
                    "one width for all is at least " + step());
        }
        int reached = width;
        while (width > 0 && (width % step() != 0 || !ranked.inBlocks(width))) {
            width--;
        }
        if (width == 0) {
            throw new PruningException(ErrorCode.ALIGNMENT_LEAVES_NOTHING, alignmentWords() + " (expected: at most "
                    + reached + ", the uniform expert width that ratio " + budget.ratio().toPlainString() + " leaves)");
        }
        int[][] stay = new int[ranked.experts().size()][];
        for (int e = 0; e < stay.length; e++) {
            stay[e] = ranked.ofWidth(e, width);
        }
        return stay;
    }

    /** What experts of one width weigh. */
    private long column(OwnRankings ranked, int width) {
        return ranked.experts().stream().mapToLong(expert -> cost(expert, width)).sum();
    }

    private String inBlocks() {
        return sourceBlock == 1 ? "" : " in whole source blocks of " + sourceBlock;
    }

    /** Atoms that stay, for every expert. */
    private int[][] ragged(OwnRankings ranked, ModelSize model) {
        int[] units = ranked.units();
        Shares shares = shares(ranked, model);
        boolean whole = granularity == Granularity.EXPERT;
        for (int next : StableOrder.of(whole ? ranked.expertMeans() : ranked.unitMeans())) {
            int e = whole ? next : ranked.expertOfUnit(next);
            int going = whole ? units[e] - spared() : Math.min(1, units[e] - spared());
            if (going > 0 && shares.needs(e)) {
                // an expert's own units go worst first, whoever they compete with
                int worst = ranked.firstUnit(e) + ranked.units(e) - units[e];
                units[e] -= going;
                for (int unit = worst; unit < worst + going; unit++) {
                    shares.gone(e, cost(ranked.experts().get(e), ranked.atoms(unit)));
                }
            }
        }
        int[][] stay = new int[units.length][];
        for (int e = 0; e < units.length; e++) {
            stay[e] = ranked.best(e, units[e]);
        }
        return stay;
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
            ExpertScores expert = experts.get(e);
            int units = ranked.units(e);
            long inUnits = 0;
            for (int unit = ranked.firstUnit(e); unit < ranked.firstUnit(e) + units; unit++) {
                inUnits += cost(expert, ranked.atoms(unit));
            }
            long best = units == 0 ? 0 : cost(expert, ranked.atoms(ranked.firstUnit(e) + units - 1));
            costs[shares.of(e)] += cost(expert);
            removable[shares.of(e)] += cost(expert) - spared() * best;
            shares.gone(e, cost(expert) - inUnits);
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
            String least = sourceBlock == 1 ? step() + " atoms" : "one unit of whole source blocks of " + sourceBlock + " atoms";
            throw unreachable(reachable, allowEmptyExperts ? "all that routed experts hold" : "every expert keeps at least " + least);
        }
        return shares;
    }

    PruningException unreachable(BigDecimal most, String why) {
        String of = budget.ratioOf().name().toLowerCase(Locale.ROOT);
        return new PruningException(ErrorCode.BUDGET_UNREACHABLE, "budget.ratio: " + budget.ratio().toPlainString() + " of " + of
                + " (expected: at most " + most.max(BigDecimal.ZERO).toPlainString() + ", " + why + ")");
    }
}
