package io.espalier.transformer;

/**
 * The 256 numbers of FP8 e4m3 (OCP 8-bit floating point, torch's float8_e4m3fn): a sign, four bits of exponent e with bias 7, three bits of mantissa m;
 * {@code (1 + m/8) 2^(e-7)}, or {@code m 2^-9} where e is 0. There is no infinity: 0x7f and 0xff are NaN, the largest number is 448.
 */
final class E4m3 {

    private static final float[] VALUES = new float[256];

    static {
        for (int code = 0; code < VALUES.length; code++) {
            VALUES[code] = decode(code);
        }
    }

    private E4m3() {}

    static float value(byte code) {
        return VALUES[code & 0xff];
    }

    private static float decode(int code) {
        int exponent = code >> 3 & 0xf;
        int mantissa = code & 0x7;
        if (exponent == 0xf && mantissa == 0x7) {
            return Float.NaN;
        }
        float magnitude = exponent == 0 ? Math.scalb(mantissa, -9) : Math.scalb(8 + mantissa, exponent - 10);
        return code < 0x80 ? magnitude : -magnitude;
    }
}
