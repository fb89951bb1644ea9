package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;

import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.Scales;
import io.espalier.checkpoint.Tensor;
import org.junit.jupiter.api.Test;

class ScaleBlocksTest {

    /** A grid of scales [3, 2] for blocks of 4; rows 0 and 2 are equal, columns are not. */
    private static final Scales SCALES = new Scales(new Tensor("w_scale_inv", DType.F32, List.of(3L, 2L), Path.of("f"), 0, 24), 4, 4,
            MemorySegment.ofArray(new float[]{1, 2, 3, 2, 1, 2}));

    private static int[] rows(int... kept) {
        return ScaleBlocks.of("w", SCALES, 0, kept);
    }

    @Test
    void wholeBlocksTakeTheirScalesAlong() {
        assertThat(rows(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)).containsExactly(0, 1, 2);
        assertThat(rows(4, 5, 6, 7, 8, 9)).containsExactly(1, 2);
        assertThat(rows(8, 9)).containsExactly(2);
        assertThat(rows()).isEmpty();
        assertThat(ScaleBlocks.of("w", SCALES, 1, new int[]{4, 5, 6, 7})).containsExactly(1);
    }

    @Test
    void partsOfBlocksWithEqualScalesMayShareOne() {
        assertThat(rows(0, 3, 8, 9)).containsExactly(0);
        assertThat(rows(0, 1, 2, 3, 5, 7)).containsExactly(0, 1);
    }

    @Test
    void unequalScalesInOneBlockAreRefusedWithBoth() {
        assertThatThrownBy(() -> rows(0, 1, 2, 3, 5, 6, 8))
                .hasMessageStartingWith("w: block 1 of the kept atoms takes some from source block 1, "
                        + "scale 3.0, and some from source block 2, scale 1.0 (expected: equal scales within 4 atoms");
        assertThatThrownBy(() -> ScaleBlocks.of("w", SCALES, 1, new int[]{0, 5}))
                .hasMessageStartingWith(
                        "w: block 0 of the kept atoms takes some from source block 0, scale 1.0, and some from source block 1, "
                                + "scale 2.0 (");
    }
}
