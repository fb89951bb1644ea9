package io.espalier.transformer;

/** A NaN or an infinity where a number belongs. */
public final class NotFiniteException extends RuntimeException {

    public NotFiniteException(String message) {
        super(message);
    }

    /** Refuses a value that is not a number: {@code what: NaN (expected: a finite number)}. */
    public static double requireFinite(double value, String what) {
        if (!Double.isFinite(value)) {
            throw new NotFiniteException(what + ": " + value + " (expected: a finite number)");
        }
        return value;
    }
}
