package io.espalier.corpus;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;

/**
 * Several corpora read as one, by weight.
 *
 * <pre>
 * quota    windows * weight / sum of weights, exact decimals of 34 digits
 * share    the quota rounded down; windows that are left over go one each to the greatest remainders, of equal ones to the earlier part
 * windows  each part's share is taken from it as if it stood alone, by the same seed
 * order    a permutation drawn with the seed of the list 0, 0, 0, 1, 1, 2, ...; a part's own windows stay in their order
 * </pre>
 */
final class Mixture {

    private Mixture() {}

    /**
     * How many windows each part gives.
     *
     * @throws PruningException {@code INVALID_RECIPE} when a part gets none: left out in silence it would be another corpus
     */
    static int[] shares(List<CorpusRef.Part> parts, int windows) {
        BigDecimal sum = parts.stream().map(CorpusRef.Part::weight).reduce(BigDecimal.ZERO, BigDecimal::add);
        BigDecimal[] quotas = parts.stream()
                .map(part -> part.weight().multiply(BigDecimal.valueOf(windows)).divide(sum, MathContext.DECIMAL128))
                .toArray(BigDecimal[]::new);
        int[] shares = Arrays.stream(quotas).mapToInt(quota -> quota.setScale(0, RoundingMode.FLOOR).intValueExact()).toArray();
        int left = windows - Arrays.stream(shares).sum();
        IntStream.range(0, shares.length).boxed()
                .sorted(Comparator.<Integer, BigDecimal>comparing(i -> quotas[i].remainder(BigDecimal.ONE)).reversed()).limit(left)
                .forEach(i -> shares[i]++);
        for (int i = 0; i < shares.length; i++) {
            if (shares[i] == 0) {
                throw new PruningException(ErrorCode.INVALID_RECIPE, "corpus: part " + (i + 1) + " of the mixture gets 0 of " + windows
                        + " windows (expected: at least 1 each, so more windows, or more weight)");
            }
        }
        return shares;
    }

    /** The windows of all parts in the order of the mixture. */
    static TokenWindows interleaved(List<TokenWindows> parts, long seed) {
        int[] owners = IntStream.range(0, parts.size()).flatMap(i -> IntStream.range(0, parts.get(i).windows()).map(w -> i)).toArray();
        int[] drawn = new PythonRandom(seed).sample(owners.length, owners.length);
        int[] next = new int[parts.size()];
        int[][] ids = new int[owners.length][];
        for (int i = 0; i < ids.length; i++) {
            int part = owners[drawn[i]];
            ids[i] = parts.get(part).ids()[next[part]++];
        }
        return new TokenWindows(ids);
    }
}
