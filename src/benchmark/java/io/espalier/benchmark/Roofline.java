package io.espalier.benchmark;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import io.espalier.benchmark.SweepProfile.Part;
import io.espalier.calibration.ExpertStatistics;
import io.espalier.transformer.ProductPeak;

/**
 * The share of this machine's measured matrix-product peak that each part of the sweep reaches. FLOPs are counted from the mathematics, a multiplication
 * and an addition each; seconds by looking at what every thread does, {@link SweepProfile}.
 *
 * <pre>
 *   experts, shared one too     forward 3 products of [n, hidden] x [hidden, width]; reverse 3: da, dx twice, with gate and up on the tape;
 *                               in the lowest layer 1, da of the routed ones
 *   attention                   forward 4 projections and 2 products of [S, D] x [D, keys] a head; reverse 4 + 5, one of them again, in all layers
 *                               but the lowest; keys: those that a block of 128 queries may look at, half of S and half a block
 *   head                        2 products of [T, hidden] x [hidden, vocabulary]
 * </pre>
 */
final class Roofline {

    /** Rows of the product that the peak is taken from, and of one expert's share of a micro-batch of the reference shape. */
    private static final int[] PEAK_ROWS = {1024, 136};

    private static final double PEAK_SECONDS = 2;

    /** Of the product's attention. */
    private static final double QUERIES_AT_ONCE = 128;

    private Roofline() {}

    public static void main(String[] arguments) throws Exception {
        Options options = Options.of(arguments, "tiny", "sequences", "length", "layers", "architecture");
        boolean tiny = options.flag("tiny");
        boolean qwen3 = options.word("architecture", "qwen2_moe", "qwen2_moe", "qwen3_moe").equals("qwen3_moe");
        ModelShape shape = tiny
                ? qwen3 ? ModelShape.TINY_QWEN3 : ModelShape.TINY_QWEN2
                : qwen3 ? ModelShape.QWEN3_30B.withLayers(2).withVocabulary(8192) : ModelShape.REFERENCE;
        ModelShape model = shape.withLayers(options.number("layers", shape.layers()));
        int lanes = options.compute().lanes();
        int sequences = options.number("sequences", 8);
        int length = options.number("length", tiny ? 32 : 512);
        Path checkpoint = RandomCheckpoint.in(options.cache(), model, 1);
        int[][] ids = RandomCheckpoint.tokens(sequences, length, model.vocabulary(), 2);
        Report report = new Report("Roofline", options);
        report.fact("model", model.toString());
        report.fact("tokens", sequences + " sequences of " + length);
        report.fact("lanes", lanes);
        ScoreComparison.onTinyModel(report, options);
        double peak = 0;
        for (int rows : PEAK_ROWS) {
            double measured = ProductPeak.measure(lanes, rows, options.precision(), tiny ? 0.2 : PEAK_SECONDS);
            report.fact("peak_gflops_at_" + rows + "_rows", measured);
            peak = Math.max(peak, measured);
        }
        ExpertStatistics[] statistics = new ExpertStatistics[1];
        SweepProfile profile = SweepProfile.of(() -> statistics[0] = EspalierSweep.run(checkpoint, ids, options.compute()));
        long routed = 0;
        for (int e = 0; e < statistics[0].experts(); e++) {
            routed += statistics[0].routedTokens(e);
        }
        table(report, new Work(model, sequences, length, routed), profile, peak, lanes);
        report.finish();
    }

    /** GFLOP of each part. */
    private record Work(ModelShape shape, double sequences, double length, double routed) {

        double of(Part part) {
            double tokens = sequences * length;
            double above = (shape.layers() - 1.0) / shape.layers();
            double experts = 2.0 * shape.hidden() * routed * shape.width();
            double mlp = experts + 2.0 * shape.hidden() * tokens * shape.layers() * shape.sharedWidth();
            double projections = shape.layers() * tokens * 2 * shape.hidden() * shape.headDim() * 2 * (shape.heads() + shape.kvHeads());
            double keys = (length + Math.min(length, QUERIES_AT_ONCE)) / 2;
            double scores = shape.layers() * sequences * shape.heads() * 2 * length * keys * shape.headDim();
            return 1e-9 * switch (part) {
                case EXPERTS_FORWARD -> 3 * mlp;
                case EXPERTS_REVERSE -> 3 * mlp * above + experts * (1 - above);
                case ATTENTION_FORWARD -> projections + 2 * scores;
                case ATTENTION_REVERSE -> (projections + 5 * scores) * above;
                case HEAD -> 2 * 2 * tokens * shape.hidden() * shape.vocabulary();
                default -> 0;
            };
        }
    }

    private static void table(Report report, Work work, SweepProfile profile, double peak, int lanes) {
        List<List<Object>> rows = new ArrayList<>();
        double capacity = lanes * profile.seconds();
        double busy = 0;
        double total = 0;
        for (Part part : Part.values()) {
            double seconds = profile.threadSeconds(part);
            double gflop = work.of(part);
            if (part != Part.WAITING) {
                busy += seconds;
                total += gflop;
                rows.add(row(part.shown(), seconds, seconds / capacity, gflop, gflop * seconds == 0 ? Double.NaN : gflop / seconds,
                        gflop * seconds == 0 ? Double.NaN : gflop / seconds / (peak / lanes)));
            }
        }
        double idle = Math.max(0, capacity - busy);
        rows.add(row("lanes idle", idle, idle / capacity, 0, Double.NaN, Double.NaN));
        rows.add(row("whole sweep", capacity, 1, total, total / capacity, total / capacity / (peak / lanes)));
        report.fact("sweep_wall_s", profile.seconds());
        report.table("parts", List.of("part", "thread_s", "share_of_time", "gflop", "gflops_per_thread", "share_of_peak"), rows);
        if (!profile.unplaced().isEmpty()) {
            report.fact("other_is", profile.unplaced());
        }
        double experts = (work.of(Part.EXPERTS_FORWARD) + work.of(Part.EXPERTS_REVERSE))
                / (profile.threadSeconds(Part.EXPERTS_FORWARD) + profile.threadSeconds(Part.EXPERTS_REVERSE));
        report.bar("experts, share of peak", experts / (peak / lanes), ">=", 0.60);
        report.bar("whole sweep, share of peak", total / capacity / (peak / lanes), ">=", 0.45);
    }

    private static List<Object> row(String part, double seconds, double share, double gflop, double rate, double ofPeak) {
        return List.of(part, seconds, share, gflop, rate, ofPeak);
    }
}
