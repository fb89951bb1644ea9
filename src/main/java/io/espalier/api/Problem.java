package io.espalier.api;

import java.io.IOException;
import java.util.List;

import jakarta.servlet.DispatcherType;
import jakarta.servlet.RequestDispatcher;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.espalier.recipe.Violation;
import org.springframework.http.MediaType;
import tools.jackson.databind.json.JsonMapper;

/**
 * RFC 9457 problem details, written past all content negotiation: whoever cannot be given what he asked for still learns why.
 *
 * @param instance the path that was asked for
 * @param state the job's state, where that is the reason; else absent
 */
record Problem(String type, String title, int status, String detail, String instance, String code, List<Violation> violations,
        @JsonInclude(JsonInclude.Include.NON_NULL) String state) {

    private static final JsonMapper JSON = JsonMapper.builder().build();

    static Problem of(ProblemException e, HttpServletRequest request) {
        ProblemCode code = e.code();
        return new Problem(code.type(), code.title(), code.status().value(), e.getMessage(), path(request), code.json(), e.violations(),
                e.state());
    }

    /** Sends it, unless the answer has begun: then nothing can be said any more. */
    void send(HttpServletRequest request, HttpServletResponse response) throws IOException {
        if (response.isCommitted()) {
            return;
        }
        byte[] body = JSON.writeValueAsBytes(this);
        response.resetBuffer();
        response.setStatus(status);
        response.setContentType(MediaType.APPLICATION_PROBLEM_JSON_VALUE);
        response.setCharacterEncoding((String) null);
        response.setHeader("Cache-Control", "no-store");
        response.setHeader("X-Content-Type-Options", "nosniff");
        response.setContentLength(body.length);
        if (!"HEAD".equals(request.getMethod())) {
            response.getOutputStream().write(body);
        }
    }

    private static String path(HttpServletRequest request) {
        if (request.getDispatcherType() == DispatcherType.ERROR) {
            Object asked = request.getAttribute(RequestDispatcher.ERROR_REQUEST_URI);
            return asked == null ? "" : asked.toString();
        }
        return request.getRequestURI() == null ? "" : request.getRequestURI();
    }
}
