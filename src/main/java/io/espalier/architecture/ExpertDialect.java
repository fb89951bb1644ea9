package io.espalier.architecture;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

import io.espalier.architecture.DecoderSpec.LayerSpec;
import io.espalier.architecture.DecoderSpec.Moe;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Slab;

/**
 * Under which names the files hold a layer's routed experts. An architecture's page says the classical ones, three tensors an expert; transformers 5 keeps
 * the experts of a layer in two:
 *
 * <pre>
 * experts.gate_up_proj [E, 2 width, hidden]   of each expert first the rows of gate, then those of up
 * experts.down_proj    [E, hidden, width]
 * </pre>
 *
 * and calls Mixtral's {@code block_sparse_moe} {@code mlp}. Each layer is looked at by itself.
 */
final class ExpertDialect {

    private final ConfigReader config;
    private final Set<String> names;

    private ExpertDialect(ConfigReader config, Set<String> names) {
        this.config = config;
        this.names = names;
    }

    /**
     * The same model under the names that the files hold.
     *
     * @param classical as the architecture's page says it
     * @param config told of a fused layer whose experts ought to have several widths
     * @param names of all tensors in the files
     */
    static DecoderSpec of(DecoderSpec classical, ConfigReader config, Set<String> names) {
        ExpertDialect dialect = new ExpertDialect(config, names);
        return classical.withLayers(classical.layers().stream().map(dialect::layer).toList());
    }

    private LayerSpec layer(LayerSpec layer) {
        if (!(layer.mlp() instanceof Moe moe)) {
            return layer;
        }
        String router = layer.prefix() + ".mlp.gate.weight";
        boolean moved = !names.contains(moe.router()) && names.contains(router);
        return new LayerSpec(layer.index(), layer.prefix(),
                new Moe(moved ? router : moe.router(), moe.topK(), moe.normTopK(), moe.normEps(),
                        experts(layer, moe), moe.shared(), moe.sharedGate()));
    }

    private List<ExpertTensors> experts(LayerSpec layer, Moe moe) {
        String home = moe.router().substring(0, moe.router().length() - ".gate.weight".length());
        for (String prefix : List.of(home + ".experts.", layer.prefix() + ".mlp.experts.")) {
            if (names.contains(prefix + "gate_up_proj") || names.contains(prefix + "down_proj")) {
                return fused(layer.index(), moe.experts(), prefix);
            }
        }
        return moe.experts();
    }

    private List<ExpertTensors> fused(int layer, List<ExpertTensors> experts, String prefix) {
        int[] widths = experts.stream().mapToInt(ExpertTensors::width).toArray();
        if (Arrays.stream(widths).distinct().count() > 1) {
            config.refuse(Architecture.WIDTHS_KEY + ".expert_widths." + layer + ": " + Arrays.toString(widths)
                    + " (expected: one width, because " + prefix + "gate_up_proj holds all experts of the layer)");
            return experts;
        }
        int width = widths[0];
        int hidden = experts.getFirst().gate().columns();
        List<Long> gateUp = List.of((long) widths.length, 2L * width, (long) hidden);
        List<Long> down = List.of((long) widths.length, (long) hidden, (long) width);
        List<ExpertTensors> fused = new ArrayList<>(widths.length);
        for (int e = 0; e < widths.length; e++) {
            ExpertTensors alone = experts.get(e);
            fused.add(new ExpertTensors(layer, e, width,
                    new Slab(prefix + "gate_up_proj", gateUp, 2L * e * width, width, alone.gate().tensor()),
                    new Slab(prefix + "gate_up_proj", gateUp, (2L * e + 1) * width, width, alone.up().tensor()),
                    new Slab(prefix + "down_proj", down, (long) e * hidden, hidden, alone.down().tensor())));
        }
        return fused;
    }
}
