package io.espalier.api;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import io.espalier.artifact.Artifact;
import io.espalier.artifact.ArtifactFile;
import io.espalier.artifact.Artifacts;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.util.UriUtils;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

@RestController
@RequestMapping(ArtifactController.PATH)
final class ArtifactController {

    static final String PATH = "/v1/artifacts";

    private final Artifacts artifacts;

    ArtifactController(Artifacts artifacts) {
        this.artifacts = artifacts;
    }

    @GetMapping(path = "/{id}", produces = MediaType.APPLICATION_JSON_VALUE)
    Listing list(@PathVariable String id, Caller caller) {
        return Listing.of(known(id, caller));
    }

    @GetMapping("/{id}/files/{name}")
    void file(@PathVariable String id, @PathVariable String name, Caller caller, HttpServletRequest request, HttpServletResponse response)
            throws IOException {
        ArtifactFile file = known(id, caller).files().stream().filter(listed -> listed.name().equals(name)).findFirst()
                .orElseThrow(() -> unknownFile(id, name));
        Path path = artifacts.file(id, name).orElseThrow(() -> unknownFile(id, name));
        Download.of(path, file.bytes(), file.name(), file.sha256()).send(request, response);
    }

    private Artifact known(String id, Caller caller) {
        return artifacts.find(id, caller.project()).orElseThrow(
                () -> new ProblemException(ProblemCode.ARTIFACT_NOT_FOUND, "no artifact has the id " + Given.printable(id)));
    }

    private static ProblemException unknownFile(String id, String name) {
        return new ProblemException(ProblemCode.FILE_NOT_FOUND, Given.printable(id) + " has no file " + Given.printable(name));
    }

    /** An artifact with an address for each file. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Listing(String id, String jobId, Instant createdAt, String digest, long bytes, List<Entry> files) {

        record Entry(String name, long bytes, String sha256, String href) {}

        static Listing of(Artifact artifact) {
            String base = PATH + "/" + artifact.id() + "/files/";
            return new Listing(artifact.id(), artifact.jobId(), artifact.createdAt(), artifact.digest(), artifact.bytes(),
                    artifact.files().stream().map(file -> new Entry(file.name(), file.bytes(), file.sha256(),
                            base + UriUtils.encodePathSegment(file.name(), StandardCharsets.UTF_8))).toList());
        }
    }
}
