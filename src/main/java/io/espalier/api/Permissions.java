package io.espalier.api;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import io.espalier.security.Role;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.stereotype.Component;
import org.springframework.web.method.HandlerMethod;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.HandlerMapping;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;

/**
 * Who may do what: one line an operation, held by {@code PermissionsTest} to what is mapped. An operation without a line is the administrators'. It is asked
 * of the operation that was found, not of the address as it was written, so there are no two spellings.
 */
@Component
final class Permissions implements HandlerInterceptor, WebMvcConfigurer {

    private static final String ANYBODY = "anybody";

    /** Role, method, path. What changes nothing that others see is for viewers. */
    private static final String TABLE = """
            anybody    GET     /openapi.yaml
            anybody    GET     /v1/sign-in
            submitter  POST    /v1/pruning-jobs
            viewer     GET     /v1/pruning-jobs
            viewer     GET     /v1/pruning-jobs/{id}
            submitter  DELETE  /v1/pruning-jobs/{id}
            submitter  POST    /v1/pruning-jobs/{id}/cancel
            submitter  POST    /v1/pruning-jobs/{id}/pause
            submitter  POST    /v1/pruning-jobs/{id}/resume
            submitter  POST    /v1/pruning-jobs/{id}/retry
            viewer     GET     /v1/pruning-jobs/{id}/events
            viewer     GET     /v1/pruning-jobs/{id}/pieces
            viewer     GET     /v1/pruning-jobs/{id}/scores
            viewer     GET     /v1/score-sets
            viewer     GET     /v1/score-sets/{id}
            viewer     GET     /v1/score-sets/{id}/coverage
            viewer     GET     /v1/score-sets/{id}/curve
            viewer     POST    /v1/score-sets/{id}/plans
            viewer     GET     /v1/artifacts/{id}
            viewer     GET     /v1/artifacts/{id}/files/{name}
            viewer     GET     /v1/models
            viewer     GET     /v1/models/{name}
            viewer     GET     /v1/corpora
            viewer     GET     /v1/corpora/{name}
            viewer     GET     /v1/methods
            viewer     GET     /v1/pruning-jobs/{id}/metrics
            viewer     GET     /v1/pruning-jobs/{id}/logs
            viewer     GET     /v1/artifacts
            submitter  DELETE  /v1/artifacts/{id}
            viewer     GET     /v1/artifacts/{id}/archive
            submitter  POST    /v1/models
            submitter  DELETE  /v1/models/{name}
            viewer     GET     /v1/models/{name}/files/{file}
            submitter  PUT     /v1/models/{name}/files/{file}
            submitter  POST    /v1/models/{name}/complete
            submitter  POST    /v1/corpora
            submitter  DELETE  /v1/corpora/{name}
            submitter  PUT     /v1/corpora/{name}/content
            viewer     GET     /v1/corpora/{name}/tokens
            viewer     GET     /v1/architectures
            viewer     GET     /v1/methods/{name}
            submitter  POST    /v1/webhooks
            viewer     GET     /v1/webhooks
            viewer     GET     /v1/webhooks/{id}
            submitter  PATCH   /v1/webhooks/{id}
            submitter  DELETE  /v1/webhooks/{id}
            submitter  POST    /v1/webhooks/{id}/rotate-secret
            submitter  POST    /v1/webhooks/{id}/test
            viewer     GET     /v1/webhooks/{id}/deliveries
            submitter  POST    /v1/webhooks/{id}/deliveries/{delivery}/redeliver
            admin      GET     /v1/support-bundle
            admin      POST    /v1/api-keys
            admin      GET     /v1/api-keys
            admin      GET     /v1/api-keys/{id}
            admin      DELETE  /v1/api-keys/{id}
            """;

    private static final Map<String, String> NEEDED = read();

    private final Rates rates;

    Permissions(Rates rates) {
        this.rates = rates;
    }

    private static Map<String, String> read() {
        Map<String, String> needed = new HashMap<>();
        for (String line : TABLE.lines().toList()) {
            String[] words = line.split(" +");
            if (needed.put(words[1] + " " + words[2], words[0]) != null) {
                throw new IllegalStateException("two lines for " + words[1] + " " + words[2]);
            }
        }
        return Map.copyOf(needed);
    }

    /** {@code GET /v1/models/{name}} and all others that have a line. */
    static Set<String> operations() {
        return NEEDED.keySet();
    }

    /** Whether an operation is carried out for whoever asks. */
    static boolean isPublic(String operation) {
        return ANYBODY.equals(NEEDED.get(operation));
    }

    /** The least role that an operation needs. */
    static Role needed(String operation) {
        return Role.of(NEEDED.getOrDefault(operation, Role.ADMIN.json())).orElseThrow();
    }

    @Override
    public void addInterceptors(InterceptorRegistry interceptors) {
        interceptors.addInterceptor(this);
    }

    @Override
    public boolean preHandle(HttpServletRequest request, HttpServletResponse response, Object handler) {
        if (handler instanceof HandlerMethod method && Door.isOperations(method.getBeanType())) {
            String verb = "HEAD".equals(request.getMethod()) ? "GET" : request.getMethod();
            String operation = verb + " " + request.getAttribute(HandlerMapping.BEST_MATCHING_PATTERN_ATTRIBUTE);
            if (!isPublic(operation)) {
                require(needed(operation), operation, Caller.of(request), response);
                if (isStream(request)) {
                    rates.opened(Caller.of(request).name(), response);
                    request.setAttribute(Rates.class.getName(), Caller.of(request).name());
                }
            }
        }
        return true;
    }

    private static void require(Role needed, String operation, Caller caller, HttpServletResponse response) {
        if (!caller.role().covers(needed)) {
            response.setHeader(HttpHeaders.WWW_AUTHENTICATE,
                    Gate.challenge("insufficient_scope", null) + ", scope=\"" + needed.json() + '"');
            throw new ProblemException(ProblemCode.FORBIDDEN,
                    operation + " needs the role " + needed.json() + " (given: " + caller.role().json() + ")");
        }
    }

    private static boolean isStream(HttpServletRequest request) {
        return request.getAttribute(HandlerMapping.PRODUCIBLE_MEDIA_TYPES_ATTRIBUTE) instanceof Set<?> types
                && types.contains(MediaType.TEXT_EVENT_STREAM);
    }

    @Override
    public void afterCompletion(HttpServletRequest request, HttpServletResponse response, Object handler, Exception e) {
        if (request.getAttribute(Rates.class.getName()) instanceof String who) {
            rates.closed(who);
        }
    }
}
