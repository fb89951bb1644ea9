package io.espalier.plan;

import java.util.List;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Scales;
import io.espalier.checkpoint.Slab;
import io.espalier.checkpoint.StoredMatrix;
import io.espalier.recipe.Budget.RatioOf;

/**
 * What the atoms of one routed expert are worth, and what one of them weighs.
 *
 * @param layer index of the decoder layer
 * @param expert index within the layer
 * @param scores one an atom; positive infinity ranks above every number, negative infinity below
 * @param parametersPerAtom values that one atom's rows and column hold
 * @param bytesPerAtom bytes that they take in the checkpoint
 * @param bytesPerBlock bytes of the scales that a source block of atoms shares, the last and smaller one too; 0 where there are none
 */
public record ExpertScores(int layer, int expert, double[] scores, long parametersPerAtom, long bytesPerAtom, long bytesPerBlock) {

    /** Atoms without shared scales. */
    public ExpertScores(int layer, int expert, double[] scores, long parametersPerAtom, long bytesPerAtom) {
        this(layer, expert, scores, parametersPerAtom, bytesPerAtom, 0);
    }

    /** The weights as the checkpoint stores them. */
    public static ExpertScores of(Checkpoint checkpoint, ExpertTensors expert, double[] scores) {
        long parameters = 0;
        long bytes = 0;
        long shared = 0;
        for (Slab slab : List.of(expert.gate(), expert.up(), expert.down())) {
            boolean byRows = slab != expert.down();
            StoredMatrix matrix = checkpoint.matrix(slab);
            long values = byRows ? matrix.columns() : matrix.rows();
            parameters += values;
            bytes += values * matrix.dtype().bytes();
            Scales scales = matrix.scales();
            if (scales != null && scales.inBlocks()) {
                shared += scales.tensor().dim(byRows ? 1 : 0) * scales.tensor().dtype().bytes();
            } else if (scales != null && byRows) {
                bytes += scales.tensor().dtype().bytes();
            }
        }
        return new ExpertScores(expert.layer(), expert.expert(), scores, parameters, bytes, shared);
    }

    /**
     * What so many of the expert's atoms weigh, whole blocks.
     *
     * @param unit in what it is counted
     * @param sourceBlock atoms that share scales; 1 where each goes by itself
     */
    long cost(RatioOf unit, long atoms, int sourceBlock) {
        return switch (unit) {
            case ROUTED_ATOMS -> atoms;
            case TOTAL_PARAMETERS -> parametersPerAtom * atoms;
            case BYTES -> bytesPerAtom * atoms + bytesPerBlock * Math.ceilDiv(atoms, sourceBlock);
        };
    }
}
