package io.espalier.pruning;

import java.util.Map;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.recipe.Progress;

/** The run's progress with what only the run knows beside it, once a second at most: how much it has read, how much memory it uses. */
final class Told implements Progress {

    private static final long EVERY_NANOS = 1_000_000_000L;

    private final Progress progress;
    private final Checkpoint checkpoint;
    private final ComputeDevice device;
    private long toldAt = System.nanoTime();
    private long toldRead;

    /** @param checkpoint of which what was read is told from now on */
    Told(Progress progress, Checkpoint checkpoint, ComputeDevice device) {
        this.progress = progress;
        this.checkpoint = checkpoint;
        this.device = device;
        this.toldRead = checkpoint.bytesRead();
        progress.figure(Figure.MEMORY_BUDGET_BYTES, device.budget());
        progress.figure(Figure.MEMORY_BYTES, device.memoryInUse());
    }

    @Override
    public Answer tick(Tick tick) {
        if (System.nanoTime() - toldAt >= EVERY_NANOS) {
            toldAt = System.nanoTime();
            tell();
        }
        return progress.tick(tick);
    }

    /** Tells what was not told yet. */
    void tell() {
        long read = checkpoint.bytesRead();
        progress.figure(Figure.READ_BYTES, read - toldRead);
        progress.figure(Figure.MEMORY_BYTES, device.memoryInUse());
        toldRead = read;
    }

    @Override
    public void note(String type, String message, Map<String, Object> data) {
        progress.note(type, message, data);
    }

    @Override
    public void figure(Figure figure, double value) {
        progress.figure(figure, value);
    }
}
