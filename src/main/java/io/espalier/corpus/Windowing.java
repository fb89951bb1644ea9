package io.espalier.corpus;

/** Which windows of a corpus are taken. */
public sealed interface Windowing {

    /** How many windows. */
    int windows();

    /** Tokens a window. */
    int length();

    /** The windows of one tokenised text. */
    TokenWindows of(int[] stream);

    /** What decides over chance, where there is any. */
    long seed();

    /** The same for another number of windows. */
    Windowing with(int windows);

    /**
     * A seeded sample, for calibration.
     *
     * @param windows how many, at least 1
     * @param length tokens a window, at least 1
     * @param seed of the draw
     */
    record Sampled(int windows, int length, long seed) implements Windowing {
        @Override
        public TokenWindows of(int[] stream) {
            return TokenWindows.sample(stream, windows, length, seed);
        }

        @Override
        public Sampled with(int other) {
            return new Sampled(other, length, seed);
        }
    }

    /**
     * Spread evenly over the text, for evaluation.
     *
     * @param windows how many, at least 1
     * @param length tokens a window, at least 1
     */
    record Strided(int windows, int length) implements Windowing {
        @Override
        public TokenWindows of(int[] stream) {
            return TokenWindows.strided(stream, windows, length);
        }

        @Override
        public long seed() {
            return 0;
        }

        @Override
        public Strided with(int other) {
            return new Strided(other, length);
        }
    }
}
