package io.espalier.evaluation;

import io.espalier.architecture.DecoderSpec;
import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.architecture.DecoderSpec.Moe;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.recipe.PruningResult;

/** How big a model is, counted from its tensors. */
public final class ModelSize {

    private ModelSize() {}

    /** Parameters of one atom: a row of gate, a row of up, a column of down. */
    public static long parametersPerAtom(DecoderSpec spec) {
        return 3L * spec.hiddenSize();
    }

    public static PruningResult.Size of(DecoderSpec spec, Checkpoint checkpoint) {
        long perAtom = parametersPerAtom(spec);
        long atoms = spec.experts().stream().mapToLong(e -> e.width()).sum();
        double working = 0;
        for (LayerSpec layer : spec.layers()) {
            if (layer.mlp() instanceof Moe moe) {
                double meanWidth = moe.experts().stream().mapToInt(e -> e.width()).average().orElse(0);
                working += moe.topK() * meanWidth * perAtom;
            }
        }
        long total = checkpoint.parameters();
        return new PruningResult.Size(total, Math.round(total - atoms * perAtom + working), atoms, checkpoint.tensorBytes());
    }
}
