package io.espalier.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.StoredMatrix;
import io.espalier.transformer.NativeTensor.Type;
import org.junit.jupiter.api.Test;

/** Numbers that are converted several at a time, one by one. */
class WeightBufferTest {

    @Test
    void everyFiniteBfloat16BecomesItsFloat32AndStaysItsBfloat16() {
        short[] all = new short[65_535];
        int count = 0;
        for (int bits = 0; bits <= 0xffff; bits++) {
            if ((bits & 0x7f80) != 0x7f80) {
                all[count++] = (short) bits;
            }
        }
        // why an odd length: the last ones do not come in fours
        for (int length : new int[]{count, count - 1, count - 2, count - 3, 3, 1}) {
            try (Arena arena = Arena.ofConfined(); WeightBuffer buffer = new WeightBuffer()) {
                StoredMatrix stored = stored(arena, all, length);
                buffer.reset(WeightBuffer.aligned(4L * length) + WeightBuffer.aligned(2L * length));
                MemorySegment wide = buffer.convert(stored, Type.FLOAT32, null, null);
                MemorySegment same = buffer.convert(stored, Type.BFLOAT16, null, null);
                for (int i = 0; i < length; i++) {
                    assertThat(wide.getAtIndex(ValueLayout.JAVA_INT, i)).isEqualTo(all[i] << 16);
                    assertThat(same.getAtIndex(ValueLayout.JAVA_SHORT, i)).isEqualTo(all[i]);
                }
            }
        }
    }

    @Test
    void aNumberThatIsNotFiniteIsRefusedWhereverItStands() {
        for (Type type : new Type[]{Type.FLOAT32, Type.BFLOAT16}) {
            for (int bad : new int[]{0x7f80, 0xff80, 0x7fc0, 0x7f81, 0xffff}) {
                for (int at = 0; at < 11; at++) {
                    short[] numbers = new short[11];
                    // why: the largest beside it must not be taken for it
                    java.util.Arrays.fill(numbers, (short) 0xff7f);
                    numbers[at] = (short) bad;
                    try (Arena arena = Arena.ofConfined(); WeightBuffer buffer = new WeightBuffer()) {
                        buffer.reset(64);
                        StoredMatrix stored = stored(arena, numbers, 11);
                        assertThatThrownBy(() -> buffer.convert(stored, type, null, null)).isInstanceOf(NotFiniteException.class)
                                .hasMessage("w: holds NaN or infinity (expected: finite weights)");
                    }
                }
            }
        }
    }

    private static StoredMatrix stored(Arena arena, short[] numbers, int length) {
        MemorySegment bytes = arena.allocate(2L * length, 2);
        MemorySegment.copy(numbers, 0, bytes, ValueLayout.JAVA_SHORT, 0, length);
        return new StoredMatrix("w", DType.BF16, 1, length, bytes, null);
    }
}
