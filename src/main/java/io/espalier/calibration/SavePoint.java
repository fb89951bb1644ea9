package io.espalier.calibration;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;

import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.SafetensorsFile;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.recipe.Slice;

/**
 * What a sweep needs to go on below a layer of its reverse half: what it had counted (the layers from this one on, and the loss), and the gradient
 * at this layer's input, bit by bit. Everything else comes again, with the same bits, from a forward half through the layers below. A safetensors file
 * whose last tensor is the SHA-256 of all before it.
 *
 * @param layer the lowest that is done
 * @param attempt whose work it is
 * @param statistics of the layers from this one on
 * @param file open; its gradient is a tensor [rows, hidden]
 */
record SavePoint(int layer, int attempt, ExpertStatistics statistics, SafetensorsFile file) implements AutoCloseable {

    private static final String GRADIENT = "gradient";

    /**
     * What is saved, and what a file must be of in order to be of use.
     *
     * @param fingerprint of everything the numbers depend on
     * @param widths atoms of every routed expert
     * @param moments what is counted
     * @param slice the windows
     * @param sequencesPerBatch of this very sweep: sums of other micro-batches have other last bits
     * @param dtype of the gradient
     * @param rows tokens of all micro-batches, padding included
     * @param hidden width of the residual stream
     * @param layers of the model
     */
    record Subject(String fingerprint, int[] widths, Set<Moment> moments, Slice slice, int sequencesPerBatch, DType dtype, long rows,
            int hidden,
            int layers) {

        private Map<String, String> identity() {
            return Map.of("save_point", "1", "slice", slice.from() + "-" + slice.to(), "sequences_per_batch",
                    String.valueOf(sequencesPerBatch));
        }

        private List<Declared> tensors(int firstExpert) {
            List<Declared> declared = new ArrayList<>(ExpertStatistics.tensors(widths, moments, 0, firstExpert));
            declared.add(new Declared(GRADIENT, dtype, List.of(rows, (long) hidden)));
            declared.add(SafetensorsWriter.SEAL);
            return declared;
        }

        /** Bytes of the file, but for its header. */
        long bytes(int firstExpert) {
            return tensors(firstExpert).stream().mapToLong(Declared::length).sum();
        }
    }

    /** @param gradient writes its bytes, row by row */
    static void write(Path file, Subject subject, int layer, int attempt, ExpertStatistics statistics, int firstExpert,
            Consumer<SafetensorsWriter> gradient) {
        Map<String, String> metadata = new TreeMap<>(statistics.metadata(firstExpert));
        metadata.putAll(subject.identity());
        metadata.put("layer", String.valueOf(layer));
        metadata.put("attempt", String.valueOf(attempt));
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, subject.tensors(firstExpert), metadata)) {
            statistics.writeTo(writer, firstExpert);
            gradient.accept(writer.begin(GRADIENT));
            writer.finish();
        }
    }

    /**
     * Opens a file.
     *
     * @throws IllegalArgumentException when it is damaged or of something else, saying what; what breaks its format leaves as other exceptions
     */
    static SavePoint open(Path path, Subject subject) {
        SafetensorsFile file = SafetensorsFile.open(path);
        try {
            require(file.isSealed(), "its bytes are not those that were written");
            Map<String, String> metadata = file.metadata();
            subject.identity().forEach((name, value) -> require(value.equals(metadata.get(name)),
                    name + " " + metadata.get(name) + " (expected: " + value + ")"));
            ExpertStatistics statistics = ExpertStatistics.read(file);
            require(statistics.counts(subject.fingerprint(), subject.widths(), subject.moments()),
                    "fingerprint " + statistics.fingerprint() + " (expected: "
                            + subject.fingerprint() + ")");
            require(file.tensor(GRADIENT).dtype() == subject.dtype()
                    && file.tensor(GRADIENT).shape().equals(List.of(subject.rows(), (long) subject.hidden())),
                    "gradient " + file.tensor(GRADIENT).dtype() + " " + file.tensor(GRADIENT).shape());
            int layer = Integer.parseInt(metadata.get("layer"));
            require(layer > 0 && layer < subject.layers(), "layer " + layer);
            return new SavePoint(layer, Integer.parseInt(metadata.get("attempt")), statistics, file);
        } catch (RuntimeException | InternalError unusable) {
            file.close();
            throw unusable;
        }
    }

    private static void require(boolean right, String wrong) {
        if (!right) {
            throw new IllegalArgumentException(wrong);
        }
    }

    /** [rows, hidden], valid until {@link #close}. */
    MemorySegment gradient() {
        return file.bytes(GRADIENT);
    }

    @Override
    public void close() {
        file.close();
    }
}
