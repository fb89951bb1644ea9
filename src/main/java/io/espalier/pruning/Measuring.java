package io.espalier.pruning;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import ai.djl.engine.EngineException;
import io.espalier.calibration.ExpertStatistics;
import io.espalier.calibration.Moment;
import io.espalier.calibration.SavePoints;
import io.espalier.calibration.Sweep;
import io.espalier.method.Criterion;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.Slice;
import io.espalier.recipe.Slicing;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.MemoryPlan;

/**
 * The expensive part of a run: how the calibration set is cut into slices, and the sweep over each.
 *
 * @param modelDigest of the opened checkpoint
 */
record Measuring(OpenedRun opened, ComputeDevice device, String modelDigest, Progress progress) {

    /** Tokens of a slice where nobody said how many: a slice is read from the disk twice, so that a fast device needs longer ones. */
    private static final long SLICE_TOKENS_CPU = 16_384;
    private static final long SLICE_TOKENS_GPU = 131_072;
    /** Every claim reads the rows of all pieces of its job: a set of millions of windows gets longer slices, not more of them. */
    private static final int MOST_SLICES = 1000;
    /** Bytes of a model that costs nothing to read once more: two slices at least, so that the halves of the calibration can be compared. */
    private static final long HALVED_BELOW = 1L << 30;
    /** Percent of the whole at which the calibration begins and ends. */
    static final double SLICES_FROM = 2;
    static final double SLICES_TO = 65;

    Slicing slicing(long tokensPerSlice) {
        if (opened.calibration() == null) {
            return new Slicing(Sha256.of(modelDigest), 1, 1, List.of(), opened.recipe().scoreSet());
        }
        int length = opened.calibration().length();
        Cut cut = cut(opened, device, opened.calibration().windows(), length, tokensPerSlice);
        notes().memoryPlanned(cut.plan());
        int batch = cut.plan().sequencesPerBatch();
        return new Slicing(fingerprint(batch), batch, length, cut.slices());
    }

    /** How a set of windows is cut, and how the longest slice fits into memory. */
    record Cut(MemoryPlan plan, List<Slice> slices) {}

    /** The same decision for windows of which only the number is known. */
    static Cut cut(OpenedRun opened, ComputeDevice device, int windows, int length, long tokensPerSlice) {
        long tokens = tokensPerSlice > 0 ? tokensPerSlice : device.isGpu() ? SLICE_TOKENS_GPU : SLICE_TOKENS_CPU;
        boolean halved = tokensPerSlice == 0 && opened.checkpoint().tensorBytes() < HALVED_BELOW;
        int most = Math.clamp(Math.max(tokens / length, Math.ceilDiv(windows, MOST_SLICES)), 1,
                halved ? Math.ceilDiv(windows, 2) : windows);
        MemoryPlan plan = plan(opened, device, most, length);
        int batch = plan.sequencesPerBatch();
        int each = Math.max(1, most / batch) * batch;
        List<Slice> slices = new ArrayList<>();
        for (int from = 0; from < windows; from += each) {
            slices.add(new Slice(from, Math.min(windows, from + each)));
        }
        return new Cut(plan, slices);
    }

    Path measure(Slicing slicing, int slice, Path workDirectory, Saving saving) {
        String fingerprint = fingerprint(slicing.sequencesPerBatch());
        if (!fingerprint.equals(slicing.fingerprint())) {
            throw new PruningException(ErrorCode.INPUTS_CHANGED, "fingerprint of the calibration: " + fingerprint + " (expected: "
                    + slicing.fingerprint() + ", as when the job was opened). The model, the texts or the service changed in between;"
                    + " retry the job, and it measures everything anew", null);
        }
        Slice windows = slicing.slices().get(slice);
        MemoryPlan plan = plan(windows.to() - windows.from()).withSequencesPerBatch(slicing.sequencesPerBatch());
        SavePoints saves = saving == null ? SavePoints.NONE : saving.points(notes().ofSaving(slice + 1, slicing.slices().size()));
        Path file = workDirectory.resolve("statistics-" + slice + ".safetensors");
        statistics(plan, windows, fingerprint, workDirectory, saves).write(file);
        return file;
    }

    private ExpertStatistics statistics(MemoryPlan plan, Slice windows, String fingerprint, Path workDirectory, SavePoints saves) {
        try {
            return sweep(plan, windows, fingerprint, workDirectory, saves);
        } catch (EngineException e) {
            MemoryPlan smaller = String.valueOf(e.getMessage()).contains("out of memory") ? plan.halved() : null;
            if (smaller == null) {
                throw e;
            }
            notes().halved(device, smaller);
            return sweep(smaller, windows, fingerprint, workDirectory, saves);
        }
    }

    private ExpertStatistics sweep(MemoryPlan plan, Slice windows, String fingerprint, Path workDirectory, SavePoints saves) {
        try (Decoder decoder = Decoder.open(opened.checkpoint(), opened.spec(), KeptAtoms.ALL, plan.compute())) {
            Sweep sweep = new Sweep(decoder, opened.calibration(), Criterion.of(opened.recipe().method()).moments(), fingerprint, plan,
                    workDirectory);
            return sweep.run(windows, saves, new PhaseProgress(progress, Phase.CALIBRATE, SLICES_FROM, SLICES_TO));
        }
    }

    private MemoryPlan plan(int sequences) {
        return plan(opened, device, sequences, opened.calibration().length());
    }

    private static MemoryPlan plan(OpenedRun opened, ComputeDevice device, int sequences, int length) {
        return device.plan(opened.spec(), new MemoryPlan.Work(sequences, length,
                Criterion.of(opened.recipe().method()).moments().contains(Moment.GRADIENT_SQUARED)), OpenedRun.precision(opened.recipe()));
    }

    private String fingerprint(int sequencesPerBatch) {
        return Sha256.of(String.join("|", "espalier-statistics/2", modelDigest, opened.calibration().digest(),
                Criterion.of(opened.recipe().method()).moments().toString(), opened.recipe().precision().name(),
                String.valueOf(sequencesPerBatch)));
    }

    private RunNotes notes() {
        return new RunNotes(opened.recipe(), progress);
    }
}
