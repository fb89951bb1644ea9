package io.espalier.transformer;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntConsumer;

/**
 * The cores of one worker, each a Java thread that computes alone. Micro-batches go through a layer side by side; what is counted does not depend on
 * which lane counts it.
 */
public final class Lanes implements AutoCloseable {

    private final int count;
    private final ExecutorService threads;

    /** @param count threads, at least 1 */
    public Lanes(int count) {
        this.count = count;
        this.threads = count == 1 ? null : Executors.newFixedThreadPool(count, Thread.ofPlatform().daemon().name("lane-", 0).factory());
    }

    public int count() {
        return count;
    }

    /**
     * Does tasks 0 to n - 1, several at a time, and returns when all are done or one has failed and those begun have ended.
     *
     * @param finished hears of each task that ended, on the calling thread; what it throws ends the others
     */
    public void forEach(int n, IntConsumer task, IntConsumer finished) {
        if (threads == null) {
            for (int i = 0; i < n; i++) {
                task.accept(i);
                finished.accept(i);
            }
            return;
        }
        AtomicBoolean stop = new AtomicBoolean();
        BlockingQueue<Future<Integer>> done = new LinkedBlockingQueue<>();
        ExecutorCompletionService<Integer> running = new ExecutorCompletionService<>(threads, done);
        for (int i = 0; i < n; i++) {
            int index = i;
            running.submit(() -> {
                if (stop.get()) {
                    return -1;
                }
                task.accept(index);
                return index;
            });
        }
        Throwable failed = null;
        boolean interrupted = false;
        for (int i = 0; i < n; i++) {
            try {
                int index = running.take().get();
                if (failed == null && index >= 0) {
                    finished.accept(index);
                }
            } catch (ExecutionException e) {
                failed = failed == null ? e.getCause() : failed;
                stop.set(true);
            } catch (RuntimeException | Error e) {
                failed = failed == null ? e : failed;
                stop.set(true);
            } catch (InterruptedException e) {
                failed = failed == null ? new IllegalStateException("interrupted while a layer was computed", e) : failed;
                stop.set(true);
                interrupted = true;
                i--;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        switch (failed) {
            case null -> {}
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            default -> throw new IllegalStateException(failed);
        }
    }

    @Override
    public void close() {
        if (threads != null) {
            threads.shutdown();
        }
    }
}
