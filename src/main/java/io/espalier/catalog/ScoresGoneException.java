package io.espalier.catalog;

import java.util.NoSuchElementException;

/** There is no such score set, or not any more: the last job that referred to it was deleted. */
public final class ScoresGoneException extends NoSuchElementException {

    ScoresGoneException(String id) {
        super("there is no score set " + id);
    }
}
