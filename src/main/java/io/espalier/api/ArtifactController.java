package io.espalier.api;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;

import io.espalier.artifact.Archive;
import io.espalier.artifact.Artifact;
import io.espalier.artifact.ArtifactFile;
import io.espalier.artifact.Artifacts;
import io.espalier.job.Leases;
import io.espalier.job.NoSuchJobException;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.recipe.Violation;
import org.springframework.http.CacheControl;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.util.UriUtils;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

@RestController
@RequestMapping(ArtifactController.PATH)
final class ArtifactController {

    static final String PATH = "/v1/artifacts";

    private static final String LIMIT = "50";
    private static final int MAX_LIMIT = 200;
    private static final String LIMITS = "an integer from 1 to " + MAX_LIMIT;

    private final Artifacts artifacts;
    private final PruningJobs jobs;
    private final Leases leases;
    private final TransactionTemplate transaction;

    ArtifactController(Artifacts artifacts, PruningJobs jobs, Leases leases, PlatformTransactionManager transactions) {
        this.artifacts = artifacts;
        this.jobs = jobs;
        this.leases = leases;
        this.transaction = new TransactionTemplate(transactions);
    }

    @GetMapping(produces = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<Page<Summary>> list(Caller caller, @RequestParam(required = false) String job,
            @RequestParam(required = false) String cursor,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit) {
        if (job != null && !Given.storable(job)) {
            throw ProblemException.violated(ProblemCode.INVALID_REQUEST,
                    List.of(new Violation("job", Given.printable(job), "Unicode text without NUL")));
        }
        String after = cursor == null ? null : Page.Cursor.parse(cursor, "art_").afterId();
        // why: one more than asked for says whether there is a next page
        List<Artifact> found = artifacts.list(caller.project(), job, after, limit + 1);
        List<Artifact> page = found.subList(0, Math.min(limit, found.size()));
        String next = found.size() > limit ? new Page.Cursor(page.getLast().id()).text() : null;
        return ResponseEntity.ok().cacheControl(CacheControl.noStore()).body(new Page<>(page.stream().map(Summary::of).toList(), next));
    }

    @GetMapping(path = "/{id}", produces = MediaType.APPLICATION_JSON_VALUE)
    Listing get(Caller caller, @PathVariable String id) {
        return Listing.of(known(caller, id));
    }

    @DeleteMapping(path = "/{id}", produces = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<Void> delete(Caller caller, @PathVariable String id) {
        leases.publishing(id).filter(job -> caller.sees(job.recipe().project()) && artifacts.find(id).isEmpty()).ifPresent(job -> {
            throw ProblemException.conflict(ProblemCode.JOB_STATE, job.id() + " is " + job.state().json() + " and still writes " + id
                    + " (expected: an artifact that is published); cancel the job", job.state().json());
        });
        Artifact artifact = known(caller, id);
        try {
            transaction.executeWithoutResult(status -> {
                // why the job first: that is the order in which every other change locks rows
                jobs.artifactDeleted(artifact.jobId(), id);
                if (!artifacts.delete(id)) {
                    throw deleted(id);
                }
            });
        } catch (NoSuchJobException e) {
            throw unknown(id);
        }
        artifacts.discard(artifact);
        return ResponseEntity.noContent().build();
    }

    @GetMapping("/{id}/files/{name}")
    void file(Caller caller, @PathVariable String id, @PathVariable String name, HttpServletRequest request, HttpServletResponse response)
            throws IOException {
        Artifact artifact = known(caller, id);
        ArtifactFile file = artifact.files().stream().filter(listed -> listed.name().equals(name)).findFirst()
                .orElseThrow(() -> new ProblemException(ProblemCode.FILE_NOT_FOUND,
                        Given.printable(id) + " has no file " + Given.printable(name)));
        String type = Download.typeOf(name);
        new Download((from, to, out) -> artifacts.write(artifact, file, from, to, out), file.bytes(), name, type, file.sha256(),
                file.sha256(), artifacts.address(artifact, file, type, Download.disposition(name)).orElse(null))
                .send(request, response);
    }

    @GetMapping("/{id}/archive")
    void archive(Caller caller, @PathVariable String id, HttpServletRequest request, HttpServletResponse response) throws IOException {
        Archive archive = artifacts.archive(known(caller, id));
        new Download(archive::write, archive.length(), id + ".tar", "application/x-tar", archive.tag(), null, null).send(request, response);
    }

    private Artifact known(Caller caller, String id) {
        Artifact artifact = artifacts.find(id).filter(one -> caller.sees(one.project())).orElseThrow(() -> unknown(id));
        if (artifact.deletedAt() != null) {
            throw deleted(id);
        }
        return artifact;
    }

    private static ProblemException unknown(String id) {
        return new ProblemException(ProblemCode.ARTIFACT_NOT_FOUND, "no artifact has the id " + Given.printable(id));
    }

    private static ProblemException deleted(String id) {
        return new ProblemException(ProblemCode.ARTIFACT_DELETED, id + " was deleted; its job still has the figures");
    }

    /** An artifact in a list. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Summary(String id, String jobId, Instant createdAt, String digest, long bytes, int fileCount, String store, String href) {

        static Summary of(Artifact artifact) {
            return new Summary(artifact.id(), artifact.jobId(), artifact.createdAt(), artifact.digest(), artifact.bytes(),
                    artifact.files().size(), artifact.store(), PATH + "/" + artifact.id());
        }
    }

    /** An artifact with an address for each file, and one for all of them. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Listing(String id, String jobId, Instant createdAt, String digest, long bytes, String store, String archive,
            List<Entry> files) {

        record Entry(String name, long bytes, String sha256, String href) {}

        static Listing of(Artifact artifact) {
            String self = PATH + "/" + artifact.id();
            String base = self + "/files/";
            return new Listing(artifact.id(), artifact.jobId(), artifact.createdAt(), artifact.digest(), artifact.bytes(),
                    artifact.store(), self + "/archive",
                    artifact.files().stream().map(file -> new Entry(file.name(), file.bytes(), file.sha256(),
                            base + UriUtils.encodePathSegment(file.name(), StandardCharsets.UTF_8))).toList());
        }
    }
}
