package io.espalier.method;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.IntFunction;

import io.espalier.calibration.ExpertStatistics;
import io.espalier.calibration.Moment;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.recipe.MethodChoice;

/**
 * Scores as a safetensors file. With one width for all experts: {@code scores}, {@code mean_act_sq}, {@code mean_grad_sq} F64 [MoE layers, experts, width];
 * with several widths the same names hold all atoms in (layer, expert, atom) order, F64 [atoms]. Beside them {@code widths} and {@code token_count} I64
 * [MoE layers, experts] and {@code layer_index} I64 [MoE layers], the decoder layer of each row. What a plan needs without the model: {@code
 * parameters_per_atom}, {@code bytes_per_atom}, {@code bytes_per_block}, {@code parameters_per_expert}, {@code bytes_per_expert} I64 [MoE layers,
 * experts], and {@code loss_weight} F64 [MoE layers, experts] where
 * scores times that are nats a token.
 */
public final class ScoreFile {

    private ScoreFile() {}

    /**
     * What an atom of each expert weighs, and what each expert has beside its atoms, [expert ordinal].
     *
     * @param parametersPerAtom values
     * @param bytesPerAtom bytes in the checkpoint
     * @param bytesPerBlock bytes of the scales that a block of atoms shares
     * @param parametersPerExpert values of the router and the like that go with a whole expert
     * @param bytesPerExpert bytes of those
     */
    public record Weights(long[] parametersPerAtom, long[] bytesPerAtom, long[] bytesPerBlock, long[] parametersPerExpert,
            long[] bytesPerExpert) {

        private SequencedMap<String, long[]> named() {
            SequencedMap<String, long[]> named = new LinkedHashMap<>();
            named.put("parameters_per_atom", parametersPerAtom);
            named.put("bytes_per_atom", bytesPerAtom);
            named.put("bytes_per_block", bytesPerBlock);
            named.put("parameters_per_expert", parametersPerExpert);
            named.put("bytes_per_expert", bytesPerExpert);
            return named;
        }
    }

    /** @param provenance what the scores are a function of, written into the file's metadata */
    public static void write(Path file, MethodChoice method, Scores scores, Evidence evidence, Weights weights,
            Map<String, String> provenance) {
        List<ExpertTensors> experts = evidence.experts();
        long[] layers = experts.stream().mapToLong(ExpertTensors::layer).distinct().toArray();
        long[] widths = experts.stream().mapToLong(ExpertTensors::width).toArray();
        long perLayer = experts.size() / layers.length;
        boolean oneWidth = java.util.Arrays.stream(widths).distinct().count() == 1;
        List<Long> shape = oneWidth ? List.of((long) layers.length, perLayer, widths[0]) : List.of(java.util.Arrays.stream(widths).sum());
        SequencedMap<String, IntFunction<double[]>> perAtom = new LinkedHashMap<>();
        perAtom.put("scores", e -> scores.values()[e]);
        ExpertStatistics statistics = evidence.statistics();
        if (statistics != null && statistics.moments().contains(Moment.ACTIVATION_SQUARED)) {
            perAtom.put("mean_act_sq", e -> statistics.mean(Moment.ACTIVATION_SQUARED, e));
        }
        if (statistics != null && statistics.moments().contains(Moment.GRADIENT_SQUARED)) {
            perAtom.put("mean_grad_sq", e -> statistics.mean(Moment.GRADIENT_SQUARED, e));
        }
        List<Declared> declared = new ArrayList<>();
        perAtom.keySet().forEach(name -> declared.add(new Declared(name, DType.F64, shape)));
        List<Long> experts2 = List.of((long) layers.length, perLayer);
        declared.add(new Declared("widths", DType.I64, experts2));
        declared.add(new Declared("layer_index", DType.I64, List.of((long) layers.length)));
        weights.named().keySet().forEach(name -> declared.add(new Declared(name, DType.I64, experts2)));
        if (statistics != null) {
            declared.add(new Declared("token_count", DType.I64, experts2));
        }
        if (scores.lossWeight() != null) {
            declared.add(new Declared("loss_weight", DType.F64, experts2));
        }
        SequencedMap<String, String> metadata = new LinkedHashMap<>(provenance);
        metadata.put("method", method.name().json());
        metadata.put("unit", scores.unit());
        if (statistics != null) {
            metadata.put("tokens", String.valueOf(statistics.tokens()));
            metadata.put("loss_reduction", "sum");
        }
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, declared, metadata)) {
            perAtom.forEach((name, values) -> {
                writer.begin(name);
                for (int e = 0; e < experts.size(); e++) {
                    writer.doubles(values.apply(e));
                }
            });
            writer.begin("widths").longs(widths);
            writer.begin("layer_index").longs(layers);
            weights.named().forEach((name, values) -> writer.begin(name).longs(values));
            if (statistics != null) {
                writer.begin("token_count")
                        .longs(java.util.stream.IntStream.range(0, experts.size()).mapToLong(statistics::routedTokens).toArray());
            }
            if (scores.lossWeight() != null) {
                writer.begin("loss_weight").doubles(scores.lossWeight());
            }
            writer.finish();
        }
    }
}
