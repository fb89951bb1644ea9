package io.espalier.worker;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;

import io.espalier.job.JobMetric;
import io.espalier.job.Lease;
import io.espalier.job.LeaseLostException;
import io.espalier.job.PieceReports;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Progress;
import io.espalier.telemetry.LogLine;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;

/**
 * Carries ticks from a piece to its job, about twice a second, and brings the answer back, on a thread of its own: a database that is slow or gone for a
 * while does not hold a device up. Phases and notes are kept in order until they are told. A job that was cancelled, or a lease that was lost, stops the
 * piece at its next tick, whatever the process wants of it.
 */
final class WatchedProgress implements Progress, AutoCloseable {

    private static final Logger log = LoggerFactory.getLogger(WatchedProgress.class);
    private static final Duration TELL_EVERY = Duration.ofMillis(500);

    private final PieceReports reports;
    private final Lease lease;
    private final Supplier<Answer> process;
    private final PieceRecord record;
    private final Deque<Runnable> untold = new ArrayDeque<>();
    private final Thread teller;

    private Tick latest;
    private boolean stopped;
    private boolean closed;

    /**
     * @param record where what is told beside the progress is collected
     * @param process what the process wants of its pieces: to go on, to save when it drains, to stop when it cannot wait any longer
     */
    WatchedProgress(PieceReports reports, Lease lease, PieceRecord record, Supplier<Answer> process) {
        this.reports = reports;
        this.record = record;
        this.lease = lease;
        this.process = process;
        Map<String, String> about = MDC.getCopyOfContextMap();
        this.teller = Thread.ofVirtual().name("progress of " + lease.jobId()).start(() -> {
            MDC.setContextMap(about == null ? Map.of() : about);
            tellUntilClosed();
        });
    }

    @Override
    public synchronized Answer tick(Tick tick) {
        Answer answer = answer();
        if (answer == Answer.STOP) {
            return answer;
        }
        if (latest == null || latest.phase() != tick.phase()) {
            Phase phase = tick.phase();
            log.info("phase {} begins", phase.name().toLowerCase(Locale.ROOT));
            untold.add(() -> reports.enter(lease, phase));
            notifyAll();
        }
        latest = tick;
        record.tick(tick);
        return answer;
    }

    @Override
    public void figure(Figure figure, double value) {
        record.figure(figure, value);
    }

    private synchronized Answer answer() {
        return stopped ? Answer.STOP : process.get();
    }

    @Override
    public synchronized void note(String type, String message, Map<String, Object> data) {
        log.info("{}: {}", type, message);
        untold.add(() -> reports.note(lease, type, message, data));
        notifyAll();
    }

    /** The same watch for work that is not to be told: opening again what another worker opened for the job. */
    Progress silent() {
        return new Progress() {
            @Override
            public Answer tick(Tick tick) {
                return answer();
            }

            @Override
            public void note(String type, String message, Map<String, Object> data) {
                log.debug("{}: {}", type, message);
            }
        };
    }

    private void tellUntilClosed() {
        while (true) {
            synchronized (this) {
                try {
                    if (untold.isEmpty() && !closed) {
                        wait(TELL_EVERY.toMillis());
                    }
                } catch (InterruptedException e) {
                    return;
                }
                if (stopped || closed && (untold.isEmpty() || process.get() == Answer.STOP)) {
                    return;
                }
            }
            tell();
        }
    }

    private void tell() {
        try {
            for (Runnable next = next(); next != null; next = next()) {
                next.run();
                synchronized (this) {
                    untold.remove();
                }
            }
            Tick tick;
            synchronized (this) {
                tick = latest;
            }
            if (tick != null && !progress(tick)) {
                stop();
            }
        } catch (LeaseLostException e) {
            log.warn("{}", e.getMessage());
            stop();
        } catch (RuntimeException e) {
            log.warn("progress was not stored, the run goes on and it is told again: {}", e.toString());
            rest();
        }
    }

    /** Figures and log lines go with the progress, in its transaction; what could not be told is told the next time. */
    private boolean progress(Tick tick) {
        Map<JobMetric, Double> figures = record.takeFigures(false);
        List<LogLine> lines = record.takeLines();
        try {
            return reports.progress(lease, tick, figures, lines);
        } catch (LeaseLostException e) {
            throw e;
        } catch (RuntimeException e) {
            record.takeBack(figures, lines);
            throw e;
        }
    }

    private synchronized Runnable next() {
        return untold.peek();
    }

    private synchronized void stop() {
        stopped = true;
    }

    private static void rest() {
        try {
            Thread.sleep(TELL_EVERY);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Returns when everything is told, or nobody is to be told any more. */
    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            notifyAll();
        }
        record.runEnded();
        boolean interrupted = false;
        while (teller.isAlive()) {
            try {
                teller.join();
            } catch (InterruptedException e) {
                // why: a process that stops interrupts its workers; the last words are short
                interrupted = true;
                teller.interrupt();
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
