package io.espalier.calibration;

/**
 * Sums kept as two doubles each (Dekker's double-double): the error of an addition is about 2^-106, so any order and any grouping of the same addends
 * rounds to the same double, but for odds of about 2^-50 an entry. That is what makes slices mergeable to the same bits.
 */
final class ExactSum {

    private final double[] high;
    private final double[] low;

    ExactSum(int length) {
        this(new double[length], new double[length]);
    }

    ExactSum(double[] high, double[] low) {
        this.high = high;
        this.low = low;
    }

    double[] high() {
        return high;
    }

    double[] low() {
        return low;
    }

    /** Adds element by element. */
    void add(double[] addends) {
        for (int i = 0; i < addends.length; i++) {
            add(i, addends[i], 0);
        }
    }

    void add(ExactSum other) {
        for (int i = 0; i < high.length; i++) {
            add(i, other.high[i], other.low[i]);
        }
    }

    private void add(int i, double h, double l) {
        double sum = high[i] + h;
        double part = sum - high[i];
        double error = (high[i] - (sum - part)) + (h - part) + (low[i] + l);
        high[i] = sum + error;
        low[i] = error - (high[i] - sum);
    }

    /** The sums, each rounded once. */
    double[] rounded() {
        return high.clone();
    }
}
