package io.espalier.worker;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

import io.espalier.job.Lease;
import io.espalier.job.Leases;
import io.espalier.job.Piece;
import io.espalier.job.PieceReports;
import io.espalier.job.SliceShelf;
import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.pruning.Saving;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.Slicing;

/** What is done of a job in one go: it is opened, a slice of it is measured, or it is finished; each ends with its report. */
final class Steps {

    private final Leases leases;
    private final PieceReports reports;
    private final Worker.Products products;
    private final Workplace workplace;
    private final Benches benches;
    private final Worker.Manner manner;
    private final Drain drain;
    private final Insistence insistence;
    private final Publication publication;
    private final WorkerMeters meters;

    Steps(Leases leases, PieceReports reports, Worker.Products products, Workplace workplace, Benches benches, Worker.Manner manner,
            Drain drain, WorkerMeters meters) {
        this.leases = leases;
        this.reports = reports;
        this.products = products;
        this.workplace = workplace;
        this.benches = benches;
        this.manner = manner;
        this.drain = drain;
        this.insistence = new Insistence(drain);
        this.publication = new Publication(reports, products, insistence);
        this.meters = meters;
    }

    /** @param directory the attempt's own, which is there */
    void carryOut(Lease lease, ComputeDevice device, Path directory, PieceRecord record) throws Exception {
        switch (lease.kind()) {
            case OPEN -> open(lease, device, record);
            case SLICE -> measure(lease, device, directory, record);
            case FINISH -> finish(lease, device, directory, record);
        }
    }

    private void open(Lease lease, ComputeDevice device, PieceRecord record) throws Exception {
        Slicing slicing;
        ScoreOrigin origin;
        try (WatchedProgress progress = watched(lease, record)) {
            Workshop.Run run = benches.open(lease, device, progress);
            slicing = run.slicing(manner.sliceTokens(), progress);
            origin = slicing.scoreSet() == null ? run.origin(slicing) : null;
        }
        Slicing left = insistence.call(() -> products.transaction().execute(status -> {
            // why in one transaction: scores that were found stay only until it ends, or for as long as the job refers to them
            Slicing found = origin == null
                    ? slicing
                    : products.shelf().findByAddress(lease.recipe().project(), origin.address()).map(slicing::scoredBy).orElse(slicing);
            if (!reports.done(lease)) {
                reports.opened(lease, found);
            }
            return found;
        }));
        benches.sliced(device, left);
        if (origin != null && left.scoreSet() != null) {
            meters.scoresReused();
        }
    }

    private void measure(Lease lease, ComputeDevice device, Path directory, PieceRecord record) throws Exception {
        Path file;
        try (WatchedProgress progress = watched(lease, record)) {
            file = benches.of(lease, device, progress.silent()).measure(lease.slicing(), lease.slice(), directory, saving(lease), progress);
        }
        SliceShelf.Sum sum = insistence.call(() -> products.slices().keep(lease, file));
        insistence.write(() -> reports.measured(lease, sum.sha256(), sum.bytes()));
    }

    private void finish(Lease lease, ComputeDevice device, Path directory, PieceRecord record) throws Exception {
        PruningRun.Outcome outcome = lease.slicing().scoreSet() == null
                ? finishMeasured(lease, device, directory, record)
                : finishScored(lease, device, directory, record);
        if (outcome != null) {
            publication.publish(lease, outcome, () -> watched(lease, record));
        }
    }

    /** @return {@code null} when a slice is damaged and has to be measured again */
    private PruningRun.Outcome finishMeasured(Lease lease, ComputeDevice device, Path directory, PieceRecord record) throws Exception {
        List<Piece> slices = insistence.call(() -> leases.slices(lease));
        List<Path> statistics = IntStream.range(0, slices.size()).mapToObj(i -> directory.resolve("slice-" + i + ".safetensors")).toList();
        for (int i = 0; i < slices.size(); i++) {
            Piece slice = slices.get(i);
            Path file = statistics.get(i);
            String wrong = insistence.call(() -> products.slices().fetch(slice, file));
            if (wrong != null) {
                insistence.write(() -> reports.damaged(lease, slice.number(), wrong));
                return null;
            }
        }
        try (WatchedProgress progress = watched(lease, record)) {
            return benches.of(lease, device, progress.silent()).finish(lease.slicing(), statistics, directory, progress);
        }
    }

    private PruningRun.Outcome finishScored(Lease lease, ComputeDevice device, Path directory, PieceRecord record) throws Exception {
        Path scores = directory.resolve("scores.safetensors");
        insistence.write(() -> products.shelf().fetch(lease.slicing().scoreSet(), scores));
        try (WatchedProgress progress = watched(lease, record)) {
            return benches.of(lease, device, progress.silent()).finish(lease.slicing(), scores, directory, progress);
        }
    }

    private WatchedProgress watched(Lease lease, PieceRecord record) {
        return new WatchedProgress(reports, lease, record, drain::wish);
    }

    private Saving saving(Lease lease) {
        return manner.saveEvery().isZero() ? null : new Saving(workplace.saved(lease), lease.attempt(), manner.saveEvery());
    }
}
