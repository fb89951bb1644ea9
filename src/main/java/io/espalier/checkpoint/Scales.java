package io.espalier.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

import tools.jackson.databind.JsonNode;

/**
 * The scales beside an FP8 matrix W [rows, columns]: what counts is {@code W[r, c] * scale[r / rowsEach, c / columnsEach]}. Either square blocks, as
 * DeepSeek-V3 and Qwen3-FP8 ship them (the last block of a dimension may be smaller), or one scale a row.
 *
 * @param tensor F32 or BF16, [ceil(rows / rowsEach), ceil(columns / columnsEach)]
 * @param rowsEach rows that share a scale
 * @param columnsEach columns that share a scale, without end where each row has its own
 * @param bytes of the tensor
 */
public record Scales(Tensor tensor, int rowsEach, int columnsEach, MemorySegment bytes) {

    private static final ValueLayout.OfShort STORED_16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat STORED_32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Names that the scales of a weight may have, the usual first. */
    public static List<String> names(String weight) {
        return List.of(weight + "_scale_inv", weight + "_scale");
    }

    /** Rows and columns of a block by {@code config.json}'s {@code quantization_config.weight_block_size}; 0 when it does not say. */
    public static int block(JsonNode config) {
        return config.path("quantization_config").path("weight_block_size").path(0).intValue(0);
    }

    /** The shape of scales in square blocks. */
    public static List<Long> grid(long rows, long columns, int block) {
        return List.of(Math.ceilDiv(rows, (long) block), Math.ceilDiv(columns, (long) block));
    }

    static Scales of(Checkpoint checkpoint, Tensor weight, int block) {
        List<String> names = names(weight.name());
        Tensor tensor = checkpoint.tensor(names.stream().filter(checkpoint.tensors()::containsKey).findFirst().orElse(names.getFirst()));
        boolean inBlocks = block > 0 && tensor.shape().equals(grid(weight.dim(0), weight.dim(1), block));
        return inBlocks
                ? new Scales(tensor, block, block, checkpoint.bytes(tensor))
                : new Scales(tensor, 1, Integer.MAX_VALUE, checkpoint.bytes(tensor));
    }

    /** Whether a scale belongs to a block, not to a row. */
    public boolean inBlocks() {
        return rowsEach == columnsEach;
    }

    /** The scale of one value of the matrix. */
    public float at(int row, int column) {
        return inGrid(row / rowsEach, column / columnsEach);
    }

    /** The scale at one place of the grid. */
    public float inGrid(long row, long column) {
        long index = row * tensor.dim(1) + column;
        return tensor.dtype() == DType.BF16
                ? Float.intBitsToFloat(bytes.get(STORED_16, index * Short.BYTES) << 16)
                : bytes.get(STORED_32, index * Float.BYTES);
    }
}
