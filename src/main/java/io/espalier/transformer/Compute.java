package io.espalier.transformer;

import ai.djl.Device;
import ai.djl.ndarray.types.DataType;

/**
 * Where and how the arithmetic happens.
 *
 * @param device whose memory holds weights and activations
 * @param precision of the matrix products
 * @param lanes micro-batches that go through a layer side by side, each on a core of its own; 1 on a GPU
 * @param wholeLayers whether all experts of a layer are loaded at once; else each is read from the mapped file when it is its turn
 * @param ahead whether the next layer is converted while this one computes, which takes the memory of two; else its pages are only read ahead
 * @param headRows rows of the language-model head that are loaded at once; the whole vocabulary when it fits
 */
public record Compute(Device device, Precision precision, int lanes, boolean wholeLayers, boolean ahead, int headRows) {

    /** What a matrix product is computed in. Norms, softmax, router and everything that is summed stay in {@link #activations}. */
    public enum Precision {
        FLOAT32(DataType.FLOAT32, NativeTensor.Type.FLOAT32),
        /** Weights and the operands of matrix products in bfloat16, accumulated in float32. */
        BFLOAT16(DataType.FLOAT32, NativeTensor.Type.BFLOAT16),
        /** For checking gradients. */
        FLOAT64(DataType.FLOAT64, NativeTensor.Type.FLOAT64);

        private final DataType activations;
        private final NativeTensor.Type matrices;

        Precision(DataType activations, NativeTensor.Type matrices) {
            this.activations = activations;
            this.matrices = matrices;
        }

        /** Type of the residual stream and of everything that is no matrix product. */
        public DataType activations() {
            return activations;
        }

        NativeTensor.Type matrices() {
            return matrices;
        }

        NativeTensor.Type vectors() {
            return this == FLOAT64 ? NativeTensor.Type.FLOAT64 : NativeTensor.Type.FLOAT32;
        }
    }

    /** On the CPU with every core a lane. */
    public static Compute cpu(Precision precision) {
        return new Compute(Device.cpu(), precision, Runtime.getRuntime().availableProcessors(), true, false, Integer.MAX_VALUE);
    }

    /** Float32 on the CPU with every core a lane. */
    public static Compute cpu() {
        return cpu(Precision.FLOAT32);
    }

    /** Float64 on the CPU. */
    static Compute checking() {
        return new Compute(Device.cpu(), Precision.FLOAT64, 1, true, false, Integer.MAX_VALUE);
    }
}
