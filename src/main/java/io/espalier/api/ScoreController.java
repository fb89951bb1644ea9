package io.espalier.api;

import java.io.IOException;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import io.espalier.catalog.ScoreSet;
import io.espalier.catalog.ScoreSets;
import io.espalier.job.JobState;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.recipe.ScoreSummary;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

/** The scores of a job in two representations at one address: JSON for whoever asks for nothing else, the file for whoever names its type. */
@RestController
final class ScoreController {

    private static final String ADDRESS = PruningJobController.PATH + "/{id}/scores";

    private final PruningJobs jobs;
    private final ScoreSets scores;

    ScoreController(PruningJobs jobs, ScoreSets scores) {
        this.jobs = jobs;
        this.scores = scores;
    }

    @GetMapping(path = ADDRESS, produces = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<ScoreSummary> summary(@PathVariable String id, Caller caller) {
        PruningJob job = succeeded(id, caller);
        return ResponseEntity.ok().varyBy(HttpHeaders.ACCEPT)
                .body(scores.planned(job.id()).orElseThrow(() -> PruningJobController.unknown(id)));
    }

    @GetMapping(path = ADDRESS, produces = {Download.SAFETENSORS, MediaType.APPLICATION_OCTET_STREAM_VALUE})
    void file(@PathVariable String id, Caller caller, HttpServletRequest request, HttpServletResponse response) throws IOException {
        response.setHeader(HttpHeaders.VARY, HttpHeaders.ACCEPT);
        ScoreSet set = scores.findBriefly(succeeded(id, caller).scoreSetId()).orElseThrow(() -> PruningJobController.unknown(id));
        download(set, scores).send(request, response);
    }

    /** The safetensors file of a set. */
    static Download download(ScoreSet set, ScoreSets scores) {
        return new Download((from, to, out) -> scores.write(set.id(), from, to, out), set.bytes(), set.id() + ".safetensors",
                Download.SAFETENSORS, set.sha256());
    }

    private PruningJob succeeded(String jobId, Caller caller) {
        PruningJob job = jobs.find(jobId, caller.project()).orElseThrow(() -> PruningJobController.unknown(jobId));
        if (job.state() != JobState.SUCCEEDED) {
            throw ProblemException.conflict(ProblemCode.SCORES_NOT_READY,
                    job.state().terminal()
                            ? jobId + " is " + job.state().json() + " and left no scores"
                            : jobId + " is " + job.state().json() + "; its scores are there once it has succeeded",
                    job.state().json());
        }
        return job;
    }
}
