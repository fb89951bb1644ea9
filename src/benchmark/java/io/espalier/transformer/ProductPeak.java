package io.espalier.transformer;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;

/** The yardstick of the roofline: the sweep's own matrix product and nothing else, on every lane at once. In this package because its brick is. */
public final class ProductPeak {

    private static final int INNER = 2048;
    private static final int COLUMNS = 1408;

    private ProductPeak() {}

    /**
     * GFLOP a second of [rows, 2048] x [2048, 1408], summed over the lanes, each on its own numbers; the best of many short stretches.
     *
     * @param seconds for how long
     */
    public static double measure(int lanes, int rows, Compute.Precision precision, double seconds) throws Exception {
        CyclicBarrier together = new CyclicBarrier(lanes);
        double sum = 0;
        try (ExecutorService threads = Executors.newFixedThreadPool(lanes)) {
            List<Future<Double>> each = new ArrayList<>();
            for (int lane = 0; lane < lanes; lane++) {
                each.add(threads.submit(() -> one(rows, precision, seconds, together)));
            }
            for (Future<Double> lane : each) {
                sum += lane.get();
            }
        }
        return sum;
    }

    private static double one(int rows, Compute.Precision precision, double seconds, CyclicBarrier together) throws Exception {
        try (NDManager manager = NDManager.newBaseManager(Device.cpu()); Scratch _ = new Scratch()) {
            NDArray x = typed(manager.randomNormal(new Shape(rows, INNER)), precision);
            NDArray w = typed(manager.randomNormal(new Shape(COLUMNS, INNER)), precision);
            Kernels.linear(x, w).close();
            together.await();
            double best = 0;
            long end = System.nanoTime() + (long) (seconds * 1e9);
            while (System.nanoTime() < end) {
                int times = Math.max(1, 2048 / rows);
                long began = System.nanoTime();
                for (int i = 0; i < times; i++) {
                    Kernels.linear(x, w).close();
                }
                best = Math.max(best, 2.0 * times * rows * INNER * COLUMNS / (System.nanoTime() - began));
            }
            return best;
        }
    }

    private static NDArray typed(NDArray x, Compute.Precision precision) {
        return precision == Compute.Precision.BFLOAT16 ? Kernels.bfloat16(x) : x;
    }
}
