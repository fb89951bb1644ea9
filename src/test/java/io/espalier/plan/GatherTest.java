package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.StoredMatrix;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GatherTest {

    private static final int MEGABYTE = 1 << 20;

    /** Matrices around the size of the buffer: many rows a piece, a row a piece, a row wider than the buffer. */
    @ParameterizedTest
    @CsvSource({"1031, 787, 0, F32", "787, 1031, 1, F32", "7, 300007, 0, F64", "5, 300007, 1, F64", "9, 700001, 1, BF16", "3, 5, 1, U8",
            "0, 4, 1, F32"})
    void piecesJoinToWhatTheSlowTwinPicks(int rows, int columns, int axis, DType dtype) {
        Random random = new Random(rows);
        int size = dtype.bytes();
        byte[] matrix = new byte[rows * columns * size];
        random.nextBytes(matrix);
        int[] kept = IntStream.range(0, axis == 0 ? rows : columns).filter(i -> random.nextInt(5) > 0).toArray();
        Gather gather = new Gather(new StoredMatrix("t", dtype, rows, columns, MemorySegment.ofArray(matrix), null), axis, kept);
        List<Long> pieces = new ArrayList<>();
        ByteArrayOutputStream joined = new ByteArrayOutputStream();
        gather.into(piece -> {
            pieces.add(piece.byteSize());
            joined.writeBytes(piece.toArray(ValueLayout.JAVA_BYTE));
        });

        ByteArrayOutputStream slow = new ByteArrayOutputStream();
        for (int i = 0; i < (axis == 0 ? kept.length : rows); i++) {
            for (int j = 0; j < (axis == 1 ? kept.length : columns); j++) {
                int row = axis == 0 ? kept[i] : i;
                int column = axis == 1 ? kept[j] : j;
                slow.write(matrix, (row * columns + column) * size, size);
            }
        }
        assertThat(joined.toByteArray()).isEqualTo(slow.toByteArray());
        assertThat(gather.length()).isEqualTo(slow.size());
        long row = gather.columns() * size;
        assertThat(pieces).allMatch(piece -> piece <= Math.max(row, MEGABYTE));
        assertThat(pieces.size()).isGreaterThanOrEqualTo((int) (gather.length() / Math.max(row, MEGABYTE)));
    }

    /** More elements than an int counts, in a file of holes: tall for rows, wide for columns. */
    @ParameterizedTest
    @CsvSource({"3000000, 1024, 0", "5, 600000000, 1"})
    void rowsAndColumnsFarBehindTwoGibibytesAreFound(int rows, int columns, int axis, @TempDir Path directory) throws IOException {
        int[] kept = {3, (axis == 0 ? rows : columns) - 1};
        Path file = directory.resolve("holes");
        long bytes = 2L * rows * columns;
        try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw"); Arena arena = Arena.ofConfined()) {
            sparse.setLength(bytes);
            MemorySegment mapped = sparse.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena);
            ByteArrayOutputStream expected = new ByteArrayOutputStream();
            for (int i = 0; i < (axis == 0 ? kept.length : rows); i++) {
                for (int j = 0; j < (axis == 1 ? kept.length : columns); j++) {
                    long element = (axis == 0 ? kept[i] : i) * (long) columns + (axis == 1 ? kept[j] : j);
                    byte value = (byte) (1 + (i * 31 + j) % 100);
                    mapped.set(ValueLayout.JAVA_BYTE, 2 * element, value);
                    expected.write(value);
                    expected.write(0);
                }
            }
            Gather gather = new Gather(new StoredMatrix("t", DType.BF16, rows, columns, mapped, null), axis, kept);
            ByteArrayOutputStream joined = new ByteArrayOutputStream();
            gather.into(piece -> joined.writeBytes(piece.toArray(ValueLayout.JAVA_BYTE)));
            assertThat(joined.toByteArray()).isEqualTo(expected.toByteArray());
        }
    }
}
