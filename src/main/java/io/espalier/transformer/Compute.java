package io.espalier.transformer;

import ai.djl.Device;
import ai.djl.ndarray.types.DataType;

/**
 * Where and how the arithmetic happens.
 *
 * @param device whose memory holds weights and activations
 * @param type FLOAT32, or FLOAT64 for checking gradients
 * @param lanes micro-batches that go through a layer side by side, each on a core of its own; 1 on a GPU
 */
public record Compute(Device device, DataType type, int lanes) {

    /** Float32 on the CPU, every core a lane. */
    public static Compute cpu() {
        return new Compute(Device.cpu(), DataType.FLOAT32, Runtime.getRuntime().availableProcessors());
    }

    /** Float64 on the CPU. */
    static Compute checking() {
        return new Compute(Device.cpu(), DataType.FLOAT64, 1);
    }
}
