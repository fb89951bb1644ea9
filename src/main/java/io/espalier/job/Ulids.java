package io.espalier.job;

import java.security.SecureRandom;
import java.util.Arrays;
import java.util.random.RandomGenerator;

/**
 * Sortable ids: 48 bits of milliseconds, 80 of chance, in 26 lower-case characters of Crockford's alphabet (github.com/ulid/spec). Within one process
 * each is greater than the one before, even within a millisecond.
 */
public final class Ulids {

    private static final char[] ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz".toCharArray();
    static final int LENGTH = 26;
    /** Characters that hold the milliseconds. */
    private static final int MILLIS = 10;

    private final RandomGenerator random = new SecureRandom();
    private long lastMillis = -1;
    private long high16;
    private long low64;

    /** @param millis since 1970 */
    public synchronized String next(long millis) {
        if (millis > lastMillis) {
            lastMillis = millis;
            // why: the top bit stays clear, so that counting up within a millisecond cannot run over
            high16 = random.nextLong() & 0x7fff;
            low64 = random.nextLong();
        } else if (++low64 == 0) {
            high16++;
        }
        char[] text = new char[LENGTH];
        long high = lastMillis << 16 | high16;
        long low = low64;
        for (int i = LENGTH - 1; i >= 0; i--) {
            text[i] = ALPHABET[(int) (low & 31)];
            low = low >>> 5 | high << 59;
            high >>>= 5;
        }
        return new String(text);
    }

    /** The milliseconds since 1970 in an id of this alphabet. */
    static long millis(String ulid) {
        long millis = 0;
        for (int i = 0; i < MILLIS; i++) {
            millis = millis << 5 | Arrays.binarySearch(ALPHABET, ulid.charAt(i));
        }
        return millis;
    }
}
