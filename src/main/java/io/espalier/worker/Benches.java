package io.espalier.worker;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import io.espalier.job.Lease;
import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Slicing;
import io.espalier.recipe.Violation;

/** What each device has open: the pieces of one job often come one after the other, and a model is not opened for each of them. */
final class Benches implements AutoCloseable {

    /** @param slicing {@code null} until it is decided */
    private record Bench(String jobId, Slicing slicing, Workshop.Run run) {}

    private final Workshop workshop;
    private final Map<ComputeDevice, Bench> open = new ConcurrentHashMap<>();

    Benches(Workshop workshop) {
        this.workshop = workshop;
    }

    /** The job's run on this device, opened anew. */
    Workshop.Run open(Lease lease, ComputeDevice device, Progress progress) {
        clear(device);
        Workshop.Run run = workshop.open(inputs(lease), device, progress);
        open.put(device, new Bench(lease.jobId(), lease.slicing(), run));
        return run;
    }

    /** How the run that is open on this device was cut. */
    void sliced(ComputeDevice device, Slicing slicing) {
        open.computeIfPresent(device, (_, bench) -> new Bench(bench.jobId(), slicing, bench.run()));
    }

    /** The job's run on this device: as a piece before left it, or opened anew. */
    Workshop.Run of(Lease lease, ComputeDevice device, Progress progress) {
        Bench bench = open.get(device);
        boolean same = bench != null && bench.jobId().equals(lease.jobId()) && lease.slicing().equals(bench.slicing());
        return same ? bench.run() : open(lease, device, progress);
    }

    void clear(ComputeDevice device) {
        Bench bench = open.remove(device);
        if (bench != null) {
            bench.run().close();
        }
    }

    @Override
    public void close() {
        open.keySet().forEach(this::clear);
    }

    private static PruningRun.Inputs inputs(Lease lease) {
        return new PruningRun.Inputs(lease.recipe(), Path.of(lease.inputs().modelDirectory()), lease.inputs().calibration(),
                lease.inputs().evaluation());
    }

    /** What the names stood for when the order was taken may have been deleted since. */
    static void requireThere(ResolvedInputs inputs) {
        List<Violation> gone = new ArrayList<>();
        if (!Files.isDirectory(Path.of(inputs.modelDirectory()))) {
            gone.add(new Violation("model", inputs.modelDirectory(), "the directory that was there when the job was ordered"));
        }
        requireThere("calibration.corpus", inputs.calibration(), gone);
        requireThere("evaluation.corpus", inputs.evaluation(), gone);
        if (!gone.isEmpty()) {
            throw new PruningException(ErrorCode.INVALID_RECIPE, gone);
        }
    }

    private static void requireThere(String field, CorpusRef corpus, List<Violation> gone) {
        if (corpus != null) {
            corpus.leaves().filter(leaf -> leaf.path() != null && !Files.isRegularFile(Path.of(leaf.path()))).forEach(
                    leaf -> gone.add(new Violation(field, leaf.path(), "the file that was there when the job was ordered")));
        }
    }
}
