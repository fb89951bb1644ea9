package io.espalier.worker;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;

import javax.sql.DataSource;

import io.espalier.artifact.Artifacts;
import io.espalier.job.JobRecords;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.SliceShelf;
import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.pruning.Survey;
import io.espalier.pruning.TokenCount;
import io.espalier.recipe.Preflight;
import io.espalier.recipe.ScoreShelf;
import io.espalier.recipe.TokenCounter;
import io.espalier.telemetry.LogLines;
import io.espalier.telemetry.Traces;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** The worker of a process that has one. */
@Configuration(proxyBeanMethods = false)
@ConditionalOnBooleanProperty("espalier.worker.enabled")
class WorkerConfiguration {

    private final String name = host() + "/" + ProcessHandle.current().pid();

    @Bean
    Workshop workshop(WorkerSettings settings) {
        return Workshop.real(settings.digests());
    }

    @Bean
    Worker.Products products(Artifacts artifacts, ScoreShelf shelf, SliceShelf slices, PlatformTransactionManager transactions) {
        return new Worker.Products(artifacts, shelf, slices, new TransactionTemplate(transactions));
    }

    @Bean
    Recording recording(JobRecords records, LogLines lines, Traces traces, MeterRegistry registry) {
        return new Recording(records, lines, traces, new WorkerMeters(registry));
    }

    @Bean
    Worker worker(WorkerSettings settings, Leases leases, PieceReports reports, Worker.Products products, Workshop workshop,
            Recording recording) {
        return new Worker(name, settings.directory(), products, leases, reports, workshop, settings.manner(), recording);
    }

    @Bean
    Dispatcher dispatcher(@Qualifier("queue") DataSource database, Clock clock, Worker worker, WorkerSettings settings) {
        return new Dispatcher(name, database, clock,
                () -> ComputeDevice.find(settings.worker().devices(), settings.worker().memoryBudget().toBytes()), worker,
                settings.worker());
    }

    @Bean
    Preflight preflight(WorkerSettings settings, ScoreShelf shelf, PlatformTransactionManager transactions) {
        TransactionTemplate transaction = new TransactionTemplate(transactions);
        return (recipe, inputs) -> {
            List<ComputeDevice> devices = ComputeDevice.find(settings.worker().devices(), settings.worker().memoryBudget().toBytes());
            return Survey.of(new PruningRun.Inputs(recipe, Path.of(inputs.modelDirectory()), inputs.calibration(), inputs.evaluation()),
                    new Survey.Place(devices.getFirst(), settings.worker().sliceTokens(), settings.digests(), settings.directory(),
                            address -> transaction.execute(status -> shelf.findByAddress(recipe.project(), address))));
        };
    }

    @Bean
    TokenCounter tokenCounter() {
        return new TokenCount();
    }

    private static String host() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException e) {
            return "localhost";
        }
    }
}
