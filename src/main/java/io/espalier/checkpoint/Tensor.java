package io.espalier.checkpoint;

import java.nio.file.Path;
import java.util.List;

/**
 * Where a tensor lies. Values are row-major and little-endian.
 *
 * @param name as the file gives it
 * @param dtype of its elements
 * @param shape one extent a dimension; empty for a scalar; an extent may be 0
 * @param shard the file that holds it
 * @param offset of its first byte from the start of the file
 * @param length in bytes: the product of the shape times the bytes an element
 */
public record Tensor(String name, DType dtype, List<Long> shape, Path shard, long offset, long length) {

    public Tensor {
        shape = List.copyOf(shape);
    }

    /** How many dimensions; 0 for a scalar. */
    public int rank() {
        return shape.size();
    }

    /** Extent of dimension {@code i}. */
    public long dim(int i) {
        return shape.get(i);
    }

    /** How many values. */
    public long elements() {
        return length / dtype.bytes();
    }
}
