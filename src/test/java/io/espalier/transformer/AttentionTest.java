package io.espalier.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Attention by blocks of queries against attention query by query, in plain loops and float64. */
class AttentionTest {

    private static final int KEY_HEADS = 2;
    private static final int GROUP = 3;
    private static final int DIM = 4;

    @ParameterizedTest
    @ValueSource(ints = {1, 127, Positions.QUERIES_AT_ONCE, Positions.QUERIES_AT_ONCE + 1, 2 * Positions.QUERIES_AT_ONCE, 300})
    void blocksOfQueriesGiveResultAndGradientsOfOneQueryAtATime(int length) {
        Random random = new Random(length);
        double[][][] q = gaussian(random, KEY_HEADS, GROUP * length);
        double[][][] k = gaussian(random, KEY_HEADS, length);
        double[][][] v = gaussian(random, KEY_HEADS, length);
        double[][][] gradient = gaussian(random, KEY_HEADS, GROUP * length);
        double[][][] o = zeros(q);
        double[][][] dq = zeros(q);
        double[][][] dk = zeros(k);
        double[][][] dv = zeros(v);
        for (int head = 0; head < KEY_HEADS; head++) {
            for (int row = 0; row < GROUP * length; row++) {
                oneQuery(row % length, q[head][row], k[head], v[head], gradient[head][row], o[head][row], dq[head][row], dk[head],
                        dv[head]);
            }
        }
        try (NDManager manager = NDManager.newBaseManager(Device.cpu()); Scratch _ = new Scratch()) {
            NDArray mask = Positions.of(length, DIM, 10_000, DataType.FLOAT64, manager).mask();
            NDArray[] qkv = {array(manager, q), array(manager, k), array(manager, v)};
            assertThat(Kernels.attend(qkv[0], qkv[1], qkv[2], mask).toDoubleArray()).containsExactly(flat(o), within(1e-12));
            NDList reverse = Kernels.attendReverse(qkv[0], qkv[1], qkv[2], mask, array(manager, gradient));
            assertThat(reverse.get(0).toDoubleArray()).as("dq").containsExactly(flat(dq), within(1e-12));
            assertThat(reverse.get(1).toDoubleArray()).as("dk").containsExactly(flat(dk), within(1e-11));
            assertThat(reverse.get(2).toDoubleArray()).as("dv").containsExactly(flat(dv), within(1e-11));
        }
    }

    /** o = sum p v over the keys up to the query's own, and what its gradient adds to the others'. */
    private static void oneQuery(int at, double[] q, double[][] k, double[][] v, double[] gradient, double[] o, double[] dq, double[][] dk,
            double[][] dv) {
        double[] p = new double[at + 1];
        double[] dp = new double[at + 1];
        double sum = 0;
        for (int key = 0; key <= at; key++) {
            p[key] = Math.exp(dot(q, k[key]));
            dp[key] = dot(gradient, v[key]);
            sum += p[key];
        }
        double mean = 0;
        for (int key = 0; key <= at; key++) {
            p[key] /= sum;
            mean += p[key] * dp[key];
        }
        for (int key = 0; key <= at; key++) {
            add(o, p[key], v[key]);
            add(dv[key], p[key], gradient);
            double ds = p[key] * (dp[key] - mean);
            add(dq, ds, k[key]);
            add(dk[key], ds, q);
        }
    }

    private static double dot(double[] x, double[] y) {
        double sum = 0;
        for (int i = 0; i < DIM; i++) {
            sum += x[i] * y[i];
        }
        return sum;
    }

    private static void add(double[] to, double factor, double[] x) {
        for (int i = 0; i < DIM; i++) {
            to[i] += factor * x[i];
        }
    }

    private static double[][][] gaussian(Random random, int heads, int rows) {
        double[][][] x = new double[heads][rows][DIM];
        for (double[][] head : x) {
            for (double[] row : head) {
                java.util.Arrays.setAll(row, _ -> random.nextGaussian());
            }
        }
        return x;
    }

    private static double[][][] zeros(double[][][] like) {
        return new double[like.length][like[0].length][DIM];
    }

    private static double[] flat(double[][][] x) {
        return java.util.Arrays.stream(x).flatMap(java.util.Arrays::stream).flatMapToDouble(java.util.Arrays::stream).toArray();
    }

    private static NDArray array(NDManager manager, double[][][] x) {
        return manager.create(flat(x), new Shape(x.length, x[0].length, DIM));
    }
}
