package io.espalier.api;

import java.io.IOException;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.http.ContentDisposition;
import org.springframework.http.HttpHeaders;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** For those who look after the service. */
@RestController
final class SupportController {

    private static final String ZIP = "application/zip";

    private final SupportBundle bundle;

    SupportController(SupportBundle bundle) {
        this.bundle = bundle;
    }

    @GetMapping(path = "/v1/support-bundle", produces = ZIP)
    void bundle(Caller caller, HttpServletRequest request, HttpServletResponse response) throws IOException {
        if (!caller.seesAll()) {
            throw new ProblemException(ProblemCode.FORBIDDEN, "the bundle tells of every project (given: a token of " + caller.project()
                    + "; expected: an administrator's without a project)");
        }
        response.setContentType(ZIP);
        response.setHeader(HttpHeaders.CACHE_CONTROL, "no-store");
        response.setHeader(HttpHeaders.CONTENT_DISPOSITION,
                ContentDisposition.attachment().filename("espalier-support.zip").build().toString());
        if (!"HEAD".equals(request.getMethod())) {
            bundle.write(response.getOutputStream());
        }
    }
}
