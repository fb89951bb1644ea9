package io.espalier.catalog;

/** Why a model could not be brought in, in words for whoever registered it. */
final class FetchFailedException extends RuntimeException {

    FetchFailedException(String reason) {
        super(reason);
    }
}
