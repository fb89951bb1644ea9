package io.espalier.checkpoint;

import java.util.List;

/**
 * A matrix as it lies in a tensor whose leading dimensions are taken as one: the {@code rows} rows from row {@code first} on. The whole of a tensor of
 * two dimensions is one; so is the gate of one expert in a fused tensor [experts, 2 width, hidden].
 *
 * @param tensor name
 * @param shape of the whole tensor, at least two dimensions
 * @param first row
 * @param rows of the matrix
 * @param alone the name of the matrix where every expert has tensors of its own; the tensor's where it has
 */
public record Slab(String tensor, List<Long> shape, long first, int rows, String alone) {

    /** @throws IllegalArgumentException when the rows are not all in the tensor */
    public Slab {
        shape = List.copyOf(shape);
        long all = shape.subList(0, shape.size() - 1).stream().reduce(1L, Math::multiplyExact);
        if (first < 0 || rows < 0 || first + rows > all) {
            throw new IllegalArgumentException(
                    tensor + ": rows " + first + " to " + (first + rows) + " (expected: rows of a tensor of shape " + shape + ")");
        }
    }

    /** All of a tensor [rows, columns]. */
    public static Slab whole(String tensor, int rows, int columns) {
        return new Slab(tensor, List.of((long) rows, (long) columns), 0, rows, tensor);
    }

    /** Whether the tensor holds nothing else. */
    public boolean isWhole() {
        return shape.size() == 2;
    }

    public int columns() {
        return Math.toIntExact(shape.getLast());
    }
}
