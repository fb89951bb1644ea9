package io.espalier.transformer;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class E4m3Test {

    @Test
    void all256CodesAreTheNumbersThatFloat16SaysByAnotherWay() {
        for (int code = 0; code < 256; code++) {
            assertThat(Float.floatToIntBits(E4m3.value((byte) code))).as("code 0x%02x", code)
                    .isEqualTo(Float.floatToIntBits(Dialects.slowE4m3(code)));
        }
    }

    @Test
    void theLandmarksOfTheStandardAreThere() {
        assertThat(E4m3.value((byte) 0x00)).isEqualTo(0f);
        assertThat(E4m3.value((byte) 0x01)).as("smallest subnormal").isEqualTo(0x1p-9f);
        assertThat(E4m3.value((byte) 0x07)).as("largest subnormal").isEqualTo(0.875f * 0x1p-6f);
        assertThat(E4m3.value((byte) 0x08)).as("smallest normal").isEqualTo(0x1p-6f);
        assertThat(E4m3.value((byte) 0x38)).isEqualTo(1f);
        assertThat(E4m3.value((byte) 0x7e)).as("largest").isEqualTo(448f);
        assertThat(E4m3.value((byte) 0xfe)).isEqualTo(-448f);
        assertThat(E4m3.value((byte) 0x7f)).isNaN();
        assertThat(E4m3.value((byte) 0xff)).isNaN();
    }
}
