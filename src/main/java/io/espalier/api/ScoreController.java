package io.espalier.api;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import io.espalier.catalog.ScoreSet;
import io.espalier.catalog.ScoreSets;
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
    ResponseEntity<ScoreSummary> summary(@PathVariable String id) {
        return ResponseEntity.ok().varyBy(HttpHeaders.ACCEPT).body(of(id).summary());
    }

    @GetMapping(path = ADDRESS, produces = {Download.SAFETENSORS, MediaType.APPLICATION_OCTET_STREAM_VALUE})
    void file(@PathVariable String id, HttpServletRequest request, HttpServletResponse response) throws IOException {
        ScoreSet set = of(id);
        response.setHeader(HttpHeaders.VARY, HttpHeaders.ACCEPT);
        new Download((from, to, out) -> scores.write(set, new Window(out, from, to)), set.bytes(), set.id() + ".safetensors",
                Download.SAFETENSORS, set.sha256()).send(request, response);
    }

    private ScoreSet of(String jobId) {
        PruningJob job = jobs.find(jobId).orElseThrow(() -> PruningJobController.unknown(jobId));
        return scores.findByJob(jobId).orElseThrow(() -> ProblemException.conflict(ProblemCode.SCORES_NOT_READY,
                job.state().terminal()
                        ? jobId + " is " + job.state().json() + " and left no scores"
                        : jobId + " is " + job.state().json() + "; its scores are there once it has succeeded",
                job.state().json()));
    }

    /** Lets the bytes between two positions through. The score file is kept in small pieces, so what is dropped costs little. */
    private static final class Window extends FilterOutputStream {

        private final long from;
        private final long to;
        private long at;

        Window(OutputStream out, long from, long to) {
            super(out);
            this.from = from;
            this.to = to;
        }

        @Override
        public void write(int b) throws IOException {
            write(new byte[]{(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            long first = Math.max(from, at);
            long end = Math.min(to, at + length);
            if (first < end) {
                out.write(bytes, (int) (offset + first - at), (int) (end - first));
            }
            at += length;
        }
    }
}
