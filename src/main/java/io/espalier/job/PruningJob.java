package io.espalier.job;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import jakarta.persistence.Entity;
import jakarta.persistence.Table;

import io.espalier.recipe.Phase;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Slicing;

/**
 * An order being carried out. Its verbs check, change, and answer the events that record the change; they refuse by naming the current state. They
 * are called on a row that {@link JobLedger} has locked, and it records what they answer.
 */
@Entity
@Table(name = "pruning_job")
public class PruningJob extends JobRow {

    static final String ID_PREFIX = "job_";

    protected PruningJob() {}

    PruningJob(String id, PruningRecipe recipe, ResolvedInputs inputs, Instant now) {
        super(id, recipe, inputs, now);
    }

    List<JobEvent> submitted() {
        return List.of(event(createdAt, state.json(), "Waiting for a device", Map.of()));
    }

    /** A worker takes a piece: for the first time, after another handed it back, or from one that was lost. */
    List<JobEvent> claim(Piece piece, String byWorker, String onDevice, Instant now) {
        List<JobEvent> events = new ArrayList<>();
        boolean rescued = piece.is(Piece.State.RUNNING);
        if (rescued) {
            piece.workerLost();
        }
        attempt++;
        piece.claimed(attempt, byWorker, onDevice, now);
        Map<String, Object> data = data(piece);
        data.put("worker", byWorker);
        data.put("device", onDevice);
        if (state == JobState.QUEUED) {
            become(JobState.RUNNING, "be claimed");
            startedAt = startedAt == null ? now : startedAt;
            events.add(event(now, state.json(), "Runs on " + onDevice, data));
        }
        String why = rescued ? ", because the worker of the try before was lost" : "";
        String again = piece.tries() > 1 ? ", try " + piece.tries() + why : "";
        events.add(event(now, "piece_started", sentence(piece) + " on " + onDevice + again, data));
        return events;
    }

    /** The run goes into a phase; the one before is finished. Slices share one phase; a phase that is begun anew forgets its first time. */
    List<JobEvent> enter(Phase phase, Instant now) {
        if (phase == Phase.CALIBRATE && phase == progress.phase() && !phases.isEmpty() && phases.getLast().finishedAt() == null) {
            return List.of();
        }
        List<JobEvent> events = finishPhase(now);
        phases = PhaseTimes.begun(phases, phase, now);
        progress = progress.at(phase);
        String word = PhaseColumn.word(phase);
        events.add(event(now, "phase_started", "Phase " + word + " started", Map.of("phase", word)));
        return events;
    }

    List<JobEvent> note(String type, String message, Map<String, Object> data, Instant now) {
        return List.of(event(now, type, message, data));
    }

    /** Whether slices that were measured before count in this cut. */
    boolean fits(Slicing cut, Pieces pieces) {
        return cut.equals(slicing) && pieces.afterOpening().size() == cut.slices().size() + 1;
    }

    /**
     * The first piece is done: it is known how the calibration set is cut.
     *
     * @param pieces of this cut; those that were measured before are done
     */
    List<JobEvent> opened(Slicing cut, Pieces pieces, Instant now) {
        List<JobEvent> events = new ArrayList<>();
        if (!cut.equals(slicing) && slicesDone > 0 && cut.scoreSet() == null) {
            events.add(event(now, "slices_dropped", "The model, the texts or this service changed: " + slicesDone
                    + " finished slices no longer fit and are measured again", Map.of("slices", slicesDone)));
        }
        slicing = cut;
        slices = cut.slices().size();
        scoreSetId = cut.scoreSet();
        pieces.at(0).done(null, null, now);
        pieces.readyToMeasure();
        finishWhenMeasured(pieces);
        if (cut.scoreSet() != null) {
            events.add(event(now, "scores_reused", "The scores were measured before: calibration is skipped, and " + cut.scoreSet()
                    + " is used", Map.of("score_set_id", cut.scoreSet())));
        }
        if (slices > 0) {
            events.add(event(now, "sliced", "The calibration set is measured in " + slices + (slices == 1 ? " slice" : " slices")
                    + (slicesDone > 0 ? ", " + slicesDone + " of them are finished" : ""),
                    Map.of("slices", slices, "slices_done", slicesDone, "windows", cut.slices().getLast().to())));
        }
        return events;
    }

    /** A slice is measured and its statistics are stored. */
    List<JobEvent> measured(Piece piece, String sha256, long bytes, Pieces pieces, Instant now) {
        piece.done(sha256, bytes, now);
        finishWhenMeasured(pieces);
        long millis = Duration.between(piece.startedAt(), now).toMillis();
        return List.of(event(now, "slice_finished", "Slice " + piece.number() + " of " + slices + " took " + millis + " ms",
                Map.of("slice", piece.number(), "slices", slices, "slices_done", slicesDone, "millis", millis, "sha256", sha256)));
    }

    /** A finished slice's statistics cannot be read back: it is measured again before the job is finished. */
    List<JobEvent> damaged(Piece slice, String why, Pieces pieces, Instant now) {
        pieces.finishing().blocked();
        slice.ready();
        slicesDone = pieces.measured();
        return List.of(event(now, "slice_damaged", "What was stored of slice " + slice.number() + " is damaged (" + why
                + "); it is measured again", Map.of("slice", slice.number())));
    }

    // why counted anew each time: a count that was edited by hand must not let the job finish on slices that are not there
    private void finishWhenMeasured(Pieces pieces) {
        slicesDone = pieces.measured();
        if (slicesDone == slices) {
            pieces.finishing().ready();
        }
    }

    List<JobEvent> succeed(Piece piece, PruningResult outcome, String artifact, String scoreSet, Instant now) {
        become(JobState.SUCCEEDED, "succeed");
        List<JobEvent> events = finishPhase(now);
        piece.done(null, null, now);
        result = outcome;
        artifactId = artifact;
        scoreSetId = scoreSet;
        end(true, now);
        events.add(event(now, state.json(), "Published as " + artifact, Map.of("artifact_id", artifact, "score_set_id", scoreSet)));
        return events;
    }

    List<JobEvent> fail(JobError why, Pieces pieces, Instant now) {
        become(JobState.FAILED, "fail");
        pieces.stop();
        error = why;
        end(false, now);
        return List.of(event(now, state.json(), why.message(), Map.of("code", why.code())));
    }

    /** A piece failed for a reason that may pass: it waits a while in the queue. */
    List<JobEvent> tryAgain(Piece piece, JobError why, Duration pause, Pieces pieces, Instant now) {
        piece.back();
        List<JobEvent> events = new ArrayList<>();
        events.add(event(now, "retrying", why.message() + ". Tried again in " + Math.ceilDiv(pause.toMillis(), 1000) + " s",
                Map.of("code", why.code(), "piece", piece.words(slices), "seconds", pause.toMillis() / 1000.0)));
        events.addAll(waitsIfNobodyWorks(pieces, "Waiting to try again", now));
        return events;
    }

    /** Asks the job to stop. One that nobody works at has stopped at once; asking again changes nothing. */
    List<JobEvent> cancel(Pieces pieces, Instant now) {
        if (state == JobState.CANCELLING || state == JobState.CANCELLED) {
            return List.of();
        }
        if (pieces.nobodyWorks()) {
            return cancelled(startedAt != null ? "Cancelled, nothing was published" : "Cancelled before it started", pieces, now);
        }
        become(JobState.CANCELLING, "be cancelled");
        pieces.holdBack();
        return List.of(event(now, state.json(), "Asked to stop", Map.of()));
    }

    private List<JobEvent> cancelled(String words, Pieces pieces, Instant now) {
        become(JobState.CANCELLED, "be cancelled");
        pieces.stop();
        end(false, now);
        return List.of(event(now, state.json(), words, Map.of()));
    }

    /**
     * A worker has put its piece down because it was told to stop, or is known to be dead. The last one to do so ends a job that is cancelling; where
     * nobody asked for an end, the piece waits again.
     */
    List<JobEvent> stopped(Piece piece, Pieces pieces, Instant now) {
        if (state == JobState.QUEUED || state == JobState.RUNNING) {
            return release(piece, pieces, "it was told to stop, and the job goes on", now);
        }
        piece.blocked();
        return state == JobState.CANCELLING && pieces.nobodyWorks() ? cancelled("Stopped, nothing was published", pieces, now) : List.of();
    }

    /** Stops the job until somebody says to go on. Finished slices are kept; whoever works at a piece has lost it. */
    List<JobEvent> pause(Pieces pieces, Instant now) {
        if (state == JobState.PAUSED) {
            return List.of();
        }
        become(JobState.PAUSED, "be paused");
        pieces.stop();
        progress = progress.ended(false);
        return List.of(event(now, state.json(), "Paused" + kept(), slicesKept()));
    }

    /** Goes on after a pause; a job that goes on anyway does not mind. */
    List<JobEvent> resume(Pieces pieces, Instant now) {
        if (state == JobState.QUEUED || state == JobState.RUNNING) {
            return List.of();
        }
        if (state != JobState.PAUSED) {
            throw new JobStateException(id, state, "be resumed");
        }
        return again("Resumed", pieces, now);
    }

    /** Tries a failed or cancelled job again, from its last finished slice; a job that goes on anyway does not mind. */
    List<JobEvent> retry(Pieces pieces, Instant now) {
        if (state == JobState.QUEUED || state == JobState.RUNNING) {
            return List.of();
        }
        if (state == JobState.PAUSED) {
            throw new JobStateException(id, state, "be retried, only resumed");
        }
        return again("Tried again", pieces, now);
    }

    private List<JobEvent> again(String how, Pieces pieces, Instant now) {
        become(JobState.QUEUED, "be retried");
        finishedAt = null;
        error = null;
        // why opened anew: what the job starts from may have changed in the meantime, and then finished slices do not count
        pieces.startAgain();
        return List.of(event(now, state.json(), how + kept(), slicesKept()));
    }

    /** A worker hands its piece back: it waits in the queue with the entry it has. */
    List<JobEvent> release(Piece piece, Pieces pieces, String why, Instant now) {
        piece.back();
        List<JobEvent> events = new ArrayList<>();
        events.add(event(now, "handed_back", "Handed back by attempt " + piece.attempt() + ", because " + why + ": "
                + piece.words(slices) + " starts again", data(piece)));
        events.addAll(waitsIfNobodyWorks(pieces, "Waiting for a device", now));
        return events;
    }

    private List<JobEvent> waitsIfNobodyWorks(Pieces pieces, String words, Instant now) {
        if (state != JobState.RUNNING || !pieces.nobodyWorks()) {
            return List.of();
        }
        become(JobState.QUEUED, "be handed back");
        return List.of(event(now, state.json(), words, Map.of()));
    }

    /** A worker that had lost its lease wrote all the same. */
    List<JobEvent> rejected(Lease lease, Instant now) {
        return List.of(event(now, "write_rejected", "A write of attempt " + lease.attempt()
                + " was refused: its worker had lost the lease. Nothing was changed",
                Map.of("attempt", lease.attempt(), "piece", lease.piece())));
    }

    /** One of its artifacts is deleted; its figures are told as before. */
    List<JobEvent> artifactDeleted(String deleted, Instant now) {
        List<String> all = new ArrayList<>(deletedArtifacts);
        all.add(deleted);
        deletedArtifacts = List.copyOf(all);
        return List.of(event(now, "artifact_deleted", "The files of " + deleted + " were deleted; the figures stay",
                Map.of("artifact_id", deleted)));
    }

    /** @throws JobStateException when it is to stop: what a worker has done by then is not wanted any more */
    void requireWanted(String verb) {
        if (state == JobState.CANCELLING) {
            throw new JobStateException(id, state, verb);
        }
    }

    /** Somebody works at a piece: then the job runs, whatever was written into its row by hand. */
    void held(Pieces pieces) {
        if (state == JobState.QUEUED && !pieces.nobodyWorks()) {
            become(JobState.RUNNING, "be worked at");
        }
    }

    /** What no verb leaves behind was found and put right. */
    List<JobEvent> mended(List<String> found, Pieces pieces, Instant now) {
        List<JobEvent> events = new ArrayList<>();
        events.add(event(now, "mended", "Put right: " + String.join("; ", found), Map.of()));
        held(pieces);
        events.addAll(waitsIfNobodyWorks(pieces, "Waiting for a device", now));
        if (state == JobState.CANCELLING && pieces.nobodyWorks()) {
            events.addAll(cancelled("Cancelled, nobody worked at it any more", pieces, now));
        }
        return events;
    }

    private String kept() {
        return slicesDone == 0 ? "" : ", " + slicesDone + " of " + slices + " slices are kept";
    }

    private Map<String, Object> slicesKept() {
        return slices == null ? Map.of() : Map.of("slices", slices, "slices_done", slicesDone);
    }

    private Map<String, Object> data(Piece piece) {
        Map<String, Object> data = new java.util.LinkedHashMap<>();
        data.put("piece", piece.kind().json());
        if (piece.kind() == Piece.Kind.SLICE) {
            data.put("slice", piece.number());
        }
        data.put("attempt", piece.attempt());
        return data;
    }

    private String sentence(Piece piece) {
        String words = piece.words(slices);
        return Character.toUpperCase(words.charAt(0)) + words.substring(1);
    }

    private void become(JobState next, String verb) {
        if (!state.mayBecome(next)) {
            throw new JobStateException(id, state, verb);
        }
        state = next;
    }

    private void end(boolean whole, Instant now) {
        finishedAt = now;
        progress = progress.ended(whole);
    }

    private List<JobEvent> finishPhase(Instant now) {
        List<JobEvent> events = new ArrayList<>();
        if (!phases.isEmpty() && phases.getLast().finishedAt() == null) {
            phases = PhaseTimes.finished(phases, now);
            String word = PhaseColumn.word(phases.getLast().phase());
            long millis = Duration.between(phases.getLast().startedAt(), now).toMillis();
            events.add(event(now, "phase_finished", "Phase " + word + " took " + millis + " ms", Map.of("phase", word, "millis", millis)));
        }
        return events;
    }

    private JobEvent event(Instant at, String type, String message, Map<String, Object> data) {
        return new JobEvent(id, ++lastEvent, at, type, message, data);
    }
}
