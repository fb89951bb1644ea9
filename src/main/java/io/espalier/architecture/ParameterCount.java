package io.espalier.architecture;

import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.architecture.DecoderSpec.Moe;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;

/**
 * How big a model is, counted from its tensors.
 *
 * @param total all values but the scales of FP8 ones
 * @param active those that one token meets: the routed experts count as many as a token is sent to, of a layer's mean width
 * @param routed those in routed experts
 * @param atoms routed atoms: rows of gate, with those of up and the columns of down
 */
public record ParameterCount(long total, long active, long routed, long atoms) {

    public static ParameterCount of(DecoderSpec spec, Checkpoint checkpoint) {
        long perAtom = perAtom(spec);
        long atoms = spec.experts().stream().mapToLong(ExpertTensors::width).sum();
        double working = 0;
        for (LayerSpec layer : spec.layers()) {
            if (layer.mlp() instanceof Moe moe) {
                working += moe.topK() * moe.experts().stream().mapToInt(ExpertTensors::width).average().orElse(0) * perAtom;
            }
        }
        long total = checkpoint.parameters();
        return new ParameterCount(total, Math.round(total - atoms * perAtom + working), atoms * perAtom, atoms);
    }

    /** Parameters of one atom: a row of gate, a row of up, a column of down. */
    public static long perAtom(DecoderSpec spec) {
        return 3L * spec.hiddenSize();
    }
}
