package io.espalier.catalog;

/** The disk has no room for what was to be put on it. */
public final class NoRoomException extends RuntimeException {

    NoRoomException(String words) {
        super(words);
    }
}
