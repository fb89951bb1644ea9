package io.espalier.transformer;

/**
 * A micro-batch of token sequences, padded on the right.
 *
 * @param ids token ids, [B][S]
 * @param lengths real tokens of each sequence; what follows is padding, which no expert sees and no loss counts
 */
public record TokenBatch(int[][] ids, int[] lengths) {

    public TokenBatch {
        if (ids.length == 0 || ids.length != lengths.length) {
            throw new IllegalArgumentException(
                    "sequences: " + ids.length + " with " + lengths.length + " lengths (expected: as many, at least 1)");
        }
        for (int[] sequence : ids) {
            if (sequence.length != ids[0].length) {
                throw new IllegalArgumentException(
                        "sequence length: " + sequence.length + " (expected: " + ids[0].length + " as the first)");
            }
        }
    }

    /** Sequences without padding. */
    public static TokenBatch of(int[][] ids) {
        int[] lengths = new int[ids.length];
        java.util.Arrays.fill(lengths, ids.length == 0 ? 0 : ids[0].length);
        return new TokenBatch(ids, lengths);
    }

    /** B. */
    public int sequences() {
        return ids.length;
    }

    /** S, padding included. */
    public int sequenceLength() {
        return ids[0].length;
    }

    /** Tokens that are not padding. */
    public long realTokens() {
        return java.util.Arrays.stream(lengths).asLongStream().sum();
    }

    /** Positions that have a next token to predict: all real ones but each sequence's last. */
    public long predictedTokens() {
        return java.util.Arrays.stream(lengths).mapToLong(length -> Math.max(0, length - 1)).sum();
    }

    /** Whether row b * S + t is a real token. */
    boolean real(int row) {
        return row % sequenceLength() < lengths[row / sequenceLength()];
    }
}
