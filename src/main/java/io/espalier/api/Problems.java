package io.espalier.api;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import io.espalier.catalog.ModelConflictException;
import io.espalier.catalog.NoRoomException;
import io.espalier.catalog.ScoresGoneException;
import io.espalier.job.IdempotencyKey;
import io.espalier.objectstore.ObjectStoreException;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.Violation;
import org.apache.coyote.BadRequestException;
import org.apache.tomcat.util.http.InvalidParameterException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.core.MethodParameter;
import org.springframework.dao.DataIntegrityViolationException;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpMethod;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.InvalidMediaTypeException;
import org.springframework.http.MediaType;
import org.springframework.web.ErrorResponse;
import org.springframework.web.HttpMediaTypeNotAcceptableException;
import org.springframework.web.HttpMediaTypeNotSupportedException;
import org.springframework.web.HttpRequestMethodNotSupportedException;
import org.springframework.web.bind.MissingServletRequestParameterException;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestControllerAdvice;
import org.springframework.web.method.annotation.HandlerMethodValidationException;
import org.springframework.web.method.annotation.MethodArgumentTypeMismatchException;
import org.springframework.web.servlet.NoHandlerFoundException;
import org.springframework.web.servlet.resource.NoResourceFoundException;
import org.springframework.web.util.DisconnectedClientHelper;

/** The one border where what went wrong becomes a problem for the client, or, when it was ours, a line in the log and a problem that says no more. */
@RestControllerAdvice
final class Problems {

    private static final Logger log = LoggerFactory.getLogger(Problems.class);

    private static final List<String> FILE_HEADERS = List.of(HttpHeaders.ETAG, "Repr-Digest", HttpHeaders.ACCEPT_RANGES,
            HttpHeaders.CONTENT_RANGE, HttpHeaders.CONTENT_DISPOSITION);

    @ExceptionHandler
    void answer(Exception e, HttpServletRequest request, HttpServletResponse response) throws IOException {
        if (!(e instanceof ObjectStoreException) && DisconnectedClientHelper.isClientDisconnectedException(e)) {
            log.debug("{} {}: the client went away", request.getMethod(), request.getRequestURI());
            return;
        }
        if (e instanceof ObjectStoreException || e instanceof NoSuchFileException || e instanceof ScoresGoneException) {
            // why: these were set for the file that cannot be had now
            FILE_HEADERS.forEach(header -> response.setHeader(header, null));
        }
        ProblemException problem = problem(e, request, response);
        if (problem.code() == ProblemCode.IDEMPOTENCY_KEY_IN_FLIGHT || problem.code() == ProblemCode.UNAVAILABLE) {
            response.setHeader(HttpHeaders.RETRY_AFTER, "1");
        } else if (problem.code() == ProblemCode.UNSUPPORTED_MEDIA_TYPE && request.getHeader(HttpHeaders.CONTENT_ENCODING) != null) {
            response.setHeader(HttpHeaders.ACCEPT_ENCODING, "identity");
        } else if (problem.code() == ProblemCode.TOO_MANY_JOBS) {
            response.setHeader(HttpHeaders.RETRY_AFTER, "60");
        }
        Problem.of(problem, request).send(request, response);
    }

    /** What to say; headers that belong to it are set on the way. */
    private static ProblemException problem(Exception e, HttpServletRequest request, HttpServletResponse response) {
        return switch (e) {
            case ProblemException known -> known;
            case PruningException refused when refused.violations().isEmpty() ->
                new ProblemException(ProblemCode.INVALID_RECIPE, refused.getMessage());
            case PruningException refused -> ProblemException.violated(ProblemCode.INVALID_RECIPE, refused.violations());
            // why: the last job that refers to a score set may be deleted while another is ordered on it
            case DataIntegrityViolationException gone when String.valueOf(gone.getMessage()).contains("score_set_id_fkey") ->
                ProblemException.violated(ProblemCode.INVALID_RECIPE,
                        List.of(new Violation("score_set", "a score set that is gone", "one that GET /v1/score-sets lists")));
            case IdempotencyKey.ReusedException reused -> new ProblemException(ProblemCode.IDEMPOTENCY_KEY_REUSED, reused.getMessage());
            // why: the last job that refers to them may be deleted while they are read
            case ScoresGoneException gone -> new ProblemException(ProblemCode.SCORE_SET_NOT_FOUND, gone.getMessage());
            case ModelConflictException conflict -> conflict(conflict);
            case NoRoomException full -> new ProblemException(ProblemCode.DISK_FULL, full.getMessage());
            case NoHandlerFoundException nothing -> unknown(request);
            case NoResourceFoundException nothing -> unknown(request);
            case HttpRequestMethodNotSupportedException method -> notAllowed(method, response);
            case HttpMediaTypeNotAcceptableException media -> new ProblemException(ProblemCode.NOT_ACCEPTABLE,
                    accepted(request) + " (expected: " + types(media.getSupportedMediaTypes(), "a media type that the operation lists")
                            + ")");
            case HttpMediaTypeNotSupportedException media -> unsupported(media, request, response);
            case InvalidMediaTypeException media -> new ProblemException(ProblemCode.INVALID_REQUEST, media.getMessage());
            case MethodArgumentTypeMismatchException argument -> ProblemException.violated(ProblemCode.INVALID_REQUEST,
                    List.of(new Violation(argument.getName(), Given.printable(String.valueOf(argument.getValue())), "an integer")));
            case MissingServletRequestParameterException absent -> ProblemException.violated(ProblemCode.INVALID_REQUEST,
                    List.of(Violation.missing(absent.getParameterName(), "a value in the query")));
            case HandlerMethodValidationException arguments ->
                ProblemException.violated(ProblemCode.INVALID_REQUEST, violations(arguments));
            case BadRequestException broken -> new ProblemException(ProblemCode.INVALID_REQUEST,
                    "the body cannot be read: " + Given.printable(String.valueOf(broken.getMessage())));
            case ObjectStoreException away -> unavailable("the storage of artifacts does not answer; try again in a moment", e, request);
            case NoSuchFileException lost ->
                unavailable("a file is not where the service left it; its keeper has to bring it back", e, request);
            case InvalidParameterException undecodable -> new ProblemException(ProblemCode.INVALID_REQUEST,
                    "the parameters cannot be read (expected: percent-encoded UTF-8, and no more than 1000 of them)");
            case ErrorResponse other -> byStatus(other.getStatusCode(), e, request);
            default -> DatabaseTrouble.of(e).map(words -> unavailable(words, e, request)).orElseGet(() -> ours(e, request));
        };
    }

    private static ProblemException conflict(ModelConflictException e) {
        ProblemCode code = switch (e.reason()) {
            case NAME -> ProblemCode.MODEL_EXISTS;
            case STATE -> ProblemCode.MODEL_STATE;
            case NEEDED -> ProblemCode.MODEL_IN_USE;
            case OFFSET -> ProblemCode.UPLOAD_OFFSET;
        };
        return ProblemException.conflict(code, e.getMessage(), e.state() == null ? null : e.state().json());
    }

    /** For whoever has no exception, only a status: the container, and those of Spring's exceptions that need no words of their own. */
    static ProblemException byStatus(HttpStatusCode status, Exception e, HttpServletRequest request) {
        return switch (status.value()) {
            case 404 -> unknown(request);
            case 405 -> new ProblemException(ProblemCode.METHOD_NOT_ALLOWED, ErrorPages.method(request) + " is not known here");
            case 413 -> new ProblemException(ProblemCode.BODY_TOO_LARGE, "the request is larger than is read");
            case 503 -> unavailable("the service cannot answer; try again in a moment", e, request);
            // why: 501 and 505 are Tomcat's words for a Transfer-Encoding or an HTTP version that nobody speaks
            default -> status.is4xxClientError() || status.value() == 501 || status.value() == 505
                    ? new ProblemException(ProblemCode.INVALID_REQUEST, "the request line, a header or a parameter cannot be read")
                    : ours(e, request);
        };
    }

    private static ProblemException unknown(HttpServletRequest request) {
        return new ProblemException(ProblemCode.NOT_FOUND,
                "there is nothing at this address; GET /openapi.yaml lists all that there are, where a process serves the API");
    }

    private static ProblemException notAllowed(HttpRequestMethodNotSupportedException e, HttpServletResponse response) {
        // why these two: they are answered everywhere, and nobody maps them
        Set<String> known = new TreeSet<>(Set.of(HttpMethod.OPTIONS.name()));
        for (HttpMethod method : e.getSupportedHttpMethods() == null ? Set.<HttpMethod>of() : e.getSupportedHttpMethods()) {
            known.addAll(method.equals(HttpMethod.GET) ? List.of(method.name(), HttpMethod.HEAD.name()) : List.of(method.name()));
        }
        String allowed = String.join(", ", known);
        response.setHeader(HttpHeaders.ALLOW, allowed);
        return new ProblemException(ProblemCode.METHOD_NOT_ALLOWED, e.getMethod() + " (expected: " + allowed + ")");
    }

    private static ProblemException unsupported(HttpMediaTypeNotSupportedException e, HttpServletRequest request,
            HttpServletResponse response) {
        String read = types(e.getSupportedMediaTypes(), MediaType.APPLICATION_JSON_VALUE);
        response.setHeader(HttpHeaders.ACCEPT, read);
        String given = request.getContentType() == null ? "no Content-Type" : Given.printable(request.getContentType());
        return new ProblemException(ProblemCode.UNSUPPORTED_MEDIA_TYPE, given + " (expected: " + read + ")");
    }

    private static ProblemException unavailable(String words, Exception e, HttpServletRequest request) {
        // why no trace: it comes with every request for as long as the database is away
        log.warn("{} {}: answered 503: {}", request.getMethod(), request.getRequestURI(), String.valueOf(e));
        return new ProblemException(ProblemCode.UNAVAILABLE, words);
    }

    private static ProblemException ours(Exception e, HttpServletRequest request) {
        log.error("{} {}: answered 500", request.getMethod(), request.getRequestURI(), e);
        return new ProblemException(ProblemCode.INTERNAL_ERROR, "this is a mistake of the service; its log says more");
    }

    private static List<Violation> violations(HandlerMethodValidationException e) {
        List<Violation> violations = new ArrayList<>();
        e.getParameterValidationResults().forEach(result -> result.getResolvableErrors()
                .forEach(error -> violations.add(new Violation(name(result.getMethodParameter()),
                        Given.printable(String.valueOf(result.getArgument())), error.getDefaultMessage()))));
        return violations;
    }

    /** As a client writes it. */
    private static String name(MethodParameter parameter) {
        RequestParam said = parameter.getParameterAnnotation(RequestParam.class);
        return said == null || said.name().isEmpty() ? parameter.getParameterName() : said.name();
    }

    private static String accepted(HttpServletRequest request) {
        return Given.printable(String.valueOf(request.getHeader(HttpHeaders.ACCEPT)));
    }

    private static String types(List<MediaType> types, String none) {
        return types.isEmpty() ? none : MediaType.toString(types);
    }
}
