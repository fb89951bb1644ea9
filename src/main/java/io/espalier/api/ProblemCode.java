package io.espalier.api;

import java.util.Locale;

import org.springframework.http.HttpStatus;

/** Why a request was refused: a stable word for programs. What to do about each stands at the top of {@code openapi.yaml}. */
enum ProblemCode {
    MALFORMED_JSON(HttpStatus.BAD_REQUEST, "The body is no well-formed JSON"), //
    INVALID_REQUEST(HttpStatus.BAD_REQUEST, "The request cannot be read"), //
    INVALID_CURSOR(HttpStatus.BAD_REQUEST, "The cursor is not one of ours"), //
    UNAUTHENTICATED(HttpStatus.UNAUTHORIZED, "It is not known who asks"), //
    FORBIDDEN(HttpStatus.FORBIDDEN, "The caller may not do this"), //
    NOT_FOUND(HttpStatus.NOT_FOUND, "No such address"), //
    JOB_NOT_FOUND(HttpStatus.NOT_FOUND, "No such job"), //
    ARTIFACT_NOT_FOUND(HttpStatus.NOT_FOUND, "No such artifact"), //
    FILE_NOT_FOUND(HttpStatus.NOT_FOUND, "No such file in the artifact"), //
    MODEL_NOT_FOUND(HttpStatus.NOT_FOUND, "No such registered model"), //
    CORPUS_NOT_FOUND(HttpStatus.NOT_FOUND, "No such registered corpus"), //
    SCORE_SET_NOT_FOUND(HttpStatus.NOT_FOUND, "No such score set"), //
    WEBHOOK_NOT_FOUND(HttpStatus.NOT_FOUND, "No such webhook"), //
    DELIVERY_NOT_FOUND(HttpStatus.NOT_FOUND, "No such message to the webhook"), //
    ARTIFACT_DELETED(HttpStatus.GONE, "The artifact was deleted"), //
    API_KEY_NOT_FOUND(HttpStatus.NOT_FOUND, "No such API key"), //
    METHOD_NOT_ALLOWED(HttpStatus.METHOD_NOT_ALLOWED, "The address does not know this method"), //
    NOT_ACCEPTABLE(HttpStatus.NOT_ACCEPTABLE, "No answer in the media type asked for"), //
    MODEL_EXISTS(HttpStatus.CONFLICT, "The name is taken"), //
    MODEL_STATE(HttpStatus.CONFLICT, "The model's state does not allow it"), //
    MODEL_IN_USE(HttpStatus.CONFLICT, "A live job needs the model"), //
    UPLOAD_OFFSET(HttpStatus.CONFLICT, "The part does not begin where the file ends"), //
    JOB_STATE(HttpStatus.CONFLICT, "The job's state does not allow it"), //
    JOB_FINISHED(HttpStatus.CONFLICT, "The job has ended"), //
    IDEMPOTENCY_KEY_IN_FLIGHT(HttpStatus.CONFLICT, "The same order is being taken"), //
    SCORES_NOT_READY(HttpStatus.CONFLICT, "The job has no scores"), //
    SCORES_OUTDATED(HttpStatus.CONFLICT, "The score set is of an older version"), //
    WEBHOOK_STATE(HttpStatus.CONFLICT, "The webhook does not allow it"), //
    CORPUS_EXISTS(HttpStatus.CONFLICT, "The name is taken"), //
    CORPUS_IN_USE(HttpStatus.CONFLICT, "The corpus is needed"), //
    BODY_TOO_LARGE(HttpStatus.CONTENT_TOO_LARGE, "The body is too large"), //
    UNSUPPORTED_MEDIA_TYPE(HttpStatus.UNSUPPORTED_MEDIA_TYPE, "The body's media type is not read"), //
    RANGE_NOT_SATISFIABLE(HttpStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "The range lies outside the file"), //
    INVALID_RECIPE(HttpStatus.UNPROCESSABLE_CONTENT, "The order is refused"), //
    INVALID_WEBHOOK(HttpStatus.UNPROCESSABLE_CONTENT, "The webhook is refused"), //
    INVALID_MODEL(HttpStatus.UNPROCESSABLE_CONTENT, "The model is refused"), //
    INVALID_CORPUS(HttpStatus.UNPROCESSABLE_CONTENT, "The corpus is refused"), //
    IDEMPOTENCY_KEY_REUSED(HttpStatus.UNPROCESSABLE_CONTENT, "The key stands for another order"), //
    RATE_LIMITED(HttpStatus.TOO_MANY_REQUESTS, "Too many requests"), //
    TOO_MANY_STREAMS(HttpStatus.TOO_MANY_REQUESTS, "Too many open streams"), //
    TOO_MANY_JOBS(HttpStatus.TOO_MANY_REQUESTS, "Too many unfinished jobs"), //
    INTERNAL_ERROR(HttpStatus.INTERNAL_SERVER_ERROR, "Our mistake"), //
    UNAVAILABLE(HttpStatus.SERVICE_UNAVAILABLE, "Not able to answer now"), //
    DISK_FULL(HttpStatus.INSUFFICIENT_STORAGE, "The disk is full");

    private final HttpStatus status;
    private final String title;

    ProblemCode(HttpStatus status, String title) {
        this.status = status;
        this.title = title;
    }

    HttpStatus status() {
        return status;
    }

    String title() {
        return title;
    }

    /** The word as it travels. */
    String json() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** A reference that names the type of problem; it need not lead anywhere. */
    String type() {
        return "/problems/" + json().replace('_', '-');
    }
}
