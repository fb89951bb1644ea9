package io.espalier.api;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

import io.espalier.job.JobError;
import io.espalier.job.JobEvent;
import io.espalier.job.JobState;
import io.espalier.job.Lease;
import io.espalier.job.PhaseTimes;
import io.espalier.job.Piece;
import io.espalier.job.PruningJob;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/** A job as the outside sees it: no worker, no fencing token, no resolved path; links instead of keys. */
@JsonNaming(SnakeCaseStrategy.class)
record JobView(String id, JobState state, boolean terminal, PruningRecipe recipe, Instant createdAt, Instant startedAt, Instant finishedAt,
        List<PhaseTimes> phases, double percent, Phase phase, Integer layer, Integer layers, Double tokensPerSecond, Long etaSeconds,
        Integer slices, int slicesDone, PruningResult result, JobError error, ArtifactLink artifact, List<ArtifactLink> artifacts,
        ScoreSetLink scoreSet, Links links) {

    /** Characters of an inline text that a list shows: a page of jobs must not weigh a page of books. */
    private static final int LISTED_TEXT = 80;

    /** @param deleted whether its files were deleted since */
    record ArtifactLink(String id, String href, boolean deleted) {

        static ArtifactLink of(PruningJob job, String id) {
            return new ArtifactLink(id, ArtifactController.PATH + "/" + id, job.deletedArtifacts().contains(id));
        }
    }

    /** @param reused whether the scores were there before and calibration was skipped */
    record ScoreSetLink(String id, String href, boolean reused) {}

    /** {@code null} where there is nothing yet, or any more. */
    record Links(String self, String events, String pieces, String metrics, String logs, String cancel, String pause, String resume,
            String retry, String delete,
            String scores) {}

    /** One line of a job's history, without the job's id that the address says already. */
    record Event(long seq, Instant at, String type, String message, Map<String, Object> data) {

        static Event of(JobEvent event) {
            return new Event(event.seq(), event.at(), event.type(), event.message(), event.data());
        }
    }

    /** What one worker does of a job in one go. */
    @JsonNaming(SnakeCaseStrategy.class)
    record PieceView(int number, Piece.Kind kind, Piece.State state, int attempt, int tries, int lostWorkers, long rejectedWrites,
            String worker,
            String device, Instant startedAt, Instant finishedAt, double percent, Double tokensPerSecond, String sha256, Long bytes) {

        static PieceView of(Piece piece) {
            return new PieceView(piece.number(), piece.kind(), piece.state(), piece.attempt(), piece.tries(), piece.lostWorkers(),
                    piece.rejectedWrites(), piece.worker(), piece.device(), piece.startedAt(), piece.finishedAt(), piece.percent(),
                    piece.tokensPerSecond(), piece.sha256(), piece.bytes());
        }
    }

    static JobView of(PruningJob job) {
        return of(job, job.recipe());
    }

    static JobView listed(PruningJob job) {
        return of(job, job.recipe().withTexts(text -> text.length() > LISTED_TEXT ? text.substring(0, LISTED_TEXT) + "…" : text));
    }

    static String href(String jobId) {
        return PruningJobController.PATH + "/" + jobId;
    }

    private static JobView of(PruningJob job, PruningRecipe recipe) {
        String self = href(job.id());
        boolean going = job.state() == JobState.QUEUED || job.state() == JobState.RUNNING;
        boolean paused = job.state() == JobState.PAUSED;
        boolean retriable = job.state() == JobState.FAILED || job.state() == JobState.CANCELLED;
        return new JobView(job.id(), job.state(), job.state().terminal(), recipe, job.createdAt(), job.startedAt(), job.finishedAt(),
                job.phases(), job.progress().percent(), job.progress().phase(), job.progress().layer(), job.progress().layers(),
                job.progress().tokensPerSecond(), job.progress().etaSeconds(), job.slices(), job.slicesDone(), job.result(), job.error(),
                job.artifactId() == null ? null : ArtifactLink.of(job, job.artifactId()), artifacts(job),
                job.scoreSetId() == null
                        ? null
                        : new ScoreSetLink(job.scoreSetId(), ScoreSetController.PATH + "/" + job.scoreSetId(), job.scoresReused()),
                new Links(self, self + "/events", self + "/pieces", self + "/metrics", self + "/logs",
                        going || paused ? self + "/cancel" : null,
                        going ? self + "/pause" : null, paused ? self + "/resume" : null, retriable ? self + "/retry" : null,
                        job.state().terminal() ? self : null,
                        job.state() == JobState.SUCCEEDED ? self + "/scores" : null));
    }

    /** The first output's and those of the further ones, in the order's order. */
    private static List<ArtifactLink> artifacts(PruningJob job) {
        if (job.artifactId() == null) {
            return List.of();
        }
        int further = job.result() == null ? 0 : job.result().further().size();
        return IntStream.rangeClosed(0, further)
                .mapToObj(place -> ArtifactLink.of(job, place == 0 ? job.artifactId() : Lease.furtherArtifactId(job.artifactId(), place)))
                .toList();
    }
}
