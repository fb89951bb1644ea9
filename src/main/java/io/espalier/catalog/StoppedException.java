package io.espalier.catalog;

/** Work on a model ends without a result: the process stops, somebody else has taken it over, or the model was deleted. */
final class StoppedException extends RuntimeException {

    StoppedException(String why) {
        super(why, null, false, false);
    }
}
