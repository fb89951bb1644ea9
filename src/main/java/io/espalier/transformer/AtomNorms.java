package io.espalier.transformer;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Tensor;

/**
 * Euclidean norms of the three weight vectors of each atom of an expert, summed in float64.
 *
 * @param gate of the rows of gate, [width]
 * @param up of the rows of up, [width]
 * @param down of the columns of down, [width]
 */
public record AtomNorms(double[] gate, double[] up, double[] down) {

    /** @throws NotFiniteException when a weight is NaN or infinite */
    public static AtomNorms of(Checkpoint checkpoint, ExpertTensors expert) {
        return new AtomNorms(norms(checkpoint, expert.gate(), true), norms(checkpoint, expert.up(), true),
                norms(checkpoint, expert.down(), false));
    }

    private static double[] norms(Checkpoint checkpoint, String name, boolean ofRows) {
        Tensor tensor = checkpoint.tensor(name);
        int rows = Math.toIntExact(tensor.dim(0));
        int columns = Math.toIntExact(tensor.dim(1));
        double[] squares = new double[ofRows ? rows : columns];
        try (WeightBuffer buffer = new WeightBuffer()) {
            buffer.reset(WeightBuffer.aligned((long) rows * columns * Float.BYTES));
            MemorySegment numbers = buffer.convert(checkpoint.bytes(tensor), tensor.dtype(), NativeTensor.Type.FLOAT32, rows, columns, null,
                    null,
                    name);
            for (int r = 0; r < rows; r++) {
                for (int c = 0; c < columns; c++) {
                    double value = numbers.getAtIndex(ValueLayout.JAVA_FLOAT, (long) r * columns + c);
                    squares[ofRows ? r : c] += value * value;
                }
            }
        }
        for (int i = 0; i < squares.length; i++) {
            squares[i] = Math.sqrt(squares[i]);
        }
        return squares;
    }
}
