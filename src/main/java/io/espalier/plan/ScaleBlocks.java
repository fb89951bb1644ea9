package io.espalier.plan;

import io.espalier.checkpoint.Scales;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;

/**
 * From which source block each block of kept atoms has its scales. The cut computes nothing, so FP8 bytes keep their values only where all atoms that
 * come to lie in one block had equal scales before: whole source blocks in order, or blocks that happen to be scaled alike.
 */
final class ScaleBlocks {

    private ScaleBlocks() {}

    /**
     * @param weight name of the FP8 tensor
     * @param scales of it, in blocks
     * @param axis 0 when rows are kept, 1 when columns are
     * @param kept atom indices, ascending
     * @return rows or columns of the grid of scales, one for each block of kept atoms
     * @throws PruningException {@code FP8_ALIGNMENT} when a block would need two scales
     */
    static int[] of(String weight, Scales scales, int axis, int[] kept) {
        int size = scales.rowsEach();
        int[] lines = new int[Math.ceilDiv(kept.length, size)];
        for (int i = 0; i < kept.length; i++) {
            int line = kept[i] / size;
            if (i % size == 0) {
                lines[i / size] = line;
            } else {
                requireEqual(weight, scales, axis, i / size, lines[i / size], line);
            }
        }
        return lines;
    }

    private static void requireEqual(String weight, Scales scales, int axis, int block, int first, int other) {
        long across = scales.tensor().dim(1 - axis);
        for (long i = 0; i < across && other != first; i++) {
            float one = axis == 0 ? scales.inGrid(first, i) : scales.inGrid(i, first);
            float two = axis == 0 ? scales.inGrid(other, i) : scales.inGrid(i, other);
            if (one != two) {
                throw new PruningException(ErrorCode.FP8_ALIGNMENT, weight + ": block " + block
                        + " of the kept atoms takes some from source block "
                        + first + ", scale " + one + ", and some from source block " + other + ", scale " + two
                        + " (expected: equal scales within "
                        + scales.rowsEach() + " atoms, because FP8 weights are never rounded anew; an alignment of " + scales.rowsEach()
                        + " does not guarantee it, pruning in whole source blocks does, and a bf16 copy of the model needs neither)");
            }
        }
    }
}
