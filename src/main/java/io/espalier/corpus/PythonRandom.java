package io.espalier.corpus;

import java.math.BigInteger;
import java.util.BitSet;

/**
 * The Mersenne Twister MT19937 as CPython's {@code random} seeds and draws from it, because published HEAPr runs sample their calibration windows
 * with {@code random.seed(seed); random.sample(range(n), k)} and people want the same windows.
 *
 * <p>Generator: M. Matsumoto, T. Nishimura, ACM TOMACS 8 (1998) 3-30, with {@code init_by_array}. Sampling: the algorithm of CPython 3.2 to 3.13.
 */
final class PythonRandom {

    private static final int N = 624;
    private static final int M = 397;

    private final int[] state = new int[N];
    private int next = N;

    /** {@code random.seed(seed)} for an int of any size; the sign is ignored, as Python does. */
    PythonRandom(BigInteger seed) {
        BigInteger magnitude = seed.abs();
        int[] key = new int[Math.max(1, (magnitude.bitLength() + 31) / 32)];
        for (int i = 0; i < key.length; i++) {
            key[i] = magnitude.shiftRight(32 * i).intValue();
        }
        initByArray(key);
    }

    PythonRandom(long seed) {
        this(BigInteger.valueOf(seed));
    }

    private void initByArray(int[] key) {
        state[0] = 19650218;
        for (int i = 1; i < N; i++) {
            state[i] = 1812433253 * (state[i - 1] ^ state[i - 1] >>> 30) + i;
        }
        int i = 1;
        int j = 0;
        for (int k = Math.max(N, key.length); k > 0; k--) {
            state[i] = (state[i] ^ (state[i - 1] ^ state[i - 1] >>> 30) * 1664525) + key[j] + j;
            i = following(i);
            j = (j + 1) % key.length;
        }
        for (int k = N - 1; k > 0; k--) {
            state[i] = (state[i] ^ (state[i - 1] ^ state[i - 1] >>> 30) * 1566083941) - i;
            i = following(i);
        }
        state[0] = 0x80000000;
    }

    private int following(int i) {
        if (i < N - 1) {
            return i + 1;
        }
        state[0] = state[N - 1];
        return 1;
    }

    private int next32() {
        if (next == N) {
            for (int k = 0; k < N; k++) {
                int y = state[k] & 0x80000000 | state[(k + 1) % N] & 0x7fffffff;
                state[k] = state[(k + M) % N] ^ y >>> 1 ^ ((y & 1) == 0 ? 0 : 0x9908b0df);
            }
            next = 0;
        }
        int y = state[next++];
        y ^= y >>> 11;
        y ^= y << 7 & 0x9d2c5680;
        y ^= y << 15 & 0xefc60000;
        return y ^ y >>> 18;
    }

    /** {@code getrandbits(bits)} for 1 to 31 bits. */
    int bits(int bits) {
        return next32() >>> 32 - bits;
    }

    /** {@code _randbelow(n)}: uniform in [0, n), n at least 1. */
    int below(int n) {
        int width = 32 - Integer.numberOfLeadingZeros(n);
        int drawn = bits(width);
        while (drawn >= n) {
            drawn = bits(width);
        }
        return drawn;
    }

    /** {@code random.sample(range(n), k)}: k distinct numbers of [0, n) in the order drawn. */
    int[] sample(int n, int k) {
        // why: Python keeps a pool where that is smaller than its set of k, and the two draw differently
        long setSize = 21;
        if (k > 5) {
            long table = 1;
            while (table < 3L * k) {
                table *= 4;
            }
            setSize += table;
        }
        return n <= setSize ? sampleFromPool(n, k) : sampleWithSet(n, k);
    }

    private int[] sampleFromPool(int n, int k) {
        int[] pool = new int[n];
        for (int i = 0; i < n; i++) {
            pool[i] = i;
        }
        int[] drawn = new int[k];
        for (int i = 0; i < k; i++) {
            int j = below(n - i);
            drawn[i] = pool[j];
            pool[j] = pool[n - i - 1];
        }
        return drawn;
    }

    private int[] sampleWithSet(int n, int k) {
        BitSet selected = new BitSet();
        int[] drawn = new int[k];
        for (int i = 0; i < k; i++) {
            int j = below(n);
            while (selected.get(j)) {
                j = below(n);
            }
            selected.set(j);
            drawn[i] = j;
        }
        return drawn;
    }
}
