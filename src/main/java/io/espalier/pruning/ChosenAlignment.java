package io.espalier.pruning;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.plan.Allocation;
import io.espalier.recipe.Layout;
import io.espalier.recipe.PruningRecipe;
import io.espalier.transformer.DecoderSpec;

/**
 * The alignment that an order comes to: the one it names, or for {@code auto} one that the serving engines' kernels like and the experts can afford.
 *
 * <pre>
 * whole experts       1: the widths stay
 * FP8 in blocks       the block, because vLLM and SGLang refuse a width that is no multiple of it
 * else                the largest power of two up to 128 that is at most an eighth of the narrowest expert on each device
 * </pre>
 *
 * 128 is the widest tile of the grouped matrix products looked at; an eighth of the width keeps the rounding to a sixteenth of an expert on average.
 *
 * @param atoms at least 1
 * @param why a sentence
 */
record ChosenAlignment(int atoms, String why) {

    private static final int WIDEST_TILE = 128;
    private static final int STEPS_AN_EXPERT = 8;

    static ChosenAlignment of(PruningRecipe recipe, DecoderSpec spec, Checkpoint checkpoint) {
        if (!recipe.alignment().isAuto()) {
            return new ChosenAlignment(recipe.alignment().atoms(), "as ordered");
        }
        if (recipe.layout() == Layout.EXPERTS) {
            return new ChosenAlignment(1, "whole experts go, and the widths stay as they are");
        }
        int narrowest = spec.experts().stream().mapToInt(ExpertTensors::width).min().orElse(1) / recipe.tensorParallel();
        int block = Allocation.sourceBlock(checkpoint, spec.experts());
        if (block > 1 && block <= narrowest) {
            return new ChosenAlignment(block, "the experts are stored in FP8 in blocks of " + block
                    + ", and engines refuse a width that is no multiple of it");
        }
        int atoms = 1;
        while (atoms * 2 <= Math.min(WIDEST_TILE, narrowest / STEPS_AN_EXPERT)) {
            atoms *= 2;
        }
        return new ChosenAlignment(atoms,
                "the largest power of two up to " + WIDEST_TILE + " that leaves the narrowest expert, " + narrowest
                        + " atoms a device, at least " + STEPS_AN_EXPERT + " steps");
    }
}
