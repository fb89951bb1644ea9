package io.espalier.calibration;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.SafetensorsFile;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.recipe.Slice;

/**
 * What a sweep counted over some windows of a calibration set, for every routed expert: a commutative monoid. {@link #zero}, updates, {@link #merge},
 * {@link #write}: slices can be measured anywhere, in any order, and merged to the same bits. Statistics of different calibrations do not merge, nor do
 * overlapping slices.
 */
public final class ExpertStatistics {

    private static final String VERSION = "1";

    private final String fingerprint;
    private final int[] widths;
    private final long[] routedTokens;
    private final Map<Moment, ExactSum[]> moments = new EnumMap<>(Moment.class);
    private final ExactSum loss = new ExactSum(1);
    private final List<Slice> slices = new ArrayList<>();
    private long tokens;
    private long predictedTokens;

    private ExpertStatistics(String fingerprint, int[] widths, Set<Moment> counted) {
        this.fingerprint = fingerprint;
        this.widths = widths;
        this.routedTokens = new long[widths.length];
        for (Moment moment : counted) {
            ExactSum[] sums = new ExactSum[widths.length];
            for (int e = 0; e < sums.length; e++) {
                sums[e] = new ExactSum(widths[e]);
            }
            moments.put(moment, sums);
        }
    }

    /**
     * Nothing counted yet.
     *
     * @param fingerprint of everything the numbers depend on: model, tokens, arithmetic
     * @param widths atoms of every routed expert, in (layer, expert) order
     */
    public static ExpertStatistics zero(String fingerprint, int[] widths, Set<Moment> counted) {
        return new ExpertStatistics(fingerprint, widths.clone(), counted);
    }

    /** Lanes count at once: the methods that count are synchronised, each on what it changes. */
    synchronized void addTokens(int expert, long count) {
        routedTokens[expert] += count;
    }

    /** @param sums over one micro-batch's routed tokens, [width] */
    void add(Moment moment, int expert, double[] sums) {
        ExactSum running = moments.get(moment)[expert];
        synchronized (running) {
            running.add(sums);
        }
    }

    synchronized void addLoss(double negativeLogLikelihood, long predicted) {
        loss.add(new double[]{negativeLogLikelihood});
        predictedTokens += predicted;
    }

    void finish(Slice slice, long tokensInSlice) {
        slices.add(slice);
        tokens += tokensInSlice;
    }

    /**
     * Both together.
     *
     * @throws IllegalArgumentException when the other is of another calibration or overlaps this one
     */
    public ExpertStatistics merge(ExpertStatistics other) {
        if (!fingerprint.equals(other.fingerprint)) {
            throw new IllegalArgumentException(
                    "fingerprint: " + other.fingerprint + " (expected: " + fingerprint + ", statistics of one calibration)");
        }
        for (Slice mine : slices) {
            for (Slice theirs : other.slices) {
                if (mine.from() < theirs.to() && theirs.from() < mine.to()) {
                    throw new IllegalArgumentException(
                            "slice: " + theirs + " (expected: none that overlaps " + mine + ", it would count twice)");
                }
            }
        }
        ExpertStatistics both = zero(fingerprint, widths, moments.keySet());
        for (ExpertStatistics part : List.of(this, other)) {
            for (int e = 0; e < widths.length; e++) {
                both.routedTokens[e] += part.routedTokens[e];
                for (Moment moment : moments.keySet()) {
                    both.moments.get(moment)[e].add(part.moments.get(moment)[e]);
                }
            }
            both.loss.add(part.loss);
            both.tokens += part.tokens;
            both.predictedTokens += part.predictedTokens;
            both.slices.addAll(part.slices);
        }
        return both;
    }

    public String fingerprint() {
        return fingerprint;
    }

    /** What was counted, in the order in which it was merged. */
    public List<Slice> slices() {
        return List.copyOf(slices);
    }

    /** Experts counted. */
    public int experts() {
        return widths.length;
    }

    /** Tokens that went through the model, padding excluded. */
    public long tokens() {
        return tokens;
    }

    /** Tokens that reached an expert. */
    public long routedTokens(int expert) {
        return routedTokens[expert];
    }

    public Set<Moment> moments() {
        return moments.keySet();
    }

    /** Mean of a moment over the tokens routed to an expert, [width]; all NaN when none was. */
    public double[] mean(Moment moment, int expert) {
        double[] mean = moments.get(moment)[expert].rounded();
        for (int k = 0; k < mean.length; k++) {
            mean[k] /= routedTokens[expert];
        }
        return mean;
    }

    /** Mean negative log-likelihood a predicted token (nats); NaN when the loss was not computed. */
    public double meanLoss() {
        return loss.rounded()[0] / predictedTokens;
    }

    /** Writes everything to a safetensors file, so that it can be read again elsewhere and merged. */
    public void write(Path file) {
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, tensors(widths, moments.keySet(), slices.size(), 0), metadata(0))) {
            writeTo(writer, 0);
            writer.finish();
        }
    }

    /**
     * What {@link #writeTo} will write.
     *
     * @param firstExpert the first of those whose sums and tokens are written; what was counted of those before it will be counted again
     */
    static List<Declared> tensors(int[] widths, Set<Moment> moments, int slices, int firstExpert) {
        List<Declared> declared = new ArrayList<>();
        long experts = widths.length;
        declared.add(new Declared("widths", DType.I32, List.of(experts)));
        declared.add(new Declared("routed_tokens", DType.I64, List.of(experts)));
        declared.add(new Declared("slices", DType.I32, List.of((long) slices, 2L)));
        declared.add(new Declared("tokens", DType.I64, List.of(2L)));
        declared.add(new Declared("loss", DType.F64, List.of(2L)));
        long atoms = Arrays.stream(widths, firstExpert, widths.length).asLongStream().sum();
        for (Moment moment : new TreeSet<>(moments)) {
            declared.add(new Declared(moment.name() + ".high", DType.F64, List.of(atoms)));
            declared.add(new Declared(moment.name() + ".low", DType.F64, List.of(atoms)));
        }
        return declared;
    }

    /** The strings that {@link #read(SafetensorsFile)} wants beside the tensors. */
    Map<String, String> metadata(int firstExpert) {
        return new TreeMap<>(Map.of("fingerprint", fingerprint, "version", VERSION, "first_expert", String.valueOf(firstExpert), "moments",
                moments.keySet().stream().map(Moment::name).collect(Collectors.joining(","))));
    }

    void writeTo(SafetensorsWriter writer, int firstExpert) {
        writer.begin("widths").ints(widths);
        long[] tokensFromThere = routedTokens.clone();
        Arrays.fill(tokensFromThere, 0, firstExpert, 0);
        writer.begin("routed_tokens").longs(tokensFromThere);
        writer.begin("slices").ints(slices.stream().flatMapToInt(s -> IntStream.of(s.from(), s.to())).toArray());
        writer.begin("tokens").longs(tokens, predictedTokens);
        writer.begin("loss").doubles(loss.high()[0], loss.low()[0]);
        for (Map.Entry<Moment, ExactSum[]> entry : moments.entrySet()) {
            List<ExactSum> sums = Arrays.asList(entry.getValue()).subList(firstExpert, widths.length);
            writer.begin(entry.getKey().name() + ".high");
            sums.forEach(sum -> writer.doubles(sum.high()));
            writer.begin(entry.getKey().name() + ".low");
            sums.forEach(sum -> writer.doubles(sum.low()));
        }
    }

    /** Reads what {@link #write} wrote. */
    public static ExpertStatistics read(Path file) {
        try (SafetensorsFile stored = SafetensorsFile.open(file)) {
            return read(stored);
        }
    }

    static ExpertStatistics read(SafetensorsFile stored) {
        if (!VERSION.equals(stored.metadata().get("version"))) {
            throw new UncheckedIOException(new IOException(stored.path().getFileName() + ": statistics version "
                    + stored.metadata().get("version") + " (expected: " + VERSION + ")"));
        }
        int[] widths = ints(stored, "widths");
        Set<Moment> counted = EnumSet.noneOf(Moment.class);
        for (String name : stored.metadata().get("moments").split(",")) {
            if (!name.isEmpty()) {
                counted.add(Moment.valueOf(name));
            }
        }
        ExpertStatistics read = zero(stored.metadata().get("fingerprint"), widths, counted);
        System.arraycopy(stored.longs("routed_tokens"), 0, read.routedTokens, 0, widths.length);
        int[] bounds = ints(stored, "slices");
        for (int i = 0; i < bounds.length; i += 2) {
            read.slices.add(new Slice(bounds[i], bounds[i + 1]));
        }
        read.tokens = stored.longs("tokens")[0];
        read.predictedTokens = stored.longs("tokens")[1];
        double[] loss = stored.doubles("loss");
        read.loss.add(new ExactSum(new double[]{loss[0]}, new double[]{loss[1]}));
        for (Moment moment : counted) {
            double[] high = stored.doubles(moment.name() + ".high");
            double[] low = stored.doubles(moment.name() + ".low");
            int at = 0;
            for (int e = Integer.parseInt(stored.metadata().getOrDefault("first_expert", "0")); e < widths.length; e++) {
                System.arraycopy(high, at, read.moments.get(moment)[e].high(), 0, widths[e]);
                System.arraycopy(low, at, read.moments.get(moment)[e].low(), 0, widths[e]);
                at += widths[e];
            }
        }
        return read;
    }

    /** Whether this counts these things of these experts, so that a sweep over them can go on counting. */
    boolean counts(String ofFingerprint, int[] ofWidths, Set<Moment> counted) {
        return fingerprint.equals(ofFingerprint) && Arrays.equals(widths, ofWidths) && moments.keySet().equals(counted);
    }

    private static int[] ints(SafetensorsFile stored, String name) {
        return Arrays.stream(stored.longs(name)).mapToInt(Math::toIntExact).toArray();
    }
}
