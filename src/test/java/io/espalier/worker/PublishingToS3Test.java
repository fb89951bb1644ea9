package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.time.Duration;
import java.util.List;
import java.util.Random;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.artifact.Artifact;
import io.espalier.artifact.ArtifactFile;
import io.espalier.artifact.Artifacts;
import io.espalier.artifact.Keys;
import io.espalier.job.JobEvent;
import io.espalier.job.JobState;
import io.espalier.job.Lease;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.job.SliceShelf;
import io.espalier.objectstore.CuttingProxy;
import io.espalier.objectstore.ObjectStore;
import io.espalier.objectstore.S3Server;
import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.recipe.ScoreShelf;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** Publishing to a real S3 server on loopback, over connections that are cut: an artifact is there whole and once, or not at all. */
@OfficeTest
@DirtiesContext
class PublishingToS3Test {

    private static final ComputeDevice CPU = new ComputeDevice("cpu", 0);
    private static final int MIB = 1 << 20;
    private static final byte[] WEIGHTS = weights();
    private static final KeyPair PAIR = Keys.onCurve("secp256r1");
    private static String bucket;
    private static CuttingProxy proxy;

    @Autowired
    private PruningJobs jobs;
    @Autowired
    private PieceReports reports;
    @Autowired
    private Leases leases;
    @Autowired
    private Artifacts artifacts;
    @Autowired
    private ObjectStore objects;
    @Autowired
    private ScoreShelf shelf;
    @Autowired
    private WorkerSettings settings;
    @Autowired
    private SliceShelf slices;
    @Autowired
    private PlatformTransactionManager transactions;
    @Autowired
    private JdbcTemplate jdbc;
    private String id;

    @DynamicPropertySource
    static void storage(DynamicPropertyRegistry registry) throws IOException {
        bucket = S3Server.bucket();
        proxy = new CuttingProxy(S3Server.port());
        Path key = Keys.file(Files.createTempDirectory(Files.createDirectories(Path.of("target", "s3").toAbsolutePath()), "key"),
                Keys.pkcs8(PAIR));
        for (String property : S3Server.properties(proxy.port(), bucket)) {
            registry.add(property.substring(0, property.indexOf('=')), () -> property.substring(property.indexOf('=') + 1));
        }
        registry.add("espalier.s3.retry-for", () -> "3s");
        registry.add("espalier.s3.keep-leftovers", () -> "1m");
        registry.add("espalier.artifacts.signing-key", key::toString);
    }

    @AfterAll
    static void close() throws IOException {
        proxy.close();
    }

    @BeforeEach
    void order() throws IOException {
        proxy.refuse(false);
        objects.deleteAll(bucket, "");
        jdbc.execute("truncate pruning_job, artifact, score_set, scheduled_tasks cascade");
        id = jobs.submit(Orders.recipe(), Orders.inputs()).id();
    }

    @Test
    void aConnectionThatIsCutInTheMiddleOfAnUploadLeavesNothingHalfVisible() throws IOException {
        Worker worker = worker((inputs, _, _) -> {
            PruningRun.Outcome outcome = large(inputs.workDirectory());
            proxy.cutUpAfter(8 * MIB);
            return outcome;
        });
        int cuts = proxy.cuts();
        assertThat(carryOut(worker)).isEqualTo(Worker.Fate.DONE);
        assertThat(proxy.cuts()).as("it was cut").isGreaterThan(cuts);

        assertWhole();
        assertThat(jobs.find(id).orElseThrow().attempt()).as("the upload was taken up, the piece was not begun anew").isEqualTo(2);
    }

    @Test
    void aServerThatStaysAwayCostsATryAndNeverTheJob() throws IOException {
        boolean[] away = {true};
        Worker worker = worker((inputs, _, _) -> {
            proxy.refuse(away[0]);
            return large(inputs.workDirectory());
        });
        assertThat(carryOut(worker)).isEqualTo(Worker.Fate.WAITS);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.QUEUED);
        assertThat(jobs.events(id, 0, 100)).filteredOn(event -> event.type().equals("retrying")).singleElement()
                .satisfies(event -> assertThat(event.message()).contains("s3://" + bucket).doesNotContain(S3Server.SECRET_KEY))
                .satisfies(event -> assertThat(event.data()).containsEntry("code", "io_error"));
        assertThat(jdbc.queryForObject("select count(*) from artifact", Long.class)).isZero();

        away[0] = false;
        assertThat(carryOut(worker)).isEqualTo(Worker.Fate.DONE);
        assertWhole();
    }

    @Test
    void whatAnAttemptThatLostItsJobUploadedIsDeletedAndTheOthersStays() throws IOException {
        Worker zombie = worker((inputs, _, _) -> {
            assertThat(carryOut(worker((rescue, _, _) -> large(rescue.workDirectory())))).isEqualTo(Worker.Fate.DONE);
            return large(inputs.workDirectory());
        });
        assertThat(carryOut(zombie)).isEqualTo(Worker.Fate.LOST);
        assertWhole();
        assertThat(jobs.find(id).orElseThrow().attempt()).isEqualTo(3);
    }

    @Test
    void aCancelEndsAnUploadAndLeavesNothing() throws IOException {
        Worker worker = worker((inputs, _, _) -> {
            PruningRun.Outcome outcome = large(inputs.workDirectory());
            jobs.cancel(id);
            return outcome;
        });
        assertThat(carryOut(worker)).isEqualTo(Worker.Fate.DONE);
        assertThat(jobs.find(id).orElseThrow().state()).isEqualTo(JobState.CANCELLED);
        assertThat(jdbc.queryForObject("select count(*) from artifact", Long.class)).isZero();
        assertThat(objects.list(bucket, "")).isEmpty();
        assertThat(objects.uploads(bucket, "")).isEmpty();
    }

    @Test
    void whatAKilledProcessLeftIsNeverFoundAndInNobodysWay() throws IOException {
        Lease dead = leases.claim(entry(), "dead", "cpu").orElseThrow();
        String prefix = "espalier/artifacts/" + dead.artifactId() + "/";
        objects.client().putObject(b -> b.bucket(bucket).key(prefix + "config.json"),
                software.amazon.awssdk.core.sync.RequestBody.fromString("{}"));
        objects.client().createMultipartUpload(b -> b.bucket(bucket).key(prefix + "model.safetensors"));

        assertThat(artifacts.find(dead.artifactId())).isEmpty();
        assertThat(artifacts.list(null, null, null, 10)).isEmpty();
        Worker next = worker((inputs, _, _) -> large(inputs.workDirectory()));
        assertThat(carryOut(next)).isEqualTo(Worker.Fate.DONE);
        assertWhole(prefix + "config.json");
    }

    @Test
    void aDeletedArtifactsObjectsGoAlsoWhenTheProcessDiedInBetween() throws IOException {
        assertThat(carryOut(worker((inputs, _, _) -> large(inputs.workDirectory())))).isEqualTo(Worker.Fate.DONE);
        String artifact = jobs.find(id).orElseThrow().artifactId();
        new TransactionTemplate(transactions).executeWithoutResult(status -> {
            jobs.artifactDeleted(id, artifact);
            artifacts.delete(artifact);
        });
        assertThat(objects.list(bucket, "")).as("the process died here").isNotEmpty();

        artifacts.sweep(candidate -> leases.publishing(candidate).isEmpty());
        assertThat(objects.list(bucket, "")).isEmpty();
        assertThat(jdbc.queryForObject("select gone_at is not null from artifact where id = ?", Boolean.class, artifact)).isTrue();
        assertThat(jobs.find(id).orElseThrow().deletedArtifacts()).containsExactly(artifact);
        assertThat(jobs.events(id, 0, 100)).extracting(JobEvent::type).last().isEqualTo("artifact_deleted");
    }

    /** One artifact, every byte of it, its signature, and nothing beside it. */
    private void assertWhole(String... left) throws IOException {
        PruningJob job = jobs.find(id).orElseThrow();
        assertThat(job.state()).isEqualTo(JobState.SUCCEEDED);
        Artifact artifact = artifacts.find(job.artifactId()).orElseThrow();
        assertThat(artifact.store()).isEqualTo("s3");
        assertThat(artifact.files()).extracting(ArtifactFile::name).containsExactly("config.json", "model.safetensors", "model.sig");
        String prefix = "espalier/artifacts/" + artifact.id() + "/";
        assertThat(objects.list(bucket, "")).extracting(ObjectStore.Listed::key).filteredOn(key -> !List.of(left).contains(key))
                .containsExactly(prefix + "config.json", prefix + "model.safetensors", prefix + "model.sig");
        assertThat(objects.uploads(bucket, prefix)).isEmpty();
        ByteArrayOutputStream read = new ByteArrayOutputStream();
        artifacts.write(artifact, artifact.files().get(1), 0, WEIGHTS.length, read);
        assertThat(read.toByteArray()).isEqualTo(WEIGHTS);
        assertThat(jdbc.queryForList("select id from artifact", String.class)).containsExactly(artifact.id());
        assertThat(settings.directory().resolveSibling("artifacts")).doesNotExist();
    }

    private PruningRun.Outcome large(Path workDirectory) {
        try {
            PruningRun.Outcome outcome = FakeRun.outcome(workDirectory);
            Files.write(outcome.artifact().resolve("model.safetensors"), WEIGHTS);
            return outcome;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] weights() {
        byte[] bytes = new byte[13 * MIB + 7];
        new Random(7).nextBytes(bytes);
        return bytes;
    }

    private Worker.Fate carryOut(Worker worker) {
        Worker.Fate fate = Worker.Fate.DONE;
        for (String entry = entry(); entry != null && fate == Worker.Fate.DONE; entry = entry()) {
            fate = worker.carryOut(entry, CPU).fate();
        }
        return fate;
    }

    private String entry() {
        List<String> entries = jdbc.queryForList("select job_id || '/' || number || '/' || entry from job_piece where job_id = ?"
                + " and state in ('queued', 'running') order by number limit 1", String.class, id);
        return entries.isEmpty() ? null : entries.getFirst();
    }

    private Worker worker(FakeRun.Whole whole) {
        return new Worker("test", settings.directory(),
                new Worker.Products(artifacts, shelf, slices, new TransactionTemplate(transactions)), leases, reports,
                FakeRun.workshop(whole, FakeRun.origin()), new Worker.Manner(0, Duration.ZERO, Duration.ZERO));
    }
}
