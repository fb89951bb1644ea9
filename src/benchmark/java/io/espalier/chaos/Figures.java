package io.espalier.chaos;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/** Seconds, and where they lie. */
public final class Figures {

    private final List<Double> seconds = new ArrayList<>();

    public void add(double value) {
        seconds.add(value);
    }

    void add(Instant from, Instant to) {
        add(seconds(Duration.between(from, to)));
    }

    public int count() {
        return seconds.size();
    }

    /** The smallest value that a share of all do not exceed; not a number when there is none. */
    public double quantile(double share) {
        List<Double> sorted = seconds.stream().sorted().toList();
        return sorted.isEmpty() ? Double.NaN : sorted.get(Math.max(0, (int) Math.ceil(share * sorted.size()) - 1));
    }

    public double max() {
        return quantile(1);
    }

    static double seconds(Duration duration) {
        return duration.toNanos() * 1e-9;
    }
}
