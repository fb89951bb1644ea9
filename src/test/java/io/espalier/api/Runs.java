package io.espalier.api;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import io.espalier.artifact.Artifact;
import io.espalier.artifact.Artifacts;
import io.espalier.catalog.ScoreSets;
import io.espalier.job.JobError;
import io.espalier.job.Lease;
import io.espalier.job.Leases;
import io.espalier.job.PieceReports;
import io.espalier.job.PruningJobs;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Loadability;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Precision;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreSummary;
import org.springframework.transaction.support.TransactionTemplate;

/** Carries jobs out as a worker does, through the job room's own verbs, with made-up figures. A bean of every {@link ApiTest}. */
record Runs(PruningJobs jobs, Leases leases, PieceReports reports, Artifacts artifacts, ScoreSets scores, TransactionTemplate transaction) {

    static final byte[] SCORES = scoreBytes();
    static final String CONFIG = "{\"model_type\": \"qwen2_moe\"}\n";
    static final String WEIGHTS = "0123456789abcdefghijklmnopqrstuvwxyz";

    private static final Path WORK = Path.of("target", "api-test", "work").toAbsolutePath();

    /** A running job in its second phase, half-way. */
    Lease start(String id) {
        return start(id, 1);
    }

    /** The same, of a job that came into the queue for the so manieth time. */
    Lease start(String id, int entry) {
        Lease lease = leases.claim(id + "/0/" + entry, "test", "cpu").orElseThrow();
        reports.enter(lease, Phase.OPEN);
        reports.enter(lease, Phase.CALIBRATE);
        reports.progress(lease, new Progress.Tick(Phase.CALIBRATE, 42.5, 3, 12, 1234.5));
        return lease;
    }

    /** A succeeded job; answers its artifact's id. */
    String succeed(String id) {
        return succeed(id, SCORES, summary(), origin(HexFormat.of().formatHex(new SecureRandom().generateSeed(32)), null));
    }

    /** A succeeded job with these scores. */
    String succeed(String id, byte[] scoreBytes, ScoreSummary summary, ScoreOrigin origin) {
        Lease lease = start(id);
        reports.note(lease, "experts_unrouted", "1 expert saw no token", Map.of("experts", List.of("3:17")));
        try {
            Path directory = Files.createDirectories(WORK.resolve(lease.artifactId()));
            Files.writeString(directory.resolve("config.json"), CONFIG);
            Files.writeString(directory.resolve("model.safetensors"), WEIGHTS);
            Files.writeString(directory.resolve("README.md"), "# pruned\n");
            Files.writeString(directory.resolve("SHA256SUMS"), "sums\n");
            Files.writeString(directory.resolve("merges with space.txt"), "a b\n");
            Files.writeString(directory.resolve("tokenizer.model"), "binary");
            Path scoreFile = WORK.resolve(lease.scoreSetId());
            Files.write(scoreFile, scoreBytes);
            Artifact artifact = artifacts.move(directory, lease.artifactId(), id, "a".repeat(64));
            transaction.executeWithoutResult(status -> {
                artifacts.record(artifact);
                reports.succeed(lease, result(), artifact.id(), scores.keep(lease.scoreSetId(), id, scoreFile, summary, origin));
            });
            return artifact.id();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    void fail(String id, JobError error) {
        reports.fail(start(id), error);
    }

    /** @param calibration digest, or {@code null} */
    static ScoreOrigin origin(String address, String calibration) {
        return new ScoreOrigin(address, "f".repeat(64), "tiny-qwen2moe", "1".repeat(64), calibration, MethodChoice.of(MethodName.HEAPR),
                Precision.F32);
    }

    static ScoreSummary summary() {
        ScoreSummary.Expert met = new ScoreSummary.Expert(0, 100L, 0.5, 0.25, 0.75, 64, 48);
        ScoreSummary.Expert unmet = new ScoreSummary.Expert(1, 0L, null, null, null, 64, 64);
        return new ScoreSummary(MethodName.HEAPR, "nats per routed token", 2048L,
                List.of(new ScoreSummary.Layer(0, 0.5, 0.25, 0.75, 112L, List.of(met, unmet))));
    }

    static PruningResult result() {
        return new PruningResult(new PruningResult.Size(1000, 500, 128, 4000), new PruningResult.Size(900, 450, 112, 3600),
                new PruningResult.Achieved(new BigDecimal("0.125"), Budget.RatioOf.ROUTED_ATOMS, 16, 0.125, 0.1, 0.1, 48, 64, 0, 0, 8),
                new PruningResult.Coverage(2048, 0, 50.5, List.of("3:17")), new PruningResult.Perplexity(6.5, 6.75, null, 2032), 0.0125,
                new PruningResult.Digests("1".repeat(64), "2".repeat(64), null, "4".repeat(64), "5".repeat(64), "6".repeat(64)),
                List.of(Loadability.stock("transformers 4", "one width"), Loadability.needs("transformers 5", "patience", "two widths")),
                null, List.of());
    }

    /** Longer than two pieces of the database's. */
    private static byte[] scoreBytes() {
        byte[] bytes = new byte[(2 << 20) + 17];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (i * 31 + (i >> 8));
        }
        return bytes;
    }
}
