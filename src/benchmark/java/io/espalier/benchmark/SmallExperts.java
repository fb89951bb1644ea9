package io.espalier.benchmark;

import java.util.ArrayList;
import java.util.List;

import io.espalier.transformer.BlockTiming;

/**
 * What it gains to compute several small experts in one call of the engine: a mixture block forward and reverse, experts one by one and together, in
 * turn, for shapes from a bundled fixture's to a 30 billion model's.
 */
final class SmallExperts {

    /** Hidden, experts, selected a token, width, tokens of the micro-batch. */
    private static final List<int[]> SHAPES = List.of(new int[]{128, 16, 2, 32, 2048}, new int[]{128, 64, 8, 32, 2048},
            new int[]{256, 64, 8, 16, 512}, new int[]{256, 256, 8, 32, 512}, new int[]{256, 256, 8, 8, 2048},
            new int[]{512, 128, 8, 64, 2048},
            new int[]{512, 128, 8, 128, 2048}, new int[]{1024, 64, 8, 256, 2048}, new int[]{2048, 60, 4, 1408, 2048},
            new int[]{2048, 128, 8, 768, 2048}, new int[]{2048, 128, 8, 768, 512});

    private SmallExperts() {}

    public static void main(String[] arguments) {
        Options options = Options.of(arguments, "tiny", "seconds");
        Report report = new Report("SmallExperts", options);
        ScoreComparison.onTinyModel(report, options);
        double seconds = options.flag("tiny") ? 0.1 : options.number("seconds", 4);
        List<List<Object>> rows = new ArrayList<>();
        for (int[] shape : SHAPES.subList(0, options.flag("tiny") ? 2 : SHAPES.size())) {
            try (BlockTiming block = new BlockTiming(options.precision(), shape[0], shape[1], shape[2], shape[3], shape[4], 0.5)) {
                double alone = Double.POSITIVE_INFINITY;
                double together = Double.POSITIVE_INFINITY;
                long end = System.nanoTime() + (long) (seconds * 1e9);
                for (int i = 0; i < 3 || System.nanoTime() < end; i++) {
                    alone = Math.min(alone, block.seconds(false));
                    together = Math.min(together, block.seconds(true));
                }
                rows.add(List.of(shape[0], shape[1], shape[2], shape[3], shape[4], alone * 1e3, together * 1e3, alone / together));
            }
        }
        report.table("block", List.of("hidden", "experts", "top_k", "width", "tokens", "one_by_one_ms", "together_ms", "ratio"), rows);
        report.finish();
    }
}
