package io.espalier.corpus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;

/**
 * Token windows of one length, none overlapping another.
 *
 * @param ids [windows, length]
 */
public record TokenWindows(int[][] ids) {

    /** @throws IllegalArgumentException when there is no window, or windows differ in length */
    public TokenWindows {
        if (ids.length == 0) {
            throw new IllegalArgumentException("0 windows (expected: at least 1)");
        }
        for (int[] window : ids) {
            if (window.length != ids[0].length) {
                throw new IllegalArgumentException(
                        "a window of " + window.length + " tokens (expected: " + ids[0].length + " like the first)");
            }
        }
    }

    /** The windows as given. */
    public static TokenWindows of(int[][] ids) {
        return new TokenWindows(ids);
    }

    /**
     * A seeded sample of the windows that {@code stream} cuts into, in the order drawn: what {@code random.seed(seed); random.sample(range(n), k)} of
     * CPython draws, n windows being there. All windows are permuted when as many are asked for as there are.
     *
     * @param stream a tokenised text; window i is {@code [i * length, (i + 1) * length)} and a rest is left over
     * @throws PruningException {@code TOO_FEW_TOKENS}
     */
    public static TokenWindows sample(int[] stream, int sequences, int length, long seed) {
        int there = enough(stream, sequences, length);
        return cut(stream, new PythonRandom(seed).sample(there, sequences), length);
    }

    /**
     * Windows spread evenly over {@code stream}: every s-th of the n that are there, from the first, with {@code s = (n - 1) / (windows - 1)} rounded
     * down.
     *
     * @throws PruningException {@code TOO_FEW_TOKENS}
     */
    public static TokenWindows strided(int[] stream, int windows, int length) {
        int there = enough(stream, windows, length);
        int stride = windows == 1 ? 1 : (there - 1) / (windows - 1);
        int[] chosen = new int[windows];
        for (int j = 0; j < windows; j++) {
            chosen[j] = j * stride;
        }
        return cut(stream, chosen, length);
    }

    private static int enough(int[] stream, int asked, int length) {
        int there = stream.length / length;
        if (there < asked) {
            throw new PruningException(ErrorCode.TOO_FEW_TOKENS, "corpus: " + stream.length + " tokens, " + there + " windows of " + length
                    + " (expected: at least " + asked + " windows, " + (long) asked * length + " tokens)");
        }
        return there;
    }

    private static TokenWindows cut(int[] stream, int[] chosen, int length) {
        int[][] ids = new int[chosen.length][];
        for (int i = 0; i < chosen.length; i++) {
            ids[i] = Arrays.copyOfRange(stream, chosen[i] * length, (chosen[i] + 1) * length);
        }
        return new TokenWindows(ids);
    }

    public int windows() {
        return ids.length;
    }

    /** Tokens a window. */
    public int length() {
        return ids[0].length;
    }

    /** SHA-256, hexadecimal, over windows, length and ids, each an i32, little-endian. */
    public String digest() {
        try {
            MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
            sha256.update(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putInt(windows()).putInt(length()).flip());
            ByteBuffer row = ByteBuffer.allocate(Integer.BYTES * length()).order(ByteOrder.LITTLE_ENDIAN);
            for (int[] window : ids) {
                row.clear().asIntBuffer().put(window);
                sha256.update(row);
            }
            return HexFormat.of().formatHex(sha256.digest());
        } catch (NoSuchAlgorithmException everyJdkHasIt) {
            throw new IllegalStateException(everyJdkHasIt);
        }
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof TokenWindows that && Arrays.deepEquals(ids, that.ids);
    }

    @Override
    public int hashCode() {
        return Arrays.deepHashCode(ids);
    }

    @Override
    public String toString() {
        return windows() + " windows of " + length() + " tokens";
    }
}
