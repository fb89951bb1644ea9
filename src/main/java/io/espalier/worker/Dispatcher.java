package io.espalier.worker;

import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.function.Supplier;

import javax.sql.DataSource;

import com.github.kagkarlsson.scheduler.Scheduler;
import com.github.kagkarlsson.scheduler.SchedulerName;
import com.github.kagkarlsson.scheduler.jdbc.PostgreSqlJdbcCustomization;
import com.github.kagkarlsson.scheduler.task.CompletionHandler;
import com.github.kagkarlsson.scheduler.task.ExecutionComplete;
import com.github.kagkarlsson.scheduler.task.ExecutionOperations;
import com.github.kagkarlsson.scheduler.task.Task;
import com.github.kagkarlsson.scheduler.task.helper.Tasks;
import io.espalier.job.PruningJobs;
import io.espalier.pruning.ComputeDevice;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.context.SmartLifecycle;
import org.springframework.context.event.EventListener;

/** The end of the queue where jobs come out: one thread for each device, started last and stopped first. */
class Dispatcher implements SmartLifecycle {

    private static final Logger log = LoggerFactory.getLogger(Dispatcher.class);
    /** Pause before a job is handed out again whose end could not be told to the database. */
    private static final Duration RETRY = Duration.ofSeconds(10);
    /** Jobs are long: none is locked before a device is free for it. */
    private static final double FETCH_WHEN_IDLE = 0.5;
    private static final double FETCH_UP_TO = 1;

    /**
     * Locks with one statement and updates with another. why: the library's single statement has its limit in a subquery, which PostgreSQL, by some
     * statistics, carries out once for each row; then one worker locks the whole queue, and what it cannot begin at once counts as dead after a while.
     */
    private static final PostgreSqlJdbcCustomization LOCK_BY_ROW = new PostgreSqlJdbcCustomization(true, false);
    /** All pieces of a job are due at one time; one that was begun once goes ahead of the others. */
    private static final Duration AHEAD = Duration.ofMillis(1);

    private final String name;
    private final DataSource database;
    private final Clock clock;
    private final Supplier<List<ComputeDevice>> devices;
    private final Worker worker;
    private final WorkerSettings.Worker settings;
    private final BlockingQueue<ComputeDevice> idle = new ArrayBlockingQueue<>(1024);
    private volatile Scheduler scheduler;

    /**
     * @param clock of all heartbeats and due times: the same for every worker on the database
     * @param devices asked once, on the thread that starts this: the native library is loaded by it
     */
    Dispatcher(String name, DataSource database, Clock clock, Supplier<List<ComputeDevice>> devices, Worker worker,
            WorkerSettings.Worker settings) {
        this.name = name;
        this.database = database;
        this.clock = clock;
        this.devices = devices;
        this.worker = worker;
        this.settings = settings;
    }

    @Override
    public void start() {
        List<ComputeDevice> found = devices.get();
        idle.addAll(found);
        worker.sweep();
        scheduler = Scheduler.create(database, List.of(task()))
                .schedulerName(new SchedulerName.Fixed(name)).threads(found.size()).clock(clock::instant)
                .heartbeatInterval(settings.heartbeat()).missedHeartbeatsLimit(settings.missedHeartbeats())
                .pollingInterval(settings.poll()).pollUsingLockAndFetch(FETCH_WHEN_IDLE, FETCH_UP_TO).enablePriority()
                .jdbcCustomization(LOCK_BY_ROW)
                .shutdownMaxWait(settings.drain().plus(settings.shutdownWait()))
                .build();
        scheduler.start();
        log.info("worker {} takes jobs on {}", name, found.stream().map(ComputeDevice::name).toList());
    }

    private Task<Void> task() {
        return Tasks.custom(PruningJobs.TASK.getTaskName(), Void.class)
                .onDeadExecution(this::revive)
                .onFailure((complete, queue) -> queue.reschedule(complete, clock.instant().plus(RETRY)))
                .execute((instance, context) -> carryOut(instance.getId()));
    }

    /** Due a little before its like, so that what was begun comes before what was not. The library's own way makes it due now, by the machine's clock. */
    private void revive(ExecutionComplete dead, ExecutionOperations<Void> queue) {
        log.warn("{} was held by {}, whose heart has stopped: it is handed out again", dead.getExecution().taskInstance.getId(),
                dead.getExecution().pickedBy);
        queue.reschedule(dead, dead.getExecution().executionTime.minus(AHEAD));
    }

    private CompletionHandler<Void> carryOut(String entry) {
        ComputeDevice device = idle.remove();
        try {
            Worker.Ending ending = worker.carryOut(entry, device);
            return switch (ending.fate()) {
                case DONE -> (complete, queue) -> queue.remove();
                case WAITS -> (complete, queue) -> queue.reschedule(complete,
                        ending.due() == null ? complete.getExecution().executionTime.minus(AHEAD) : ending.due());
                case LOST -> (complete, queue) -> {};
            };
        } finally {
            idle.add(device);
        }
    }

    /** A process that was closed while it runs, because the database is of a newer version: what is at work is handed back, nothing more is taken. */
    @EventListener
    void closed(AvailabilityChangeEvent<ReadinessState> event) {
        if (event.getState() == ReadinessState.REFUSING_TRAFFIC && event.getSource() instanceof String why) {
            log.warn("worker {} takes no more jobs: {}", name, why);
            Thread.ofVirtual().name("stop of " + name).start(this::stop);
        }
    }

    @Override
    public synchronized void stop() {
        if (scheduler == null) {
            return;
        }
        worker.drain();
        scheduler.stop();
        worker.close();
        scheduler = null;
        idle.clear();
    }

    @Override
    public boolean isRunning() {
        return scheduler != null;
    }
}
