package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.pruning.Saving;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Output;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Precision;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.ScoreOrigin;
import io.espalier.recipe.ScoreSummary;
import io.espalier.recipe.Slicing;

/** The files and figures of a run that never was. */
final class FakeRun {

    static final PruningResult RESULT = new PruningResult(new PruningResult.Size(100, 50, 10, 200), new PruningResult.Size(60, 30, 5, 120),
            new PruningResult.Achieved(new BigDecimal("0.50"), Budget.RatioOf.ROUTED_ATOMS, 5, 0.5, 0.4, 0.4, 1, 3, 0, 0, 1), null, null,
            0.125,
            new PruningResult.Digests("a".repeat(64), "b".repeat(64), null, "c".repeat(64), "d".repeat(64), "e".repeat(64)), List.of(),
            null, List.of());

    private FakeRun() {}

    /** Scores that nobody measured before. */
    static ScoreOrigin origin() {
        return origin(HexFormat.of().formatHex(new SecureRandom().generateSeed(32)));
    }

    static ScoreOrigin origin(String address) {
        return new ScoreOrigin(address, "f".repeat(64), "tiny-qwen2moe", "a".repeat(64), null, MethodChoice.of(MethodName.RANDOM),
                Precision.F32);
    }

    static PruningRun.Outcome outcome(Path workDirectory) {
        return outcome(workDirectory, origin());
    }

    static PruningRun.Outcome outcome(Path workDirectory, ScoreOrigin origin) {
        try {
            Path artifact = Files.createDirectories(workDirectory.resolve("artifact"));
            Files.writeString(artifact.resolve("config.json"), "{}");
            Path scores = Files.writeString(workDirectory.resolve("scores.safetensors"), "scores");
            return new PruningRun.Outcome(RESULT, artifact, scores, new ScoreSummary(MethodName.RANDOM, "rank only", null, List.of()),
                    origin);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The same with a further output. */
    static PruningRun.Outcome twoOutcomes(Path workDirectory) {
        try {
            PruningRun.Outcome first = outcome(workDirectory);
            Path further = Files.createDirectories(workDirectory.resolve("further"));
            Files.writeString(further.resolve("config.json"), "{\"further\": 1}");
            PruningResult.Further figures = RESULT.summed("9".repeat(64)).as(new Output(Layout.EXPERTS, null, null, null, null));
            return new PruningRun.Outcome(RESULT.with(List.of(figures)), first.artifact(), first.scores(), first.summary(), first.origin(),
                    List.of(further));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What a test does in place of a whole run. */
    @FunctionalInterface
    interface Whole {
        PruningRun.Outcome execute(At inputs, ComputeDevice device, Progress progress);
    }

    /** What it starts from. */
    record At(PruningRun.Inputs given, Path workDirectory) {
        PruningRecipe recipe() {
            return given.recipe();
        }
    }

    /** A run without slices, whose finishing piece does it all. */
    static Workshop workshop(Whole whole) {
        return (inputs, device, opening) -> workshop(whole, origin()).open(inputs, device, opening);
    }

    /** One whose scores come from there. */
    static Workshop workshop(Whole whole, ScoreOrigin origin) {
        return (inputs, device, opening) -> new Workshop.Run() {
            @Override
            public Slicing slicing(long tokensPerSlice, Progress progress) {
                return new Slicing("f".repeat(64), 1, 1, List.of());
            }

            @Override
            public Path measure(Slicing slicing, int slice, Path workDirectory, Saving saving, Progress progress) {
                throw new AssertionError("there is no slice");
            }

            @Override
            public PruningRun.Outcome finish(Slicing slicing, List<Path> statistics, Path workDirectory, Progress progress) {
                return whole.execute(new At(inputs, workDirectory), device, progress);
            }

            @Override
            public ScoreOrigin origin(Slicing slicing) {
                return origin;
            }

            @Override
            public PruningRun.Outcome finish(Slicing slicing, Path scores, Path workDirectory, Progress progress) {
                assertThat(scores).hasContent("scores");
                return whole.execute(new At(inputs, workDirectory), device, progress);
            }

            @Override
            public void close() {}
        };
    }

    /** Ticks through two phases and finishes at once. */
    static final Whole QUICK = (inputs, device, progress) -> {
        progress.tick(new Progress.Tick(Phase.OPEN, 1, null, 4, null));
        progress.note("experts_unrouted", "one expert got no token", Map.of("experts", List.of("0:3")));
        progress.tick(new Progress.Tick(Phase.CUT, 90, null, 4, null));
        return outcome(inputs.workDirectory());
    };

    /** Ticks until it is told to stop; there is no place at which it could save. */
    static PruningRun.Outcome endless(At inputs, Progress progress, Runnable onceStarted) {
        boolean told = false;
        while (progress.tick(new Progress.Tick(Phase.CALIBRATE, 10, 1, 4, 100.0)) != Progress.Answer.STOP) {
            if (!told) {
                onceStarted.run();
                told = true;
            }
            try {
                Thread.sleep(20);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
        throw new Progress.StoppedException(Phase.CALIBRATE);
    }
}
