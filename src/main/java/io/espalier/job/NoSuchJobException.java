package io.espalier.job;

/** No job has this id. */
public final class NoSuchJobException extends RuntimeException {

    NoSuchJobException(String id) {
        super("no job has the id " + id);
    }
}
