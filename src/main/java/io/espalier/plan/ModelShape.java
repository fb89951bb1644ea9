package io.espalier.plan;

import java.util.Arrays;
import java.util.SequencedMap;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * What decides which engine opens a model: its architecture and the shapes and names of its routed experts.
 *
 * @param modelType the architecture's name in {@code config.json}
 * @param widths of the routed experts by MoE layer
 * @param dialect how the experts lie in the files
 * @param fp8Block rows and columns that share an FP8 scale; {@link #FP8_ROWS} for a scale a row, {@link #NOT_FP8} where the experts are no FP8
 * @param sharedWidthAside whether the shared expert's width is said in a key of ours, because no stock key can
 * @param modeling whether a modeling file of ours lies beside it
 * @param ownCode whether the model brings the modeling file of an architecture that transformers does not have
 */
public record ModelShape(String modelType, SequencedMap<Integer, int[]> widths, Dialect dialect, int fp8Block, boolean sharedWidthAside,
        boolean modeling, boolean ownCode) {

    public static final int NOT_FP8 = -1;
    public static final int FP8_ROWS = 0;

    /** How a layer's experts lie in the files. */
    public enum Dialect {
        /** Three tensors an expert. */
        PER_EXPERT,
        /** Two tensors a layer, {@code mlp.experts.gate_up_proj} and {@code mlp.experts.down_proj}. */
        FUSED,
        /** Two tensors a layer, under a name that transformers 5 does not write. */
        FUSED_ELSEWHERE,
        /** Some layers one way, some the other. */
        MIXED
    }

    SortedSet<Integer> distinctWidths() {
        return widths.values().stream().flatMapToInt(Arrays::stream).distinct().boxed().collect(Collectors.toCollection(TreeSet::new));
    }

    /** Whether no atom is left. */
    boolean empty() {
        return distinctWidths().last() == 0;
    }

    boolean oneWidthALayer() {
        return widths.values().stream().allMatch(layer -> Arrays.stream(layer).distinct().count() == 1);
    }

    /** Experts of a layer. */
    int experts() {
        return widths.values().stream().mapToInt(layer -> layer.length).max().orElse(0);
    }
}
