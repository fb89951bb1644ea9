package io.espalier.catalog;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

import io.espalier.checkpoint.KnownDigests;
import io.espalier.checkpoint.MalformedCheckpointException;
import io.espalier.remote.Elsewhere;
import io.espalier.remote.RemoteException;
import io.espalier.remote.RemoteFiles;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.SmartLifecycle;
import org.springframework.dao.DataAccessException;
import org.springframework.stereotype.Component;
import org.springframework.transaction.TransactionException;

/**
 * Brings models in, in the processes that serve the API: fetches those that lie elsewhere, checks those that were sent, sums up the files of those that lie
 * under a root. Each is one process's work at a time, by a lease in its row; a process that dies is replaced, and its successor goes on where it was.
 */
@Component
class Intake implements SmartLifecycle {

    private static final Logger log = LoggerFactory.getLogger(Intake.class);
    private static final Duration LOOK = Duration.ofSeconds(2);
    private static final Duration HEARTBEAT = Duration.ofSeconds(1);
    private static final Duration LEFTOVERS = Duration.ofDays(1);
    private static final Duration PATIENCE = Duration.ofSeconds(2);
    private static final String STOPS = "the process stops";

    private final Models models;
    private final ModelDirectories directories;
    private final ModelSettings settings;
    private final Elsewhere elsewhere;
    private final KnownDigests digests;
    private final Clock clock;
    private final boolean enabled;
    private final Map<UUID, Held> atWork = new ConcurrentHashMap<>();
    private final Semaphore news = new Semaphore(0);
    private final List<Thread> threads = new ArrayList<>();
    private volatile boolean running;

    Intake(Models models, ModelDirectories directories, ModelSettings settings, Elsewhere elsewhere, CatalogSettings catalog,
            Clock clock, @Value("${espalier.api.enabled}") boolean enabled) {
        this.models = models;
        this.directories = directories;
        this.settings = settings;
        this.elsewhere = elsewhere;
        this.digests = KnownDigests.in(catalog.dataDir().toAbsolutePath().normalize().resolve("work").resolve("digests"));
        this.clock = clock;
        this.enabled = enabled;
    }

    /** Says that there may be something to do. */
    void wake() {
        news.release();
    }

    /** Ends the work on a model that is no more. */
    void stop(UUID id) {
        Held held = atWork.get(id);
        if (held != null) {
            held.over("it was deleted");
        }
    }

    @Override
    public synchronized void start() {
        if (enabled && !running) {
            running = true;
            threads.clear();
            for (int i = 0; i < settings.transfers(); i++) {
                threads.add(Thread.ofPlatform().daemon().name("intake-" + i).start(this::work));
            }
            threads.add(Thread.ofPlatform().daemon().name("intake-heart").start(this::beat));
            threads.add(Thread.ofPlatform().daemon().name("intake-sweep").start(this::sweep));
        }
    }

    @Override
    public synchronized void stop() {
        running = false;
        atWork.values().forEach(held -> held.over(STOPS));
        threads.forEach(Thread::interrupt);
        try {
            long until = System.nanoTime() + PATIENCE.toNanos();
            for (Thread thread : threads) {
                thread.join(Duration.ofNanos(Math.max(1, until - System.nanoTime())));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    /** Deletes what one who was killed left of models that are no more. Whole models are never swept: the database may be the wrong one. */
    private void sweep() {
        try {
            for (UUID id : directories.staged()) {
                if (models.find(id).isEmpty() && directories.changed(id).isBefore(clock.instant().minus(LEFTOVERS))) {
                    log.info("what is left of model {}, which is no more, is deleted", id);
                    directories.dropStaging(id);
                }
            }
        } catch (IOException | RuntimeException e) {
            log.warn("leftovers of models were not deleted, the next start tries again: {}", e.toString());
        }
    }

    private void work() {
        while (running) {
            try {
                UUID lease = UUID.randomUUID();
                Optional<Model> next = models.claim(lease);
                if (next.isPresent()) {
                    carryOut(next.get(), new Held(next.get().id(), lease));
                } else {
                    news.tryAcquire(LOOK.toMillis(), TimeUnit.MILLISECONDS);
                    news.drainPermits();
                }
            } catch (InterruptedException e) {
                return;
            } catch (RuntimeException e) {
                // why no trace: the database may be away for a while
                log.warn("models cannot be brought in now, tried again in a moment: {}", e.toString());
                pause();
            }
        }
    }

    private static void pause() {
        try {
            Thread.sleep(LOOK);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void beat() {
        while (running) {
            for (Held held : atWork.values()) {
                try {
                    if (!models.renew(held.id(), held.lease(), held.done(), held.total())) {
                        held.over("somebody else has taken it over, or it was deleted");
                    }
                } catch (RuntimeException e) {
                    log.debug("the lease of {} was not renewed", held.id(), e);
                }
            }
            try {
                Thread.sleep(HEARTBEAT);
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    private void carryOut(Model model, Held held) {
        atWork.put(model.id(), held);
        try {
            switch (model.state()) {
                case FETCHING -> fetch(model, held);
                case VERIFYING -> verify(model, held);
                default -> sumUp(model, held);
            }
        } catch (StoppedException e) {
            log.info("{} is left as it is: {}", model.name(), e.getMessage());
            // why without the interruption: it would keep the row from being given back, and the next process waiting for the lease to run out
            Thread.interrupted();
            models.release(model.id(), held.lease());
            if (models.find(model.id()).isEmpty()) {
                discard(model);
            }
        } catch (FetchFailedException e) {
            fail(model, held, e.getMessage());
        } catch (MalformedCheckpointException e) {
            discard(model);
            fail(model, held, "it is no checkpoint: " + e.getMessage());
        } catch (RemoteException e) {
            fail(model, held, e.getMessage());
        } catch (IOException | UncheckedIOException e) {
            IOException cause = e instanceof UncheckedIOException unchecked ? unchecked.getCause() : (IOException) e;
            log.warn("{} was not brought in", model.name(), e);
            fail(model, held, Disk.full(cause)
                    ? "the disk is full; make room, then register the model again"
                    : "its files could not be read or written; the log says more");
        } catch (DataAccessException | TransactionException e) {
            throw e;
        } catch (RuntimeException e) {
            log.error("{} was not brought in", model.name(), e);
            fail(model, held, "this is a mistake of the service; its log says more");
        } finally {
            atWork.remove(model.id(), held);
        }
    }

    private void fail(Model model, Held held, String reason) {
        log.info("{} was not brought in: {}", model.name(), reason);
        models.stop(model.id(), held.lease(), ModelState.FAILED, reason, held.done());
    }

    /** What was fetched and is no checkpoint is not to be found again by the next try. */
    private void discard(Model model) {
        try {
            directories.dropStaging(model.id());
        } catch (IOException e) {
            log.warn("files of {} stay behind", model.name(), e);
        }
    }

    private void fetch(Model model, Held held) throws IOException {
        held.done(model.bytesDone());
        if (Files.isDirectory(directories.of(model.id()))) {
            // why: it was published by one who died before he could say so
            publish(model, held, summed(directories.of(model.id()), held), model.revision());
            return;
        }
        directories.prepare(model.id());
        Journal journal = new Journal(directories.journal(model.id()));
        RemoteFiles remote = remote(model, journal);
        List<ModelFile> files = new Fetch(remote, directories, journal, held, settings, directories.room()).run();
        publish(model, held, files, journal.revision());
    }

    private RemoteFiles remote(Model model, Journal journal) throws RemoteException {
        ModelSource source = model.source();
        if (source.s3() != null) {
            return elsewhere.bucket(source.bucket(), source.prefix());
        }
        // why the commit: what is here already is of that one
        String revision = journal.revision() == null ? source.revision() : journal.revision();
        return elsewhere.hub(URI.create(source.https()), revision, model.project(), source.tokenRef(), settings.fileTimeout());
    }

    private void verify(Model model, Held held) throws IOException {
        if (!Files.isDirectory(directories.of(model.id()))) {
            List<String> wrong = Uploads.verify(model, directories, held);
            if (!wrong.isEmpty()) {
                models.stop(model.id(), held.lease(), ModelState.UPLOADING,
                        "not what was announced, and dropped: " + String.join(", ", wrong)
                                + " (expected: the sha256 of the registration); send them again, then complete",
                        held.done());
                return;
            }
        }
        publish(model, held, model.files(), null);
    }

    /** Looks into whole files, then makes a model of them. */
    private void publish(Model model, Held held, List<ModelFile> files, String revision) throws IOException {
        Path whole = directories.of(model.id());
        Path lying = Files.isDirectory(whole) ? whole : directories.files(model.id());
        Inspection inspection = Inspection.of(lying, path -> true);
        held.goOn();
        if (!models.renew(model.id(), held.lease(), held.done(), held.total())) {
            throw new StoppedException("somebody else has taken it over, or it was deleted");
        }
        directories.publish(model.id());
        models.ready(model.id(), held.lease(), inspection, files.stream().sorted((a, b) -> a.name().compareTo(b.name())).toList(),
                revision);
        directories.dropStaging(model.id());
        log.info("{} is ready: {} bytes", model.name(), files.stream().mapToLong(ModelFile::bytes).sum());
    }

    private void sumUp(Model model, Held held) {
        List<ModelFile> files = new ArrayList<>();
        for (ModelFile file : model.files()) {
            String sha256 = null;
            try {
                Path path = model.directory().resolve(file.name());
                sha256 = Files.size(path) == file.bytes() ? digests.sha256(path, _ -> held.goOn()) : null;
            } catch (IOException | UncheckedIOException | MalformedCheckpointException e) {
                log.info("{} of {} has no sum: {}", file.name(), model.name(), e.toString());
            }
            files.add(new ModelFile(file.name(), file.bytes(), sha256));
        }
        models.summed(model.id(), held.lease(), files);
    }

    private static List<ModelFile> summed(Path directory, Held held) throws IOException {
        List<ModelFile> files = new ArrayList<>();
        for (ModelFile file : Registrar.filesOf(directory)) {
            files.add(new ModelFile(file.name(), file.bytes(), Sums.of(directory.resolve(file.name()), held::goOn).sha256()));
        }
        return files;
    }
}
