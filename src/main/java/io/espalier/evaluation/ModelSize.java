package io.espalier.evaluation;

import io.espalier.architecture.DecoderSpec;
import io.espalier.architecture.ParameterCount;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.recipe.PruningResult;

/** How big a model is, in the words of a result. */
public final class ModelSize {

    private ModelSize() {}

    /** Parameters of one atom: a row of gate, a row of up, a column of down. */
    public static long parametersPerAtom(DecoderSpec spec) {
        return ParameterCount.perAtom(spec);
    }

    public static PruningResult.Size of(DecoderSpec spec, Checkpoint checkpoint) {
        ParameterCount count = ParameterCount.of(spec, checkpoint);
        return new PruningResult.Size(count.total(), count.active(), count.atoms(), checkpoint.tensorBytes());
    }
}
